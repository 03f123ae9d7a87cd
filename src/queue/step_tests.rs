//! A real process is killed before every store and every system call that others can see, one after another: what comes next is
//! whatever a survivor may ever find. [`crash_tests`](super::crash_tests) has the same judge, and names for some of the places.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use super::crash_tests::{check, queue_with_messages, said_by, work};
use super::tests::{new, unique};
use super::{New, Sent, Work};
use crate::shm::{Name, Place};
use crate::sync::steps::LEFT;

/// Looks at what a killed child left, and at what it said before.
type Judge = Box<dyn FnOnce(&str)>;

/// Kills a child before its n-th step, for all n, until one comes to its end. `prepare` gives its queue and its judge. The steps.
fn kill_before_every_step(role: &str, mut prepare: impl FnMut(u32) -> (String, Judge)) -> u32 {
    for step in 0.. {
        let (place, judge) = prepare(step);
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "queue::step_tests::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env("INTERPROC_STEP_ROLE", role)
            .env("INTERPROC_STEP_PLACE", &place)
            .env("INTERPROC_STEP_LEFT", step.to_string())
            .stdin(Stdio::null());
        let output = child.output().unwrap();
        let died = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(libc::SIGKILL);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(died || output.status.success(), "{role} before step {step}: {text}");
        judge(&text);
        if !died {
            return step;
        }
    }
    unreachable!("a child has an end")
}

#[test]
#[ignore = "the body of the child processes of this file"]
fn child() {
    let Ok(role) = std::env::var("INTERPROC_STEP_ROLE") else { return };
    let place = std::env::var("INTERPROC_STEP_PLACE").unwrap();
    let place = match place.strip_prefix("file:") {
        Some(path) => Place::File(path.into()),
        None => Place::Name(Name::new(&place).unwrap()),
    };
    LEFT.store(std::env::var("INTERPROC_STEP_LEFT").unwrap().parse().unwrap(), Ordering::Relaxed);
    match role.as_str() {
        "work" => work(Work::join(&place, None).unwrap().0),
        "recover" => drop(Work::join(&place, None).unwrap().0.look_around()),
        "create" => {
            let (mut made, _) = Work::join(&place, new(4096)).unwrap();
            assert_eq!(made.send(0, b"hello").unwrap(), Sent::Yes);
        }
        other => panic!("no role {other}"),
    }
    LEFT.store(-1, Ordering::Relaxed);
}

fn text(place: &Place) -> String {
    match place {
        Place::Name(name) => name.as_str().to_owned(),
        Place::File(path) => format!("file:{}", path.display()),
        _ => unreachable!("no other is used here"),
    }
}

#[test]
fn a_user_killed_before_any_step_loses_and_doubles_nothing() {
    for ack in [false, true] {
        let steps = kill_before_every_step("work", |step| {
            let place = unique("step");
            let mut parent = queue_with_messages(&place, ack);
            // Someone to be woken.
            parent.arm_receiver();
            (
                text(&place),
                Box::new(move |said| check(&mut parent, &said_by(said), ack, &format!("step {step}, ack {ack}"))),
            )
        });
        assert!(steps > 100, "every store is a step: {steps}");
    }
}

#[test]
fn a_recovery_killed_before_any_step_is_taken_up() {
    for (ack, first) in [(false, 60), (false, 85), (false, 110), (true, 75), (true, 130)] {
        let steps = kill_before_every_step("recover", |step| {
            let place = unique("step twice");
            let mut parent = queue_with_messages(&place, ack);
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "queue::step_tests::child", "--ignored", "--nocapture", "--test-threads=1"])
                .env("INTERPROC_STEP_ROLE", "work")
                .env("INTERPROC_STEP_PLACE", text(&place))
                .env("INTERPROC_STEP_LEFT", first.to_string())
                .output()
                .unwrap();
            let before = String::from_utf8_lossy(&output.stdout).into_owned();
            let what = format!("step {first}, then {step} of the recovery, ack {ack}");
            (text(&place), Box::new(move |_| check(&mut parent, &said_by(&before), ack, &what)))
        });
        assert!(steps > 10, "the recovery was not reached: {steps}");
    }
}

#[test]
fn a_creator_killed_before_any_step_is_in_nobodys_way() {
    let place = unique("step create");
    let Place::Name(name) = &place else { unreachable!() };
    let steps = kill_before_every_step("create", |step| {
        let place = place.clone();
        (
            name.as_str().to_owned(),
            Box::new(move |_| {
                let (mut work, _) = Work::join(&place, new(4096)).unwrap();
                assert_eq!(work.send(0, b"mine").unwrap(), Sent::Yes, "step {step}");
                assert_eq!(work.lease(9, 4096).unwrap(), 1, "step {step}: its name was free again");
                work.finish().unwrap();
            }),
        )
    });
    assert!(steps > 10, "{steps}");
    crate::shm::cleanup().unwrap();
    let left: Vec<_> =
        crate::shm::list().unwrap().into_iter().filter(|info| info.name.as_deref() == Some(name.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A queue in a file is put in order by who opens it first; who is killed at that leaves it to the next.
#[test]
fn a_restoration_killed_before_any_step_is_taken_up() {
    let folder = std::env::temp_dir().join(format!("interproc-step-{}-{:p}", std::process::id(), &raw const LEFT));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("queue");
    let place = Place::File(path.clone());
    let (mut work, _) = Work::join(&place, Some(New { persistent: true, ..new(4096).unwrap() })).unwrap();
    for number in 0..8_u8 {
        assert_eq!(work.send(0, &[number; 100]).unwrap(), Sent::Yes);
    }
    assert_eq!(work.lease(2, 200).unwrap(), 1);
    let mut image = std::fs::read(&path).unwrap();
    drop(work);
    // The third record did not reach the disk.
    let torn = image.windows(100).position(|window| window == [2; 100]).unwrap();
    image[torn] = 9;
    let steps = kill_before_every_step("recover", |step| {
        std::fs::remove_file(&path).unwrap();
        write_private(&path, &image);
        let place = place.clone();
        (
            text(&place),
            Box::new(move |_| {
                let (mut work, _) = Work::join(&place, None).unwrap();
                let mut found = Vec::new();
                while work.lease(9, 4096).unwrap() > 0 {
                    let mut bytes = vec![0; work.leased_bytes()];
                    work.copy(&mut bytes, |delivery| found.push(delivery.offset)).unwrap();
                    let firsts: Vec<u8> = found.drain(..).map(|at| bytes[at]).collect();
                    work.finish().unwrap();
                    assert_eq!(firsts, [0, 1, 3, 4, 5, 6, 7], "step {step}");
                }
                assert_eq!(work.stats().used, 0, "step {step}");
            }),
        )
    });
    assert!(steps > 20, "{steps}");
    std::fs::remove_dir_all(&folder).unwrap();
}

fn write_private(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
