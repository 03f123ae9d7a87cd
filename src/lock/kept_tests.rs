//! A part of the table is kept by a process that was stopped amid a change: what others can do meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::named::get_in;
use super::outcome::Patience;
use super::record::{Key, Mode};
use super::table::{BRIEF, Table};
use super::tests::{ask, random_name, watchdog};
use super::{Answer, Id, Outcome};
use crate::shm::Name;

const LOOP: Patience = Patience::Loop(BRIEF);

/// Runs `task` while the part with `name` is kept, by a thread that stands for another, living process.
fn while_kept(table: &Table, name: &[u8], task: impl FnOnce()) {
    table.with(Key::new(name).unwrap().shard(), Patience::Endless, |_| task()).unwrap();
}

fn table() -> Arc<Table> {
    Arc::new(Table::open(Name::new(&random_name()).unwrap()).unwrap())
}

fn request(table: &Table, name: &[u8], mode: Mode) -> Id {
    match table.request(name, &ask(mode), LOOP) {
        Outcome::Held { id, .. } | Outcome::Waiting { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_loop_is_told_that_it_is_busy_and_does_not_wait_again() {
    let _end = watchdog(Duration::from_secs(60));
    let table = table();
    while_kept(&table, b"a", || {
        assert_eq!(table.request(b"a", &ask(Mode::Exclusive), LOOP), Outcome::Busy);
        // Each of these waiting again would take more than the watchdog's time.
        for _ in 0..10_000 {
            assert_eq!(table.request(b"a", &ask(Mode::Exclusive), LOOP), Outcome::Busy);
        }
        let past = Some(Instant::now());
        assert_eq!(table.request(b"a", &ask(Mode::Exclusive), past), Outcome::Busy);
        assert_eq!(table.notify(b"a", 1, LOOP), Some(0), "nobody waits there");
    });
    assert!(matches!(table.request(b"a", &ask(Mode::Exclusive), LOOP), Outcome::Held { .. }));
}

#[test]
fn other_parts_go_on() {
    let _end = watchdog(Duration::from_secs(60));
    let table = table();
    let other =
        (0..100_u32).map(|i| i.to_string()).find(|name| Table::shard_of(name.as_bytes()) != Table::shard_of(b"a"));
    while_kept(&table, b"a", || {
        let id = request(&table, other.as_ref().unwrap().as_bytes(), Mode::Exclusive);
        assert_eq!(table.end(id, LOOP), Some(Answer::Held { after_death: false }));
    });
}

#[test]
fn what_is_there_can_be_listed_and_looked_at() {
    let _end = watchdog(Duration::from_secs(60));
    let table = table();
    let held = request(&table, b"a", Mode::Exclusive);
    let waits = request(&table, b"a", Mode::Exclusive);
    while_kept(&table, b"a", || {
        let list: Vec<_> = table.list().into_iter().map(|entry| (entry.key, entry.held)).collect();
        assert_eq!(list, [(b"a".to_vec(), true), (b"a".to_vec(), false)]);
        assert_eq!((table.look(held), table.look(waits)), (Answer::Held { after_death: false }, Answer::Waiting));
        assert_eq!(table.end(held, LOOP), None);
        assert_eq!(table.cancel(waits, LOOP), None);
        table.check(waits, LOOP);
    });
    assert_eq!(table.end(held, LOOP), Some(Answer::Held { after_death: false }));
    assert_eq!(table.look(waits), Answer::Held { after_death: false });
}

#[test]
fn what_an_ended_thread_held_goes_to_the_next_afterwards() {
    let _end = watchdog(Duration::from_secs(60));
    let table = table();
    let held = request(&table, b"a", Mode::Exclusive);
    let waits = request(&table, b"a", Mode::Exclusive);
    while_kept(&table, b"a", || {
        table.abandon(held);
        assert_eq!(table.look(waits), Answer::Waiting);
    });
    // Nobody else of this process asks for that part of the table.
    while table.look(waits) == Answer::Waiting {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(table.look(waits), Answer::Held { after_death: true });
}

#[test]
fn a_blocked_thread_comes_back_in_time_and_what_it_had_is_given_back_afterwards() {
    let _end = watchdog(Duration::from_secs(60));
    let table = table();
    let exclusive = ask(Mode::Exclusive);
    let hold = get_in(Arc::clone(&table), "a", &exclusive, None).unwrap().unwrap();
    let other = Arc::clone(&table);
    let late = std::thread::spawn(move || {
        let until = Some(Instant::now() + Duration::from_millis(200));
        get_in(other, "a", &ask(Mode::Exclusive), until).unwrap().is_none()
    });
    while table.list().len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    while_kept(&table, b"a", || {
        assert!(late.join().unwrap(), "it has not got it");
        drop(hold);
    });
    while !table.list().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let again = get_in(Arc::clone(&table), "a", &exclusive, None).unwrap().unwrap();
    assert!(!again.after_death, "nobody died");
}
