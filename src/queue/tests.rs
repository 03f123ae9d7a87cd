//! Work queues in one process: order, room, batches, leases, waiting, damage.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::member::{Sleeper, block};
use super::record::{Head, message_head, message_size};
use super::ring::Claim;
use super::state::Status;
use super::{Flags, New, Sent, Work};
use crate::shm::{Name, Place};
use proptest::prelude::*;

pub(crate) fn unique(what: &str) -> Place {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    Place::Name(Name::new(&format!("{what} {} {count} {since}", std::process::id())).unwrap())
}

pub(crate) fn new(capacity: u64) -> Option<New> {
    Some(New { capacity, persistent: false, flags: Flags::default() })
}

fn with_ack(capacity: u64) -> Option<New> {
    Some(New { capacity, persistent: false, flags: Flags { ack: true, ..Flags::default() } })
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

/// Leases all there is and finishes; bodies as text.
fn receive_all(work: &mut Work) -> Vec<String> {
    let mut found = Vec::new();
    while work.lease(1000, 1 << 20).unwrap() > 0 {
        found.extend(copied(work).into_iter().map(|(body, _)| String::from_utf8(body).unwrap()));
        work.finish().unwrap();
    }
    found
}

fn copied(work: &mut Work) -> Vec<(Vec<u8>, u64)> {
    let mut bytes = vec![0; work.leased_bytes()];
    let mut places = Vec::new();
    work.copy(&mut bytes, |delivery| places.push(*delivery)).unwrap();
    places.iter().map(|place| (bytes[place.offset..place.offset + place.length].to_vec(), place.id)).collect()
}

pub(crate) fn wire(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in bodies {
        bytes.extend_from_slice(&message_head(body.len(), 0));
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

#[test]
fn what_is_sent_is_received_in_order() {
    let place = unique("order");
    let (mut sender, created) = Work::join(&place, new(1 << 16)).unwrap();
    assert!(created);
    let (mut receiver, created) = Work::join(&place, None).unwrap();
    assert!(!created);
    for number in 0..100 {
        assert_eq!(sender.send(1, format!("message {number}").as_bytes()).unwrap(), Sent::Yes);
    }
    let bodies: Vec<String> = (0..300).map(|number| format!("batch {number}")).collect();
    let bytes = wire(&bodies.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert_eq!(sender.send_batch(&bytes).unwrap(), (bytes.len(), Sent::Yes));
    let expected: Vec<String> = (0..100).map(|number| format!("message {number}")).chain(bodies).collect();
    assert_eq!(receive_all(&mut receiver), expected);
    assert_eq!(receiver.lease(1, 1).unwrap(), 0);
    let stats = sender.stats();
    assert_eq!((stats.sent, stats.received, stats.used), (400, 400, 0));
}

#[test]
fn a_wakeup_goes_on_from_one_who_leaves() {
    let place = unique("leaving");
    let (mut sender, _) = Work::join(&place, new(4096)).unwrap();
    let mut receivers = [0; 2].map(|_| Work::join(&place, None).unwrap().0);
    receivers.iter().for_each(Work::arm_receiver);
    assert_eq!(sender.send(0, b"hello").unwrap(), Sent::Yes);
    let armed = sender.member().shared.receivers;
    let woken = receivers.iter_mut().position(|receiver| !armed.has(receiver.member().seat)).unwrap();
    let [one, two] = receivers;
    let (leaving, mut other) = if woken == 0 { (one, two) } else { (two, one) };
    drop(leaving);
    assert!(!armed.has(other.member().seat), "nobody is woken for the message");
}

/// An event loop waits at the bell while its thread waits for the same handle in a call.
#[test]
fn a_blocking_call_leaves_the_bell_to_who_waits_for_it() {
    let place = unique("both");
    let (mut sender, mut receiver) = (Work::join(&place, new(4096)).unwrap().0, Work::join(&place, None).unwrap().0);
    receiver.bell().unwrap();
    receiver.arm_receiver();
    let at_once = Some(Instant::now());
    assert_eq!(receiver.lease_blocking(1, 4096, at_once, Duration::ZERO).unwrap(), 0);
    sender.send(0, b"one").unwrap();
    assert!(receiver.bell().unwrap().silence(), "its bit was taken out");
    receiver.arm_receiver();
    sender.send(0, b"two").unwrap();
    receiver.bell().unwrap().silence();
    receiver.arm_receiver();
    // Others woke it by its signal, perhaps, and what the call found was something else.
    assert_eq!(block(&mut receiver, false, soon(), Duration::ZERO, |_| Ok(Some(()))), Ok(Some(())));
    assert!(receiver.bell().unwrap().silence(), "there are messages, and nobody looks");
}

#[test]
fn free_may_pass_a_tail_that_a_killed_sender_did_not_move() {
    let (mut work, _) = Work::join(&unique("tail"), new(4096)).unwrap();
    abandon_claim(work.member());
    assert_eq!(work.lease(1, 4096).unwrap(), 0);
    assert_eq!(work.stats().used, 0);
}

/// As one who is killed between its claim and moving the tail, and is settled then.
pub(crate) fn abandon_claim(member: &super::member::Member) {
    const OWNER: u16 = 500;
    let ring = member.shared.ring;
    let Claim::At(position) = ring.claim(1, OWNER, &mut ring.free()).unwrap() else { panic!("full") };
    ring.tail.store(position, Ordering::Relaxed);
    ring.settle(ring.at(position).unwrap().unwrap(), OWNER, Status::Aborted).unwrap();
}

#[test]
fn a_full_queue_says_so_and_loses_nothing() {
    let (mut work, _) = Work::join(&unique("full"), new(512)).unwrap();
    let mut sent = 0;
    while work.send(0, format!("{sent:080}").as_bytes()).unwrap() == Sent::Yes {
        sent += 1;
    }
    assert_eq!(sent, 4, "8 slots of 64 bytes hold four messages of 80");
    assert_eq!(work.send(0, &[0; 4000]).unwrap(), Sent::TooLarge);
    let batch = wire(&[&[1; 20], &[2; 20]]);
    assert_eq!(work.send_batch(&batch).unwrap(), (0, Sent::Full));
    assert_eq!(receive_all(&mut work).len(), 4);
    assert_eq!(work.send_batch(&batch).unwrap(), (batch.len(), Sent::Yes));
}

#[test]
fn what_was_not_seen_comes_back() {
    let place = unique("give back");
    let (mut one, _) = Work::join(&place, new(1 << 16)).unwrap();
    let (mut two, _) = Work::join(&place, None).unwrap();
    one.send_batch(&wire(&[b"a", b"b", b"c"])).unwrap();
    one.send(0, b"d").unwrap();
    one.send(0, b"e").unwrap();
    assert_eq!(one.lease(10, 1 << 16).unwrap(), 5);
    assert_eq!(two.lease(10, 1 << 16).unwrap(), 0, "leased by the other");
    one.give_back(4).unwrap();
    assert_eq!(receive_all(&mut two), ["e"]);
    one.send_batch(&wire(&[b"a", b"b", b"c"])).unwrap();
    assert_eq!(one.lease(10, 1 << 16).unwrap(), 3);
    one.give_back(1).unwrap();
    assert_eq!(one.lease(10, 1 << 16).unwrap(), 2);
    one.give_back(1).unwrap();
    assert_eq!(receive_all(&mut two), ["c"]);
    // A handle that ends gives back by itself, up to its mark.
    one.send_batch(&wire(&[b"x", b"y", b"z"])).unwrap();
    assert_eq!(one.lease(10, 1 << 16).unwrap(), 3);
    one.mark().store(2, Ordering::Relaxed);
    drop(one);
    assert_eq!(receive_all(&mut two), ["z"]);
}

#[test]
fn an_unacknowledged_message_stays() {
    let place = unique("ack");
    let (mut one, _) = Work::join(&place, with_ack(1 << 16)).unwrap();
    let (mut two, _) = Work::join(&place, None).unwrap();
    assert!(two.flags().ack);
    one.send_batch(&wire(&[b"a", b"b", b"c"])).unwrap();
    assert_eq!(two.lease(2, 1 << 16).unwrap(), 2);
    let ids: Vec<u64> = copied(&mut two).iter().map(|(_, id)| *id).collect();
    two.finish().unwrap();
    assert!(two.ack(ids[0]).unwrap());
    assert!(!two.ack(ids[0]).unwrap());
    assert_eq!(one.lease(5, 1 << 16).unwrap(), 1, "only c is left");
    one.finish().unwrap();
    assert!(two.release(ids[1]).unwrap());
    assert_eq!(two.lease(5, 1 << 16).unwrap(), 1);
    let mut again = false;
    two.view(|delivery| again = delivery.again).unwrap();
    assert!(again);
    two.finish().unwrap();
    drop((one, two));
}

#[test]
fn a_closed_handle_returns_what_it_did_not_acknowledge() {
    let place = unique("ack drop");
    let (mut one, _) = Work::join(&place, with_ack(1 << 16)).unwrap();
    let (mut two, _) = Work::join(&place, None).unwrap();
    one.send(0, b"a").unwrap();
    assert_eq!(two.lease(5, 1 << 16).unwrap(), 1);
    two.finish().unwrap();
    drop(two);
    assert_eq!(one.lease(5, 1 << 16).unwrap(), 1);
}

#[test]
fn a_message_is_acknowledged_before_its_lease_ends() {
    let (mut work, _) = Work::join(&unique("ack early"), with_ack(1 << 16)).unwrap();
    work.send_batch(&wire(&[b"a", b"b", b"c", b"d"])).unwrap();
    assert_eq!(work.lease(4, 1 << 16).unwrap(), 4);
    let ids: Vec<u64> = copied(&mut work).iter().map(|(_, id)| *id).collect();
    assert!(work.ack(ids[0]).unwrap());
    assert!(work.release(ids[1]).unwrap());
    // It has a, b and c; d goes back.
    work.give_back(3).unwrap();
    assert!(!work.ack(ids[0]).unwrap());
    assert!(work.ack(ids[2]).unwrap());
    assert_eq!(receive_all(&mut work), ["b", "d"]);
    drop(work);
}

#[test]
fn a_view_shows_what_a_copy_has() {
    let (mut work, _) = Work::join(&unique("view"), new(1 << 16)).unwrap();
    work.send_batch(&wire(&[b"one", b"", b"three"])).unwrap();
    work.send(9, b"four").unwrap();
    assert_eq!(work.lease(10, 1 << 16).unwrap(), 4);
    let mut places = Vec::new();
    work.view(|delivery| places.push(*delivery)).unwrap();
    let (start, length) = work.slots();
    let seen: Vec<Vec<u8>> = places
        .iter()
        .map(|place| {
            assert!(place.offset + place.length <= length);
            let mut body = vec![0; place.length];
            // SAFETY: inside the slots.
            let from = unsafe { start.add(place.offset) };
            // SAFETY: as long as the message is, which nobody writes now.
            unsafe { from.copy_to_nonoverlapping(body.as_mut_ptr(), place.length) };
            body
        })
        .collect();
    assert_eq!(seen, copied(&mut work).into_iter().map(|(body, _)| body).collect::<Vec<_>>());
    assert_eq!(places[3].tag, 9);
}

#[test]
fn a_blocked_receiver_is_woken_and_a_blocked_sender_too() {
    let place = unique("block");
    let (mut receiver, _) = Work::join(&place, new(512)).unwrap();
    let (mut sender, _) = Work::join(&place, None).unwrap();
    let worker = thread::spawn(move || {
        for number in 0u64..2000 {
            assert_eq!(sender.send_blocking(0, &number.to_le_bytes(), soon()).unwrap(), Sent::Yes);
        }
    });
    let mut next = 0;
    while next < 2000 {
        assert!(receiver.lease_blocking(3, 1 << 16, soon(), Duration::ZERO).unwrap() > 0, "stalled at {next}");
        for (body, _) in copied(&mut receiver) {
            assert_eq!(body, u64::to_le_bytes(next));
            next += 1;
        }
        receiver.finish().unwrap();
    }
    worker.join().unwrap();
    assert_eq!(receiver.lease_blocking(3, 1, Some(Instant::now()), Duration::ZERO).unwrap(), 0);
}

/// A receiver that passes by a record which is being written must not take a later one of the same sender first.
#[test]
fn a_receiver_beside_the_sender_keeps_the_order() {
    const COUNT: u64 = 400_000;
    let place = unique("beside");
    let (mut receiver, _) = Work::join(&place, new(1 << 12)).unwrap();
    let (mut sender, _) = Work::join(&place, None).unwrap();
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            assert_eq!(sender.send_blocking(0, &number.to_le_bytes(), soon()).unwrap(), Sent::Yes);
        }
    });
    let mut next = 0;
    while next < COUNT {
        receiver.lease_blocking(1000, 1 << 12, soon(), Duration::from_micros(20)).unwrap();
        for (body, _) in copied(&mut receiver) {
            assert_eq!(u64::from_le_bytes(body.try_into().unwrap()), next);
            next += 1;
        }
        receiver.finish().unwrap();
    }
    sending.join().unwrap();
}

/// The same where it is likely: the walk from the one to the other is long.
#[test]
fn no_message_overtakes_another_of_its_sender_in_one_lease() {
    const BETWEEN: usize = 500;
    let place = unique("overtaking");
    let (mut receiver, _) = Work::join(&place, new(1 << 17)).unwrap();
    let [mut late, mut other] = [0; 2].map(|_| Work::join(&place, None).unwrap().0);
    let (shared, seat) = (late.member().shared, late.member().seat);
    for round in 0..200 {
        let Claim::At(position) = shared.ring.claim(1, seat, &mut shared.ring.free()).unwrap() else { panic!("full") };
        for _ in 0..BETWEEN {
            assert_eq!(other.send(0, b"between").unwrap(), Sent::Yes);
        }
        let begin = Barrier::new(2);
        let found = thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let (mut tags, mut count) = (Vec::new(), 0);
                begin.wait();
                while count < BETWEEN + 2 {
                    assert!(receiver.lease_blocking(u32::MAX, 1 << 20, soon(), Duration::ZERO).unwrap() > 0, "stalled");
                    let mut bytes = vec![0; receiver.leased_bytes()];
                    receiver.copy(&mut bytes, |delivery| (tags.push(delivery.tag), count += 1).1).unwrap();
                    receiver.finish().unwrap();
                }
                tags.retain(|tag| *tag > 0);
                tags
            });
            begin.wait();
            (0..round % 50 * 20).for_each(|_| std::hint::spin_loop());
            let head = Head { count: 1, length: message_size(0) as u64, ..Head::default() };
            shared.write(position, 0, &[head.encode().as_slice(), &message_head(0, 1)].concat()).unwrap();
            shared.ring.commit(position, 1, seat);
            assert_eq!(late.send(2, b"").unwrap(), Sent::Yes);
            receiving.join().unwrap()
        });
        assert_eq!(found, [1, 2]);
    }
}

#[test]
fn many_senders_and_receivers_lose_nothing() {
    const SENDERS: u64 = 3;
    const EACH: u64 = 5000;
    let place = unique("many");
    let (_keep, _) = Work::join(&place, new(1 << 14)).unwrap();
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let (mut work, _) = Work::join(&place, None).unwrap();
            thread::spawn(move || {
                let mut found = Vec::new();
                loop {
                    work.lease_blocking(50, 1 << 12, soon(), Duration::ZERO).unwrap();
                    let bodies = copied(&mut work);
                    work.finish().unwrap();
                    assert!(!bodies.is_empty(), "stalled");
                    for (body, _) in bodies {
                        if body.is_empty() {
                            return found;
                        }
                        found.push(u64::from_le_bytes(body[..8].try_into().unwrap()));
                    }
                }
            })
        })
        .collect();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (mut work, _) = Work::join(&place, None).unwrap();
            thread::spawn(move || {
                for number in 0..EACH {
                    let mut body = (sender * EACH + number).to_le_bytes().to_vec();
                    body.resize(8 + usize::try_from(number % 200).unwrap(), 7);
                    assert_eq!(work.send_blocking(0, &body, soon()).unwrap(), Sent::Yes);
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let (mut last, _) = Work::join(&place, None).unwrap();
    for _ in 0..receivers.len() {
        // One at a time: a receiver that ends takes no other's end along.
        assert_eq!(last.send_blocking(0, b"", soon()).unwrap(), Sent::Yes);
        thread::sleep(Duration::from_millis(20));
    }
    let found: Vec<u64> = receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
    assert_eq!(found.len() as u64, SENDERS * EACH);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len() as u64, SENDERS * EACH);
}

#[test]
fn an_armed_receiver_hears_the_bell() {
    let place = unique("bell");
    let (mut receiver, _) = Work::join(&place, new(1 << 14)).unwrap();
    let (mut sender, _) = Work::join(&place, None).unwrap();
    let rings = |bell: &super::Bell| {
        let mut fds = [rustix::event::PollFd::new(bell, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    sender.send(0, b"x").unwrap();
    assert!(!rings(receiver.bell().unwrap()), "nobody was armed");
    receiver.arm_receiver();
    sender.send(0, b"y").unwrap();
    sender.send(0, b"z").unwrap();
    assert!(rings(receiver.bell().unwrap()));
    receiver.bell().unwrap().silence();
    assert!(!rings(receiver.bell().unwrap()));
    receiver.disarm_receiver();
    let path = receiver.aux().path("");
    drop((receiver, sender));
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(path.as_os_str().as_encoded_bytes())
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Scribbles over a queue's segment while it is used: errors at worst, and every reported message lies inside.
    #[test]
    fn a_damaged_queue_is_an_error_at_worst(
        places in prop::collection::vec((any::<u32>(), any::<u64>(), 0u8..4), 1..40),
        ack: bool,
    ) {
        let flags = Flags { ack, ..Flags::default() };
        let (mut work, _) = Work::join(&unique("fuzz"), Some(New { capacity: 4096, persistent: false, flags })).unwrap();
        for (number, (at, word, how)) in places.into_iter().enumerate() {
            let _ = work.send(0, &[5; 100]);
            let _ = work.send_batch(&wire(&[&[1; 30], &[2; 70]]));
            let segment = std::sync::Arc::clone(work.segment());
            let region = segment.region();
            // Words of the whole, states, and slots each get their share.
            let (from, to) = [(64, 512), (66048, 66048 + 512), (69632, 69632 + 4096), (512, 66048)][usize::from(how)];
            let at = from + at as usize % (to - from) / 8 * 8;
            let value = if word % 3 == 0 { word } else { region.atomic_u64(at).unwrap().load(Ordering::Relaxed) ^ 1 << (word % 64) };
            region.atomic_u64(at).unwrap().store(value, Ordering::Relaxed);
            if let Ok(1..) = work.lease(5, 1000) {
                let room = work.leased_bytes();
                prop_assert!(room <= 4096);
                let mut bytes = vec![0; room];
                work.copy(&mut bytes, |delivery| assert!(delivery.offset + delivery.length <= room)).unwrap();
                let limit = work.slots().1;
                work.view(|delivery| assert!(delivery.offset + delivery.length <= limit)).unwrap();
            }
            let _ = work.give_back(u32::try_from(number).unwrap() % 3);
            work.look_around();
            work.stats();
        }
    }
}

#[test]
fn sizes_add_up() {
    assert_eq!(message_size(0), 8);
    assert_eq!(message_size(64), 72);
}
