//! Random histories of a topic: publishers that are in the middle of a record, and subscriptions that are in the middle of a lease.

use super::tests::LOSSY;
use super::{Subscription, Topic, Wish};
use crate::queue::record::{HEAD, Head, MESSAGE_HEAD, message_head, message_size};
use crate::queue::ring::Claim;
use crate::queue::state::{SEATS, Status};
use crate::queue::tests::{new, unique};
use proptest::prelude::*;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const PUBLISHERS: usize = 3;
const SUBSCRIPTIONS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Claim(usize, usize),
    Commit(usize),
    Die(usize),
    Lease(usize, u32),
    Copy(usize),
    Finish(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (publisher, reader) = (0..PUBLISHERS, 0..SUBSCRIPTIONS);
    let step = prop_oneof![
        8 => (publisher.clone(), 8usize..150).prop_map(|(who, length)| Step::Claim(who, length)),
        8 => publisher.clone().prop_map(Step::Commit),
        1 => publisher.prop_map(Step::Die),
        2 => (reader.clone(), 1u32..6).prop_map(|(who, most)| Step::Lease(who, most)),
        2 => reader.clone().prop_map(Step::Copy),
        2 => reader.prop_map(Step::Finish),
    ];
    prop::collection::vec(step, 1..600)
}

/// One who publishes in two steps.
struct Publisher {
    topic: Topic,
    claimed: Option<(u64, u32, usize)>,
    next: u64,
}

impl Publisher {
    fn claim(&mut self, length: usize) {
        if self.claimed.is_some() {
            return;
        }
        let slots = u32::try_from((HEAD + message_size(length)).div_ceil(64)).unwrap();
        let (ring, seat) = (self.topic.member.shared.ring, self.topic.member.seat);
        self.claimed = loop {
            match ring.claim(slots, seat, &mut ring.free()).unwrap() {
                Claim::At(position) => break Some((position, slots, length)),
                Claim::Full if self.topic.reclaim().unwrap() => {}
                Claim::Full => break None,
            }
        };
    }

    fn commit(&mut self, name: u64) -> bool {
        let Some((position, slots, length)) = self.claimed.take() else { return false };
        let (shared, seat) = (self.topic.member.shared, self.topic.member.seat);
        let head = Head { count: 1, length: message_size(length) as u64, ..Head::default() };
        let mut bytes = head.encode().to_vec();
        bytes.extend_from_slice(&message_head(length, 0));
        bytes.extend_from_slice(&(name << 32 | self.next).to_le_bytes());
        bytes.resize(HEAD + MESSAGE_HEAD + length, 7);
        shared.write(position, 0, &bytes).unwrap();
        shared.ring.commit(position, slots, seat);
        self.next += 1;
        true
    }

    fn die(&mut self) {
        let Some((position, ..)) = self.claimed.take() else { return };
        let (ring, seat) = (self.topic.member.shared.ring, self.topic.member.seat);
        assert!(ring.settle(ring.at(position).unwrap().unwrap(), seat, Status::Aborted).is_some());
    }
}

struct Reader {
    subscription: Subscription,
    leased: bool,
    copied: Vec<u64>,
    next: [u64; PUBLISHERS],
    found: u64,
}

impl Reader {
    fn lease(&mut self, most: u32) -> bool {
        if !self.leased {
            self.leased = self.subscription.lease(most, 1 << 20).unwrap() > 0;
        }
        self.leased
    }

    fn copy(&mut self) {
        if self.leased && self.copied.is_empty() {
            let mut bytes = vec![0; self.subscription.leased_bytes()];
            let mut places = Vec::new();
            self.subscription.copy(&mut bytes, |delivery| places.push(delivery.offset));
            self.copied.extend(places.iter().map(|at| u64::from_le_bytes(bytes[*at..at + 8].try_into().unwrap())));
        }
    }

    /// Each publisher's messages in their order, and without a gap where none may be missed.
    fn finish(&mut self) {
        self.copy();
        if !std::mem::take(&mut self.leased) {
            return;
        }
        self.subscription.finish();
        for message in self.copied.drain(..) {
            let (publisher, number) = (usize::try_from(message >> 32).unwrap(), message & 0xffff_ffff);
            let next = &mut self.next[publisher];
            assert!(if self.subscription.lossy() { number >= *next } else { number == *next }, "{number} at {next}");
            *next = number + 1;
            self.found += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_received_and_what_is_missed_is_all(steps in steps()) {
        let (topic, _) = Topic::join(&unique("history"), new(1 << 10)).unwrap();
        let mut publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| Publisher { topic: topic.beside().unwrap(), claimed: None, next: 0 })
            .collect();
        let mut readers: Vec<_> = (0..SUBSCRIPTIONS)
            .map(|number| {
                let wish = if number == 0 { Wish::default() } else { LOSSY };
                let subscription = topic.subscribe(wish).unwrap();
                Reader { subscription, leased: false, copied: Vec::new(), next: [0; PUBLISHERS], found: 0 }
            })
            .collect();
        let mut published = 0;
        for step in steps {
            match step {
                Step::Claim(who, length) => publishers[who].claim(length),
                Step::Commit(who) => published += u64::from(publishers[who].commit(who as u64)),
                Step::Die(who) => publishers[who].die(),
                Step::Lease(who, most) => drop(readers[who].lease(most)),
                Step::Copy(who) => readers[who].copy(),
                Step::Finish(who) => readers[who].finish(),
            }
        }
        publishers.iter_mut().for_each(Publisher::die);
        for reader in &mut readers {
            reader.finish();
            while reader.lease(5) {
                reader.finish();
            }
            prop_assert_eq!(reader.found + reader.subscription.missed(), published);
            prop_assert!(reader.subscription.lossy() || reader.subscription.missed() == 0);
        }
    }
}

/// More records than there are seats are seen being written one after the other, if the publishers are as fast as we are.
#[test]
fn no_record_is_left_out_however_many_are_passed_by() {
    let (topic, _) = Topic::join(&unique("chase"), new(1 << 16)).unwrap();
    let mut subscription = topic.subscribe(Wish::default()).unwrap();
    let mut publisher = Publisher { topic, claimed: None, next: 0 };
    let claims: Vec<_> = (0..SEATS + 100)
        .map(|_| {
            publisher.claim(8);
            publisher.claimed.take()
        })
        .collect();
    assert_eq!(subscription.lease(1000, 1 << 16).unwrap(), 0);
    for claim in claims {
        publisher.claimed = claim;
        publisher.commit(0);
    }
    let mut reader = Reader { subscription, leased: false, copied: Vec::new(), next: [0; PUBLISHERS], found: 0 };
    while reader.lease(1000) {
        reader.finish();
    }
    assert_eq!(reader.found, SEATS as u64 + 100);
}

/// What is passed by because it is being written may be complete before the walk comes to what the same publisher wrote next.
#[test]
fn no_message_overtakes_another_of_its_publisher_in_one_lease() {
    const BETWEEN: u64 = 500;
    let (topic, _) = Topic::join(&unique("overtaking"), new(1 << 18)).unwrap();
    let subscription = topic.subscribe(Wish::default()).unwrap();
    let mut reader = Reader { subscription, leased: false, copied: Vec::new(), next: [0; PUBLISHERS], found: 0 };
    let [mut late, mut other] = [0; 2].map(|_| Publisher { topic: topic.beside().unwrap(), claimed: None, next: 0 });
    let begun = Instant::now();
    for round in 1..=200 {
        late.claim(8);
        for _ in 0..BETWEEN {
            other.claim(8);
            assert!(other.commit(1));
        }
        let begin = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                while reader.found < round * (BETWEEN + 2) {
                    assert!(begun.elapsed() < Duration::from_secs(60), "stalled");
                    // It looks at the order.
                    reader.lease(u32::MAX);
                    reader.finish();
                }
            });
            begin.wait();
            (0..round % 50 * 20).for_each(|_| std::hint::spin_loop());
            assert!(late.commit(0));
            late.claim(8);
            assert!(late.commit(0));
        });
    }
}
