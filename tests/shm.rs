//! Segments between real processes: shared bytes, killed and stopped users, hostile files, races.
#![cfg(unix)]

mod shm_child;

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use interproc::shm::{
    self, Create, CreateError, Health, Kind, Name, Open, OpenError, Place, PrivateView, Region, Removal, Segment,
};
use shm_child::{Child, random_name};

const OPEN: Open<'static> = Open { kind: Kind::BUFFER, recover: &|_, _| {} };

fn buffer(size: u64) -> Create<'static> {
    Create { kind: Kind::BUFFER, size, persistent: false, params: [0; 8], init: &|_| {} }
}

fn named() -> Place {
    Place::Name(Name::new(&random_name()).unwrap())
}

fn text(place: &Place) -> &str {
    match place {
        Place::Name(name) => name.as_str(),
        _ => unreachable!("tests name their segments"),
    }
}

/// The file behind a segment on Linux, found by what the list says.
fn file_of(place: &Place) -> PathBuf {
    let info = listed(place).expect("the segment is listed");
    PathBuf::from("/dev/shm").join(info.file_name)
}

fn listed(place: &Place) -> Option<shm::Info> {
    shm::list().unwrap().into_iter().find(|info| info.name.as_deref() == Some(text(place)))
}

/// The lock that keeps the file from the sweeps of other tests as long as it is open.
fn held_from_sweepers(place: &Place) -> std::fs::File {
    let file = std::fs::File::open(file_of(place)).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockShared).unwrap();
    file
}

#[test]
fn another_process_sees_the_same_bytes() {
    let place = named();
    let segment = Segment::create(&place, &buffer(100_000)).unwrap();
    assert_eq!(segment.region().len(), 100_000);
    segment.region().copy_in(99_999, b"!").unwrap();
    let mut child = Child::start("serve", &[text(&place)]);
    assert_eq!(child.ask("read 99999"), "33");
    assert_eq!(child.ask("write 5 77"), "ok");
    let mut byte = [0];
    segment.region().copy_out(5, &mut byte).unwrap();
    assert_eq!(byte, [77]);
    let users = segment.users().unwrap();
    assert_eq!(users.len(), 2);
    assert!(users.iter().any(|user| user.pid == child.pid() && user.alive));
    let mut by_ticket = Child::start("serve", &[&segment.ticket().unwrap().to_string()]);
    assert_eq!(by_ticket.ask("read 5"), "77");
}

#[test]
fn the_last_user_takes_the_file_away_whoever_that_is() {
    let place = named();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let mut child = Child::start("serve", &[text(&place)]);
    child.ask("read 0");
    drop(segment);
    assert_eq!(listed(&place).unwrap().health, Health::InUse);
    assert_eq!(child.ask("read 0"), "0");
    child.finish();
    assert_eq!(listed(&place), None);
    assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::NotFound)));
}

#[test]
fn one_process_has_one_segment() {
    let place = named();
    let first = Segment::create(&place, &buffer(10)).unwrap();
    let second = Segment::open(&place, &OPEN).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.users().unwrap().len(), 1);
}

#[test]
fn wrong_places_have_their_errors() {
    let place = named();
    assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::NotFound)));
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    assert!(matches!(Segment::create(&place, &buffer(10)), Err(CreateError::AlreadyExists)));
    let queue = Open { kind: Kind::QUEUE, ..OPEN };
    assert!(matches!(Segment::open(&place, &queue), Err(OpenError::KindMismatch { .. })));
    let ticket = Place::Ticket(segment.ticket().unwrap());
    assert!(matches!(Segment::open(&ticket, &queue), Err(OpenError::KindMismatch { .. })));
    drop(segment);
    let _reborn = Segment::create(&place, &buffer(10)).unwrap();
    assert!(matches!(Segment::open(&ticket, &OPEN), Err(OpenError::NotFound)), "another segment has the name now");
    assert!(matches!(Segment::create(&ticket, &buffer(1)), Err(CreateError::InvalidName(_))));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let place = named();
    let huge = Segment::create(&place, &buffer(1 << 40));
    assert!(matches!(huge, Err(CreateError::NoSpace { needed }) if needed > 1 << 40));
    let absurd = Segment::create(&place, &buffer(u64::MAX));
    assert!(matches!(absurd, Err(CreateError::InvalidSize(u64::MAX))));
    assert_eq!(listed(&place), None);
    Segment::create(&place, &buffer(0)).unwrap();
}

#[test]
fn a_killed_process_leaves_nothing_to_the_next() {
    let place = named();
    let mut child = Child::start("create", &[text(&place)]);
    assert_eq!(child.ask("write 0 1"), "ok");
    let held = held_from_sweepers(&place);
    child.kill();
    let left = listed(&place).unwrap();
    assert_eq!(left.health, Health::Orphan);
    assert!(!left.users[0].alive);
    // Closing is not enough: a child that another test starts has the open file until it runs its own program.
    rustix::fs::flock(&held, rustix::fs::FlockOperation::Unlock).unwrap();
    assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::NotFound)));
    assert_eq!(listed(&place), None);

    let mut child = Child::start("create", &[text(&place)]);
    assert_eq!(child.ask("write 0 1"), "ok");
    child.kill();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let mut byte = [9];
    segment.region().copy_out(0, &mut byte).unwrap();
    assert_eq!(byte, [0], "new memory, not the dead one's");
    drop(segment);

    let mut child = Child::start("create", &[text(&place)]);
    assert_eq!(child.ask("write 0 1"), "ok");
    child.kill();
    let mine = |info: &shm::Info| info.name.as_deref() == Some(text(&place));
    // Another test's creation may sweep it before us: gone is what counts.
    let removed = shm::cleanup().unwrap();
    assert!(removed.iter().filter(|info| mine(info)).count() <= 1);
    assert_eq!(listed(&place), None);
}

/// Sweepers hold each file that they look at for a moment. Nobody may take them for its users.
#[test]
fn a_killed_users_name_is_free_at_once_although_others_sweep() {
    let place = named();
    let mut sweepers: Vec<_> = (0..3).map(|_| Child::start("sweep", &[text(&place)])).collect();
    for round in 0..60 {
        let mut child = Child::start("create", &[text(&place)]);
        assert_eq!(child.ask("write 0 1"), "ok");
        child.kill();
        match round % 3 {
            0 => drop(Segment::create(&place, &buffer(10)).unwrap()),
            1 => assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::NotFound)), "round {round}"),
            _ => match shm::remove(&place, false) {
                Ok(Removal::Removed) | Err(OpenError::NotFound) => {}
                other => panic!("round {round}: {other:?}"),
            },
        }
        assert_eq!(listed(&place), None, "round {round}");
    }
    for sweeper in &mut sweepers {
        assert_eq!(sweeper.failure(), None);
        sweeper.kill();
    }
}

#[test]
fn a_stopped_process_is_never_robbed() {
    let place = named();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let mut child = Child::start("serve", &[text(&place)]);
    child.ask("read 0");
    let user = segment.users().unwrap().into_iter().find(|user| user.pid == child.pid()).unwrap();
    child.stop();
    assert!(segment.is_alive(user.participant).unwrap());
    assert_eq!(segment.recover_dead(&|_, _| panic!("it lives")).unwrap(), 0);
    drop(segment);
    shm::cleanup().unwrap();
    assert_eq!(listed(&place).unwrap().health, Health::InUse);
    assert!(matches!(Segment::create(&place, &buffer(10)), Err(CreateError::AlreadyExists)));
    child.go_on();
    assert_eq!(child.ask("read 0"), "0");
}

#[test]
fn the_dead_are_recovered_once_before_their_place_is_used_again() {
    let place = named();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let mut first = Child::start("serve", &[text(&place)]);
    first.ask("read 0");
    let user = segment.users().unwrap().into_iter().find(|user| user.pid == first.pid()).unwrap();
    first.kill();
    assert!(!segment.is_alive(user.participant).unwrap());
    // The child's recovery writes 200 + slot into byte 9.
    let mut second = Child::start("serve", &[text(&place)]);
    assert_eq!(second.ask("read 9"), (200 + user.participant.slot).to_string());
    let now = segment.users().unwrap().into_iter().find(|user| user.pid == second.pid()).unwrap();
    assert_eq!(now.participant.slot, user.participant.slot);
    assert_ne!(now.participant.generation, user.participant.generation);
    assert!(!segment.is_alive(user.participant).unwrap());
    assert!(segment.is_alive(now.participant).unwrap());
    second.kill();
    let seen = Mutex::new(Vec::new());
    let note = |_: Region<'_>, dead: shm::Dead| seen.lock().unwrap().push(dead);
    assert_eq!(segment.recover_dead(&note).unwrap(), 1);
    assert_eq!(segment.recover_dead(&note).unwrap(), 0);
    let seen = seen.into_inner().unwrap();
    assert_eq!((seen.len(), seen[0].participant, seen[0].pid), (1, now.participant, second.pid()));
}

#[test]
fn a_persistent_segment_waits_for_the_next_user() {
    let place = named();
    let segment = Segment::create(&place, &Create { persistent: true, params: [5; 8], ..buffer(3) }).unwrap();
    segment.region().copy_in(0, b"abc").unwrap();
    drop(segment);
    shm::cleanup().unwrap();
    assert_eq!(listed(&place).unwrap().health, Health::Unused);
    assert!(matches!(Segment::create(&place, &buffer(1)), Err(CreateError::AlreadyExists)));
    let segment = Segment::open(&place, &OPEN).unwrap();
    let mut bytes = [0; 3];
    segment.region().copy_out(0, &mut bytes).unwrap();
    assert_eq!((&bytes, segment.params()), (b"abc", &[5; 8]));
    assert_eq!(shm::remove(&place, false).unwrap(), Removal::InUse);
    assert_eq!(shm::remove(&place, true).unwrap(), Removal::Removed);
    assert!(!segment.linked().unwrap());
    assert!(matches!(shm::remove(&place, true), Err(OpenError::NotFound)));
}

/// All places of the table but one are taken: locks of another open file are what living processes are.
#[test]
#[cfg(target_os = "linux")]
fn a_full_table_takes_nobody_more() {
    let place = named();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(file_of(&place)).unwrap();
    let others = (4096 + 64, 255 * 64);
    lock_range(&file, others, true);
    let refused = Child::start("open", &[text(&place)]).ask("");
    assert_eq!(refused, "FULL");
    lock_range(&file, others, false);
    assert_eq!(Child::start("open", &[text(&place)]).ask(""), "opened");
    assert_eq!(segment.users().unwrap().iter().filter(|user| user.alive).count(), 1);
}

/// A sweeper that was stopped while it held the file: a clear error after some patience, and no harm done.
#[test]
#[cfg(target_os = "linux")]
fn a_stopped_sweeper_is_busy() {
    let (place, file) = locked_file_of_a_dead_user();
    assert!(matches!(Segment::create(&place, &buffer(10)), Err(CreateError::Busy)));
    assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::Busy)));
    assert!(matches!(shm::remove(&place, false), Err(OpenError::Busy)));
    rustix::fs::flock(&file, rustix::fs::FlockOperation::Unlock).unwrap();
    drop(Segment::create(&place, &buffer(10)).unwrap());
}

/// As a sweeper has it. The sweeps of other tests may be faster, and the file is gone: then another one.
#[cfg(target_os = "linux")]
fn locked_file_of_a_dead_user() -> (Place, std::fs::File) {
    use std::os::unix::fs::MetadataExt;
    loop {
        let place = named();
        let mut child = Child::start("create", &[text(&place)]);
        assert_eq!(child.ask("write 0 1"), "ok");
        let file = std::fs::File::open(file_of(&place)).unwrap();
        child.kill();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        if file.metadata().unwrap().nlink() == 1 {
            return (place, file);
        }
    }
}

/// Takes or drops the kernel's lock of `(offset, length)`.
#[cfg(target_os = "linux")]
fn lock_range(file: &std::fs::File, (offset, len): (i64, i64), take: bool) {
    use std::os::fd::AsRawFd;
    // SAFETY: all bits zero are a valid flock: plain integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = if take { libc::F_WRLCK } else { libc::F_UNLCK }.try_into().unwrap();
    (lock.l_start, lock.l_len) = (offset, len);
    // SAFETY: `lock` is a valid flock structure that the kernel only reads; the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_file_of_the_callers_choice_is_a_segment_too() {
    let dir = std::env::temp_dir().join(random_name());
    std::fs::create_dir(&dir).unwrap();
    let place = Place::File(dir.join("segment"));
    let segment = Segment::create(&place, &buffer(5)).unwrap();
    segment.region().copy_in(0, b"hello").unwrap();
    segment.sync().unwrap();
    assert!(segment.ticket().is_none());
    assert!(matches!(Segment::create(&place, &buffer(5)), Err(CreateError::AlreadyExists)));
    drop(segment);
    let segment = Segment::open(&place, &OPEN).unwrap();
    let mut bytes = [0; 5];
    segment.region().copy_out(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    drop(segment);
    // A child that another test starts has our descriptors, and so our locks, until it runs its own program.
    let until = Instant::now() + Duration::from_secs(20);
    while shm::remove(&place, false).unwrap() != Removal::Removed {
        assert!(Instant::now() < until, "still in use");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    std::fs::remove_dir(&dir).unwrap();
}

#[test]
fn a_view_for_reading_shows_others_writes_and_keeps_its_own() {
    let segment = Segment::create(&Place::Anonymous, &buffer(8192)).unwrap();
    let view = PrivateView::new(Arc::clone(&segment)).unwrap();
    segment.region().copy_in(0, &[1]).unwrap();
    // SAFETY: both addresses are inside the view.
    assert_eq!(unsafe { view.as_ptr().read_volatile() }, 1);
    // SAFETY: inside the view, which is writable for this process alone.
    unsafe { view.as_ptr().write_volatile(2) };
    let mut byte = [0];
    segment.region().copy_out(0, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    segment.region().copy_in(4096, &[3]).unwrap();
    // SAFETY: the view has 8192 bytes.
    let second_page = unsafe { view.as_ptr().add(4096) };
    // SAFETY: as above.
    assert_eq!(unsafe { second_page.read_volatile() }, 3, "a page that was not written to still is the shared one");
}

#[test]
#[cfg(target_os = "linux")]
fn foreign_files_are_refused() {
    let place = named();
    let segment = Segment::create(&place, &buffer(10)).unwrap();
    let path = file_of(&place);
    drop(segment);
    let refused = |what: &str| {
        assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::AccessDenied)), "open {what}");
        let created = Segment::create(&place, &buffer(1));
        assert!(matches!(created, Err(CreateError::AccessDenied)), "create over {what}");
        shm::cleanup().unwrap();
        assert!(std::fs::symlink_metadata(&path).is_ok(), "cleanup took {what}");
    };
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    refused("a symbolic link");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("a folder");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("a file that others may read");
    // First the owner, then the mode: a file of ours with mode 0600 would be swept as damaged.
    if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        refused("a file of another user");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn damaged_files_are_errors() {
    // A file of our own: a named one is swept by whoever finds that nobody can open it, other tests among them.
    let path = std::env::temp_dir().join(random_name());
    let place = Place::File(path.clone());
    drop(Segment::create(&place, &buffer(100)).unwrap());
    let good = std::fs::read(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for len in [0, 1, 511, 512, 4096, good.len() - 1] {
        file.set_len(len as u64).unwrap();
        assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::Truncated)), "{len} bytes");
        assert!(shm::list().is_ok());
        file.set_len(0).unwrap();
        file.write_all_at(&good, 0).unwrap();
    }
    for at in 0..368 {
        file.write_all_at(&[good[at] ^ 0x55], at as u64).unwrap();
        assert!(Segment::open(&place, &OPEN).is_err(), "byte {at}");
        file.write_all_at(&good[at..=at], at as u64).unwrap();
    }
    // The table is checked by nobody's trust: garbage there is dead users at most.
    file.write_all_at(&vec![0xa5; 16384], 4096).unwrap();
    let segment = Segment::open(&place, &OPEN).unwrap();
    assert!(segment.users().unwrap().iter().filter(|user| user.alive).count() == 1);
    segment.recover_dead(&|_, _| {}).unwrap();
    drop(segment);
    file.write_all_at(b"XX", 0).unwrap();
    assert!(matches!(Segment::open(&place, &OPEN), Err(OpenError::NotASegment)));
    std::fs::remove_file(&path).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn cleanup_takes_what_nobody_can_open() {
    let place = named();
    let segment = Segment::create(&place, &Create { persistent: true, ..buffer(100) }).unwrap();
    let path = file_of(&place);
    drop(segment);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"XX", 0).unwrap();
    // Another test's sweep may look at it right now, and then removes it.
    let until = Instant::now() + Duration::from_secs(20);
    while path.exists() {
        assert!(Instant::now() < until, "it is still there");
        shm::cleanup().unwrap();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_creator_leaves_a_draft_that_is_swept() {
    let uid = rustix::process::geteuid().as_raw();
    let path = PathBuf::from(format!("/dev/shm/interproc.{uid}.new.{}", random_name()));
    std::fs::write(&path, "half").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(shm::list().unwrap().iter().all(|info| !info.file_name.contains(".new.")));
    // Another test's sweep may look at it right now: then that one removes it.
    let until = Instant::now() + Duration::from_secs(20);
    while path.exists() {
        assert!(Instant::now() < until, "still there");
        shm::cleanup().unwrap();
    }
}

/// Four processes create, open and leave one name as fast as they can, and are killed at random. Nobody may ever see a segment
/// that is not filled, or get an error that means nothing; at the end nothing is left.
#[test]
fn racing_and_killed_processes_never_see_half_a_segment() {
    let place = named();
    let mut children: Vec<_> = (0..4).map(|_| Child::start("race", &[text(&place), "1000000000"])).collect();
    let end = Instant::now() + Duration::from_secs(3);
    let mut turn = 0;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        let victim = &mut children[turn % 4];
        assert_eq!(victim.failure(), None);
        victim.kill();
        *victim = Child::start("race", &[text(&place), "1000000000"]);
        turn += 1;
    }
    for child in &mut children {
        assert_eq!(child.failure(), None);
        child.kill();
    }
    assert!(turn > 10, "{turn} kills");
    shm::cleanup().unwrap();
    assert_eq!(listed(&place), None);
}

#[test]
fn racing_processes_that_end_in_order_leave_nothing() {
    let place = named();
    let children: Vec<_> = (0..4).map(|_| Child::start("race", &[text(&place), "300"])).collect();
    children.into_iter().for_each(Child::finish);
    assert_eq!(listed(&place), None);
}

#[test]
fn two_threads_that_open_at_once_get_the_same() {
    let place = named();
    let mut child = Child::start("create", &[text(&place)]);
    child.ask("read 0");
    let opened: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Segment::open(&place, &OPEN).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|segment| Arc::ptr_eq(segment, &opened[0])));
    assert_eq!(opened[0].users().unwrap().len(), 2);
    let word = opened[0].region().atomic_u32(0).unwrap();
    word.fetch_add(1, SeqCst);
    assert_eq!(child.ask("read 0"), "1");
}

#[test]
fn shm_child_role() {
    shm_child::play();
}
