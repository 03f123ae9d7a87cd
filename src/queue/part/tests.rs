//! Parts in one process: used again, held, waited for, swept.

use std::io::{ErrorKind, Write};

use super::*;
use crate::queue::member::Sleeper;
use crate::queue::tests::unique;
use crate::queue::{Flags, Loan, New, Sent, Work};
use crate::shm::Place;

const CAPACITY: u64 = 1 << 16;
const SIZE: usize = 30_000;
const BIG: usize = 9 << 20;

fn open(place: &Place, ack: bool) -> Work {
    let flags = Flags { ack, ..Flags::default() };
    Work::join(place, Some(New { capacity: CAPACITY, persistent: false, flags })).unwrap().0
}

fn parts(work: &Work) -> usize {
    work.aux().names(PREFIX).unwrap().len()
}

/// The id of the only message of a lease.
fn lease(work: &mut Work) -> u64 {
    assert_eq!(work.lease(1, 1 << 20).unwrap(), 1);
    let mut bytes = vec![0; work.leased_bytes()];
    let mut id = None;
    work.copy(&mut bytes, |delivery| id = Some(delivery.id)).unwrap();
    id.unwrap()
}

fn receive(work: &mut Work) -> Part {
    let id = lease(work);
    let part = work.part(id).unwrap();
    work.finish().unwrap();
    part
}

#[test]
fn files_are_used_again() {
    let place = unique("parts again");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    for round in 0..20 {
        let size = SIZE + usize::from(round) * 100;
        assert_eq!(sender.send_any(0, &vec![round; size]).unwrap(), Sent::Yes);
        assert_eq!(receive(&mut receiver).to_vec().unwrap(), vec![round; size]);
    }
    assert_eq!(parts(&sender), 1);
}

#[test]
fn who_sits_where_a_writer_sat_does_not_keep_its_files() {
    let place = unique("parts reseated");
    // Two handles of one process at one seat, one after the other.
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    sender.send_any(0, &[1; SIZE]).unwrap();
    drop(sender);
    let next = open(&place, false);
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), [1; SIZE]);
    assert_eq!(parts(&next), 0);
}

/// In a file the next message would not be waited for until it is on the disk.
#[test]
fn what_was_not_sent_is_written_again_but_in_a_file() {
    let path = std::env::temp_dir().join(format!("interproc-unsent-{}", std::process::id()));
    for (place, kept) in [(unique("parts unsent"), 1), (Place::File(path.clone()), 0)] {
        let mut work = open(&place, false);
        let member = work.member();
        let mut pool = Pool::new(member.shared, &member.segment, member.aux(), member.seat);
        let part = pool.write(&[1; SIZE]).unwrap().unwrap();
        pool.unsent(part);
        assert_eq!(parts(&work), kept);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn nobody_writes_to_what_is_held() {
    let place = unique("parts held");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    let mut held = Vec::new();
    for round in 0..10 {
        sender.send_any(0, &[round; SIZE]).unwrap();
        held.push(receive(&mut receiver));
    }
    for (round, part) in (0..).zip(&held) {
        assert_eq!(part.to_vec().unwrap(), [round; SIZE]);
    }
    let count = parts(&sender);
    assert_eq!(count, 10);
    held.truncate(1);
    for round in 10..20 {
        sender.send_any(0, &[round; SIZE]).unwrap();
        assert_eq!(receive(&mut receiver).to_vec().unwrap(), [round; SIZE]);
    }
    assert_eq!(parts(&sender), count);
    assert_eq!(held[0].to_vec().unwrap(), [0; SIZE]);
    // It outlives both handles.
    drop((sender, receiver));
    assert_eq!(held[0].to_vec().unwrap(), [0; SIZE]);
}

#[test]
fn what_comes_again_is_as_it_was_sent() {
    let place = unique("parts redelivered");
    let (mut sender, mut first, mut second) = (open(&place, true), open(&place, true), open(&place, true));
    sender.send_any(0, &[1; SIZE]).unwrap();
    let id = lease(&mut first);
    let part = first.part(id).unwrap();
    first.finish().unwrap();
    // SAFETY: its own memory, SIZE bytes long.
    unsafe { part.as_ptr().write_bytes(9, SIZE) };
    assert!(first.release(id).unwrap());
    let id = lease(&mut second);
    assert_eq!(second.part(id).unwrap().to_vec().unwrap(), [1; SIZE]);
    second.finish().unwrap();
    assert!(second.ack(id).unwrap());
    // The first still reads it.
    sender.send_any(0, &[2; SIZE]).unwrap();
    assert_eq!(part.to_vec().unwrap(), [9; SIZE]);
    assert_eq!(parts(&sender), 2);
}

#[test]
fn a_sender_waits_for_its_large_messages() {
    let place = unique("parts bounded");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    // More than half of what may be queued each: two of them.
    for expected in [Sent::Yes, Sent::Yes, Sent::Full] {
        assert_eq!(sender.send_any(0, &vec![0; BIG]).unwrap(), expected);
    }
    assert_eq!(sender.send(0, b"small").unwrap(), Sent::Yes);
    drop(receive(&mut receiver));
    assert_eq!(sender.send_any(0, &vec![0; BIG]).unwrap(), Sent::Yes);
    assert_eq!(sender.send_any(0, &vec![0; BIG]).unwrap(), Sent::Full);
    let deadline = Some(std::time::Instant::now() + std::time::Duration::from_millis(20));
    assert_eq!(sender.send_blocking(0, &vec![0; BIG], deadline).unwrap(), Sent::Full);
}

#[test]
fn a_message_outlives_its_writer_and_its_file_goes_then() {
    let place = unique("parts left");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    sender.send_any(0, &[1; SIZE]).unwrap();
    drop(receive(&mut receiver));
    sender.send_any(0, &[2; SIZE]).unwrap();
    sender.send_any(0, &[3; SIZE]).unwrap();
    drop(sender);
    assert_eq!(parts(&receiver), 2, "those that are in the queue");
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), [2; SIZE]);
    assert_eq!(parts(&receiver), 1);
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), [3; SIZE]);
    assert_eq!(parts(&receiver), 0);
}

#[test]
fn what_no_message_names_is_swept() {
    let place = unique("parts swept");
    let mut sender = open(&place, false);
    sender.send_any(0, &[1; SIZE]).unwrap();
    // As of a participant that is gone: it was killed before its message was in the queue.
    let lost = Name { writer: 0xdead_0000_0001, number: 7 * SEATS as u64 + 5, length: 0 };
    std::fs::File::create_new(lost.path(sender.aux())).unwrap().write_all(b"lost").unwrap();
    let foreign = sender.aux().path("part-something else");
    std::fs::File::create_new(&foreign).unwrap();
    assert_eq!(parts(&sender), 3);
    let mut receiver = open(&place, false);
    assert_eq!(parts(&sender), 2);
    assert!(foreign.exists() && !lost.path(sender.aux()).exists());
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), [1; SIZE]);
}

#[test]
fn loans_are_sent_or_go() {
    let place = unique("loans");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    for round in 0..5 {
        let mut loan = sender.lend(SIZE).unwrap();
        assert_eq!(loan.len(), SIZE);
        loan.bytes_mut().fill(round);
        assert!(sender.send_loan(0, loan, SIZE - 1).unwrap().is_none());
        assert_eq!(receive(&mut receiver).to_vec().unwrap(), [round; SIZE - 1]);
    }
    assert_eq!(parts(&sender), 1);
    let nothing = sender.lend(SIZE).unwrap();
    assert!(sender.send_loan(0, nothing, 0).is_err());
    let mut other = open(&place, false);
    let foreign = other.lend(SIZE).unwrap();
    assert!(sender.send_loan(0, foreign, SIZE).is_err());
    drop(other);
    assert_eq!(receiver.lease(1, SIZE).unwrap(), 0);
    let (unsent, late) = (sender.lend(SIZE).unwrap(), sender.lend(SIZE).unwrap());
    assert_eq!(parts(&sender), 2);
    drop(unsent);
    assert_eq!(parts(&sender), 1);
    let aux = std::sync::Arc::clone(sender.aux());
    drop((sender, receiver));
    drop(late);
    assert_eq!(aux.names(PREFIX).unwrap(), Vec::<String>::new());
}

#[test]
fn a_loan_comes_back_where_there_is_no_room() {
    let place = unique("loans full");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    let lend = |sender: &mut Work, byte: u8| -> Loan {
        let mut loan = sender.lend(BIG).unwrap();
        loan.bytes_mut().fill(byte);
        loan
    };
    for byte in 0..2 {
        let loan = lend(&mut sender, byte);
        assert!(sender.send_loan(0, loan, BIG).unwrap().is_none());
    }
    let loan = lend(&mut sender, 2);
    let back = sender.send_loan(0, loan, BIG).unwrap().expect("two are the most");
    drop(receive(&mut receiver));
    assert!(sender.send_loan(0, back, BIG).unwrap().is_none());
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), vec![1; BIG]);
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), vec![2; BIG]);
}

#[test]
fn names_that_lie_are_errors() {
    let place = unique("parts damaged");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    sender.send_any(0, &[1; SIZE]).unwrap();
    let there = Name::parse(&sender.aux().names(PREFIX).unwrap()[0]).unwrap();
    let names = [
        Name { length: 1 << 20, ..there },
        Name { length: u64::MAX, ..there },
        Name { length: 0, ..there },
        Name { number: there.number + 1, length: 5, ..there },
    ];
    for name in names {
        sender.send(PART, &name.encode()).unwrap();
    }
    sender.send(PART, b"short").unwrap();
    // What the file has behind the body is never shown: each bit of a name, in its check too, counts.
    let good = Name { length: SIZE as u64, ..there }.encode();
    for bit in 0..NAME_LEN * 8 {
        let mut name = good;
        name[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Name::decode(&name), None);
        sender.send(PART, &name).unwrap();
    }
    drop(receive(&mut receiver));
    for _ in 0..names.len() + 1 + NAME_LEN * 8 {
        let id = lease(&mut receiver);
        assert!(matches!(receiver.part(id).unwrap_err().kind(), ErrorKind::InvalidData | ErrorKind::NotFound));
        receiver.finish().unwrap();
    }
    assert_eq!(Name::parse("part-1-2"), None);
    assert_eq!(Name::parse("bell-1-2"), None);
    assert_eq!(Name::decode(&there.encode()), Some(there));
}

#[test]
fn memory_is_given_up() {
    let place = unique("parts trimmed");
    let (mut sender, mut receiver) = (open(&place, false), open(&place, false));
    sender.send_any(0, &[1; SIZE]).unwrap();
    let held = receive(&mut receiver);
    sender.send_any(0, &[2; SIZE]).unwrap();
    assert!(!receiver.trim(std::time::Duration::ZERO));
    assert!(sender.trim(std::time::Duration::ZERO), "one message is in the queue");
    assert_eq!(parts(&sender), 1);
    assert_eq!(held.to_vec().unwrap(), [1; SIZE]);
    assert_eq!(receive(&mut receiver).to_vec().unwrap(), [2; SIZE]);
    assert!(!sender.trim(std::time::Duration::ZERO));
    assert_eq!(parts(&sender), 0);
}
