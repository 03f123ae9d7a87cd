//! A queue in a file that was opened by a relative path. A process of its own: it changes its working directory.

#![cfg(unix)]

use std::{env, fs, process};

use interproc::queue::Options;

#[test]
fn takes_large_messages_also_from_another_folder() {
    let folder = env::temp_dir().join(format!("interproc-relative-{}", process::id()));
    let [from, to] = [folder.join("from"), folder.join("to")];
    fs::create_dir_all(&from).unwrap();
    fs::create_dir_all(&to).unwrap();

    env::set_current_dir(&from).unwrap();
    let mut queue = Options::new().capacity(65536).open_file("x.queue").unwrap();
    env::set_current_dir(&to).unwrap();
    queue.send_bytes(&[1; 100_000]).unwrap();
    drop(queue);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);

    let mut queue = Options::new().create(false).open_file(from.join("x.queue")).unwrap();
    assert_eq!(queue.try_receive_message().unwrap().unwrap().body(), [1; 100_000]);
    drop(queue);
    env::set_current_dir("/").unwrap();
    fs::remove_dir_all(folder).unwrap();
}
