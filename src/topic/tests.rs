//! Topics in one process: order, room, subscribing, missing, waiting, damage.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::{Subscription, Topic, Wish};
use crate::queue::state::{Status, advance};
use crate::queue::tests::{abandon_claim, new, unique, wire};
use crate::queue::{PART, Sent, part};
use proptest::prelude::*;

pub(super) const LOSSY: Wish = Wish { lossy: true, others_only: false };

fn topic(capacity: u64) -> Topic {
    Topic::join(&unique("topic"), new(capacity)).unwrap().0
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(20))
}

/// All there is, as text.
pub(super) fn receive_all(subscription: &mut Subscription) -> Vec<String> {
    let mut found = Vec::new();
    while subscription.lease(1000, 1 << 20).unwrap() > 0 {
        found.extend(copied(subscription).into_iter().map(|body| String::from_utf8(body).unwrap()));
    }
    found
}

pub(super) fn copied(subscription: &mut Subscription) -> Vec<Vec<u8>> {
    let mut bytes = vec![0; subscription.leased_bytes()];
    let mut places = Vec::new();
    subscription.copy(&mut bytes, |delivery| places.push(*delivery));
    subscription.finish();
    places
        .iter()
        .map(|place| {
            if place.tag & PART != 0 {
                return subscription.part(place.id).unwrap().to_vec().unwrap();
            }
            bytes[place.offset..place.offset + place.length].to_vec()
        })
        .collect()
}

fn numbers(bodies: &[Vec<u8>]) -> Vec<u64> {
    bodies.iter().map(|body| u64::from_le_bytes(body[..8].try_into().unwrap())).collect()
}

#[test]
fn everyone_gets_everything_from_its_subscription_on() {
    let mut topic = topic(1 << 16);
    assert_eq!(topic.publish(0, b"before").unwrap(), Sent::Yes);
    let mut one = topic.subscribe(Wish::default()).unwrap();
    assert_eq!(one.lease(1, 1).unwrap(), 0);
    topic.publish(1, b"a").unwrap();
    let mut two = topic.subscribe(LOSSY).unwrap();
    let batch = wire(&[b"b", b"c"]);
    assert_eq!(topic.publish_batch(&batch).unwrap(), (batch.len(), Sent::Yes));
    let mut other = topic.beside().unwrap();
    other.publish(0, b"d").unwrap();
    one.topic().publish(0, b"e").unwrap();
    assert_eq!(receive_all(&mut one), ["a", "b", "c", "d", "e"]);
    assert_eq!(receive_all(&mut two), ["b", "c", "d", "e"]);
    assert_eq!(two.missed(), 0);
    let stats = topic.stats();
    assert_eq!((stats.sent, stats.received, stats.used, stats.reliable, stats.lossy), (6, 9, 0, 1, 1));
    drop((one, two));
    let stats = topic.stats();
    assert_eq!((stats.reliable, stats.lossy), (0, 0));
}

#[test]
fn own_messages_can_be_left_out() {
    let place = unique("own");
    let (topic, _) = Topic::join(&place, new(1 << 12)).unwrap();
    let (mut other, created) = Topic::join(&place, None).unwrap();
    assert!(!created);
    let mut subscription = topic.into_subscription(Wish { others_only: true, lossy: false }).unwrap();
    for number in 0..1000 {
        assert_eq!(subscription.topic().publish(0, b"mine").unwrap(), Sent::Yes);
        if number % 100 == 0 {
            other.publish(0, b"yours").unwrap();
        }
        let found = receive_all(&mut subscription);
        assert_eq!(found.len(), usize::from(number % 100 == 0));
    }
}

#[test]
fn a_reliable_subscriber_holds_the_publisher_and_a_lossy_one_does_not() {
    let mut topic = topic(1 << 10);
    let mut lossy = topic.subscribe(LOSSY).unwrap();
    for number in 0..100u64 {
        assert_eq!(topic.publish(0, &number.to_le_bytes()).unwrap(), Sent::Yes);
    }
    let mut reliable = topic.subscribe(Wish::default()).unwrap();
    let mut sent = 100u64;
    while topic.publish(0, &sent.to_le_bytes()).unwrap() == Sent::Yes {
        sent += 1;
    }
    assert_eq!(sent, 116, "16 slots");
    assert_eq!(topic.publish(0, &[0; 2000]).unwrap(), Sent::TooLarge);
    let mut next = Vec::new();
    while reliable.lease(5, 1 << 12).unwrap() > 0 {
        next.extend(numbers(&copied(&mut reliable)));
    }
    assert_eq!(next, (100..116).collect::<Vec<_>>());
    let mut found = Vec::new();
    while lossy.lease(100, 1 << 12).unwrap() > 0 {
        found.extend(numbers(&copied(&mut lossy)));
    }
    assert_eq!(found.last(), Some(&115));
    assert_eq!(found.first(), Some(&lossy.missed()));
    assert_eq!(found.len() as u64 + lossy.missed(), 116);
    assert_eq!(reliable.missed(), 0);
    assert_eq!(topic.publish(0, b"room again").unwrap(), Sent::Yes);
}

#[test]
fn whoever_leaves_holds_nobody() {
    let mut topic = topic(512);
    let mut stays = topic.subscribe(Wish::default()).unwrap();
    let leaves = topic.subscribe(Wish::default()).unwrap();
    while topic.publish(0, b"x").unwrap() == Sent::Yes {}
    assert_eq!(receive_all(&mut stays).len(), 8);
    assert_eq!(topic.publish(0, b"x").unwrap(), Sent::Full);
    drop(leaves);
    assert_eq!(topic.publish(0, b"y").unwrap(), Sent::Yes);
    assert_eq!(receive_all(&mut stays), ["y"]);
}

#[test]
fn a_batch_larger_than_the_ring_goes_in_as_room_comes() {
    let mut topic = topic(1 << 12);
    let mut subscription = topic.subscribe(Wish::default()).unwrap();
    let bodies: Vec<String> = (0..500).map(|number| format!("{number:030}")).collect();
    let batch = wire(&bodies.iter().map(String::as_bytes).collect::<Vec<_>>());
    let (mut at, mut found) = (0, Vec::new());
    while at < batch.len() {
        at += topic.publish_batch(&batch[at..]).unwrap().0;
        found.extend(receive_all(&mut subscription));
    }
    assert_eq!(found, bodies);
    drop(subscription);
    assert_eq!(topic.publish_batch(&batch).unwrap(), (batch.len(), Sent::Yes), "nobody is waited for");
}

#[test]
fn a_large_message_is_written_once_and_removed_when_all_have_it() {
    let mut topic = topic(1 << 12);
    let mut all: Vec<_> = (0..3).map(|_| topic.subscribe(Wish::default()).unwrap()).collect();
    let mut lossy = topic.subscribe(LOSSY).unwrap();
    let large = vec![7; 100_000];
    assert_eq!(topic.publish_any(0, &large).unwrap(), Sent::Yes);
    for number in 0..20u8 {
        let mut body = large.clone();
        body.push(number);
        assert_eq!(topic.publish_any(0, &body).unwrap(), Sent::Yes);
        if number == 0 {
            assert_eq!(parts(&topic), 2);
        }
        for subscription in &mut all {
            let (mut found, wanted) = (Vec::new(), if number == 0 { 2 } else { 1 });
            while found.len() < wanted {
                assert!(subscription.lease(10, 1 << 20).unwrap() > 0);
                found.extend(copied(subscription));
            }
            assert_eq!(found.last(), Some(&body));
        }
        // What only a lossy one has not read stays, too, as long as there is memory.
        assert!(lossy.lease(10, 1 << 20).unwrap() > 0);
        assert_eq!(copied(&mut lossy).len(), 1);
    }
    lossy.lease(10, 1 << 20).unwrap();
    copied(&mut lossy);
    topic.publish_any(0, &large).unwrap();
    assert_eq!(parts(&topic), 1);
    assert_eq!(lossy.missed(), 0);
}

/// A subscriber that reads nothing holds the publisher long before memory is out.
#[test]
fn unread_large_messages_are_bounded() {
    const LARGE: usize = 2 << 20;
    let mut topic = topic(1 << 16);
    let mut stopped = topic.subscribe(Wish::default()).unwrap();
    let body = |number: u8| vec![number; LARGE];
    for number in 0..8 {
        assert_eq!(topic.publish_any(0, &body(number)).unwrap(), Sent::Yes);
    }
    assert_eq!(topic.publish_any(0, &body(8)).unwrap(), Sent::Full, "16 MiB");
    let soon = Some(Instant::now() + Duration::from_millis(20));
    assert_eq!(topic.publish_blocking(0, &body(8), soon, Duration::from_millis(1)).unwrap(), Sent::Full);
    assert_eq!(parts(&topic), 8, "nothing was written in vain");
    assert_eq!(topic.publish(0, b"small ones go on").unwrap(), Sent::Yes);
    assert_eq!(stopped.lease(10, 1 << 20).unwrap(), 1);
    assert_eq!(copied(&mut stopped), [body(0)]);
    assert_eq!(topic.publish_any(0, &body(8)).unwrap(), Sent::Yes);
    assert_eq!((topic.publish_any(0, &body(9)).unwrap(), parts(&topic)), (Sent::Full, 8));
    // One that is more than all of that may have another before it.
    assert_eq!(topic.publish_any(0, &vec![1; 20 << 20]).unwrap(), Sent::Yes, "twice its length");
    drop(stopped);
    assert_eq!(topic.publish_any(0, &body(9)).unwrap(), Sent::Yes);
    assert_eq!(parts(&topic), 1);
}

#[test]
fn a_full_ring_is_seen_before_a_large_message_is_written() {
    let mut topic = topic(512);
    let mut subscription = topic.subscribe(Wish::default()).unwrap();
    while topic.publish(0, b"x").unwrap() == Sent::Yes {}
    assert!(!topic.make_room(5000).unwrap());
    assert_eq!((topic.publish_any(0, &[1; 5000]).unwrap(), parts(&topic)), (Sent::Full, 0));
    assert_eq!(receive_all(&mut subscription).len(), 8);
    assert_eq!(topic.publish_any(0, &[1; 5000]).unwrap(), Sent::Yes);
}

/// Where only lossy subscribers are behind, the oldest make room, and no more of them than is needed.
#[test]
fn a_large_message_finds_room_behind_a_tail_that_a_killed_publisher_did_not_move() {
    let mut topic = topic(1 << 12);
    abandon_claim(&topic.member);
    assert_eq!(topic.publish_any(0, &[7; 100_000]).unwrap(), Sent::Yes);
}

#[test]
fn unread_large_messages_of_lossy_subscribers_make_room() {
    const LARGE: usize = 2 << 20;
    let mut topic = topic(1 << 16);
    let mut lossy = topic.subscribe(LOSSY).unwrap();
    for number in 0..20 {
        assert_eq!(topic.publish_any(0, &vec![number; LARGE]).unwrap(), Sent::Yes);
        assert_eq!(parts(&topic), usize::from(number + 1).min(8));
    }
    for number in 12..20 {
        assert_eq!(lossy.lease(10, 1 << 20).unwrap(), 1);
        assert_eq!(copied(&mut lossy), [vec![number; LARGE]]);
    }
    assert_eq!((lossy.lease(10, 1 << 20).unwrap(), lossy.missed()), (0, 12));
}

/// What is damaged is told once; what is published behind it is received.
#[test]
fn a_subscription_goes_on_behind_damage() {
    for lossy in [false, true] {
        let mut topic = topic(4096);
        let mut subscription = topic.subscribe(Wish { lossy, others_only: false }).unwrap();
        topic.publish(0, b"before").unwrap();
        topic.publish(0, b"damaged").unwrap();
        let damaged = topic.member.published;
        topic.publish(0, b"given up").unwrap();
        let ring = topic.member.shared.ring;
        let state = &ring.states[ring.shape.index(damaged)];
        // Of this lap, with a status that is none.
        state.store(state.load(Ordering::Relaxed) | 7, Ordering::Relaxed);
        assert!(ring.at(damaged).is_err());
        assert_eq!(subscription.lease(10, 4096).unwrap(), 1);
        assert_eq!(copied(&mut subscription), [b"before"]);
        assert!(subscription.lease(10, 4096).is_err());
        assert_eq!(subscription.lease(10, 4096).unwrap(), 0);
        topic.publish(0, b"behind").unwrap();
        assert_eq!(receive_all(&mut subscription), ["behind"]);
    }
}

#[test]
fn a_damaged_name_of_a_part_is_an_error() {
    let mut topic = topic(1 << 12);
    let mut subscription = topic.subscribe(Wish::default()).unwrap();
    let name = part::create(topic.member.aux(), 1, topic.member.seat, &[7; 100]).unwrap();
    for damaged in [true, false] {
        let mut name = name.encode();
        // A byte less of the body.
        name[16] -= u8::from(damaged);
        topic.publish(PART, &name).unwrap();
        assert_eq!(subscription.lease(10, 4096).unwrap(), 1);
        let mut found = Vec::new();
        subscription.copy(&mut vec![0; subscription.leased_bytes()], |delivery| found.push(delivery.id));
        subscription.finish();
        let part = subscription.part(found[0]);
        match part {
            Ok(part) => assert!(!damaged && part.to_vec().unwrap() == [7; 100]),
            Err(error) => assert!(damaged && error.kind() == std::io::ErrorKind::InvalidData, "{error}"),
        }
    }
}

fn parts(topic: &Topic) -> usize {
    let path = topic.member.aux().path("part-");
    let prefix = path.file_name().unwrap().as_encoded_bytes().to_vec();
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(&prefix)).count()
}

/// Publishers and subscribers of both kinds at the same time: nothing is lost, doubled or out of its publisher's order.
#[test]
fn many_publishers_and_subscribers_at_once() {
    const PUBLISHERS: usize = 3;
    const EACH: u64 = 20_000;
    const ALL: u64 = 3 * EACH;
    let place = unique("many");
    let (topic, _) = Topic::join(&place, new(1 << 13)).unwrap();
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let mut subscription = topic.subscribe(Wish { lossy: number % 2 == 1, others_only: false }).unwrap();
            thread::spawn(move || {
                let (mut next, mut found) = ([0; PUBLISHERS], 0);
                while found + subscription.missed() < ALL {
                    let leased = subscription.lease_blocking(100, 1 << 12, soon(), Duration::ZERO).unwrap();
                    assert!(leased > 0, "stalled with {found} and {} missed", subscription.missed());
                    for number in numbers(&copied(&mut subscription)) {
                        let of = &mut next[usize::try_from(number / EACH).unwrap()];
                        assert!(number % EACH >= *of, "order");
                        *of = number % EACH + 1;
                        found += 1;
                    }
                }
                assert_eq!(found + subscription.missed(), ALL);
                assert!(subscription.lossy() || subscription.missed() == 0);
            })
        })
        .collect();
    let publishers: Vec<_> = (0..PUBLISHERS as u64)
        .map(|publisher| {
            let (mut topic, _) = Topic::join(&place, None).unwrap();
            thread::spawn(move || {
                for number in 0..EACH {
                    let mut body = (publisher * EACH + number).to_le_bytes().to_vec();
                    body.resize(8 + usize::try_from(number % 150).unwrap(), 7);
                    assert_eq!(topic.publish_blocking(0, &body, soon(), Duration::ZERO).unwrap(), Sent::Yes);
                }
            })
        })
        .collect();
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    // A lossy one learns of its last losses from what comes after them.
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

/// Whoever comes while others publish gets all from some point on, without a gap.
#[test]
fn subscribing_while_others_publish_leaves_no_gap() {
    let place = unique("come and go");
    let (topic, _) = Topic::join(&place, new(1 << 11)).unwrap();
    let (mut publisher, _) = Topic::join(&place, None).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let publishing = thread::spawn(move || {
        let mut number = 0u64;
        while !stopped.load(Ordering::Relaxed) {
            assert_eq!(
                publisher.publish_blocking(0, &number.to_le_bytes(), soon(), Duration::ZERO).unwrap(),
                Sent::Yes
            );
            number += 1;
        }
    });
    for round in 0..300 {
        let mut subscription = topic.subscribe(Wish { lossy: round % 3 == 0, others_only: false }).unwrap();
        let (mut next, mut found, mut gaps) = (None, 0u64, 0);
        while found < 100 {
            assert!(subscription.lease_blocking(20, 1 << 12, soon(), Duration::ZERO).unwrap() > 0, "stalled");
            for number in numbers(&copied(&mut subscription)) {
                gaps += next.map_or(0, |next| number - next);
                assert!(gaps == 0 || subscription.lossy(), "a gap of {gaps}");
                next = Some(number + 1);
                found += 1;
            }
            // It may know of more at either end.
            assert!(gaps <= subscription.missed(), "gaps of {gaps}, {} missed", subscription.missed());
        }
    }
    stop.store(true, Ordering::Relaxed);
    publishing.join().unwrap();
}

#[test]
fn more_records_being_written_than_seats_are_damage() {
    let mut topic = topic(1 << 16);
    for _ in 0..600 {
        assert_eq!(topic.publish(0, b"x").unwrap(), Sent::Yes);
    }
    let ring = topic.member.shared.ring;
    let mut position = ring.free();
    while let Some(record) = ring.at(position).unwrap() {
        ring.settle(record, record.state.owner, Status::Writing).unwrap();
        position = advance(position, record.state.slots);
    }
    assert!(topic.subscribe(Wish::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Scribbles over a topic's segment while it is used: errors at worst, and every reported message lies inside.
    #[test]
    fn a_damaged_topic_is_an_error_at_worst(places in prop::collection::vec((any::<u32>(), any::<u64>(), 0u8..5), 1..40), lossy: bool) {
        let mut topic = topic(4096);
        let mut subscription = topic.subscribe(Wish { lossy, others_only: false }).unwrap();
        for (at, word, how) in places {
            let _ = topic.publish(0, &[5; 100]);
            let _ = topic.publish_batch(&wire(&[&[1; 30], &[2; 70]]));
            let _ = topic.publish_any(0, &[3; 3000]);
            let segment = std::sync::Arc::clone(topic.segment());
            let region = segment.region();
            // Words of the whole, states, counts, slots and seats each get their share.
            let (from, to) =
                [(64, 512), (66048, 66560), (66560, 67072), (69632, 69632 + 4096), (512, 66048)][usize::from(how)];
            let at = from + at as usize % (to - from) / 8 * 8;
            let value = if word % 3 == 0 { word } else { region.atomic_u64(at).unwrap().load(Ordering::Relaxed) ^ 1 << (word % 64) };
            region.atomic_u64(at).unwrap().store(value, Ordering::Relaxed);
            let _ = subscription.lease(5, 1000);
            let room = subscription.leased_bytes();
            let (mut bytes, mut ids) = (vec![0; room], Vec::new());
            subscription.copy(&mut bytes, |delivery| {
                assert!(delivery.offset + delivery.length <= room);
                ids.push(delivery.id);
            });
            subscription.finish();
            ids.into_iter().for_each(|id| drop(subscription.part(id)));
            topic.look_around();
            topic.stats();
            subscription.ready();
            let late = topic.subscribe(Wish { lossy: !lossy, others_only: true });
            drop(late);
        }
    }
}
