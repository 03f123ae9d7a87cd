//! A part of the table has an end, and what was refused or lost takes no room.

use super::named::give_up;
use super::record::{Mode, RECORDS};
use super::tests::{ask, get, queue, table, verify};
use super::{Answer, Ask, Outcome, Table};

#[test]
fn a_full_shard_is_an_answer() {
    let table = table();
    let mut ids = vec![get(&table, "x", Mode::Exclusive)];
    let full = loop {
        match table.request(b"x", &ask(Mode::Exclusive), None) {
            Outcome::Waiting { id, .. } => ids.push(id),
            other => break other,
        }
    };
    assert_eq!(full, Outcome::Full);
    assert_eq!(ids.len(), RECORDS);
    table.cancel(ids.pop().unwrap(), None);
    queue(&table, "x", Mode::Exclusive);
    assert_eq!(table.request(&[b'x'; 201], &ask(Mode::Exclusive), None), Outcome::Full);
}

#[test]
fn waits_leave_room_for_locks() {
    let table = table();
    let wait = |table: &Table| table.wait(b"w", 0, None, &|| true);
    let ids = std::iter::from_fn(|| match wait(&table) {
        Outcome::Waiting { id, .. } => Some(id),
        other => {
            assert_eq!(other, Outcome::Full);
            None
        }
    });
    let ids: Vec<_> = ids.take(RECORDS).collect();
    assert_eq!(ids.len(), RECORDS - RECORDS / 4);
    let same = (0..100_u32).map(|i| i.to_string());
    let mut same = same.filter(|name| Table::shard_of(name.as_bytes()) == Table::shard_of(b"w"));
    for _ in 0..RECORDS / 4 {
        get(&table, &same.next().unwrap(), Mode::Exclusive);
    }
    assert_eq!(table.end(ids[0], None), Some(Answer::Waiting));
    assert!(matches!(wait(&table), Outcome::Waiting { .. }));
    verify(&table, RECORDS);
}

#[test]
fn who_gives_up_what_was_stolen_leaves_nothing() {
    let table = table();
    let holder = get(&table, "x", Mode::Exclusive);
    let waiting = queue(&table, "x", Mode::Exclusive);
    table.end(holder, None);
    let steal = Ask { steal: true, ..ask(Mode::Exclusive) };
    let Outcome::Held { id: thief, .. } = table.request(b"x", &steal, None) else { panic!("not stolen") };
    assert_eq!(give_up(&table, waiting, None), Some(Answer::Stolen));
    verify(&table, 1);
    table.end(thief, None);
    verify(&table, 0);
}
