//! Histories of the log; and models of it: every interleaving of a few threads (`npm run loom`).

#[cfg(interproc_loom)]
mod models {
    use crate::queue::ring::{Claim, Ring};
    use crate::queue::state::{Shape, Status, advance, distance, is_behind, pack_free};
    use crate::queue::waiters::Waiters;
    use crate::sync::Ordering;
    use crate::sync::counted::AtomicU64;
    use crate::sync::model;
    use crate::topic::log::{Freed, Log};
    use loom::sync::Arc;
    use loom::thread;

    /// A topic whose records are of one slot and one message each.
    struct Memory {
        tail: AtomicU64,
        free: AtomicU64,
        states: Vec<AtomicU64>,
        counts: Vec<AtomicU64>,
        /// Written and read without order of their own, as bytes are.
        slots: Vec<AtomicU64>,
        subscribers: Vec<AtomicU64>,
        cursors: Vec<AtomicU64>,
        shape: Shape,
    }

    impl Memory {
        fn new(bits: u32) -> Arc<Self> {
            let shape = Shape::new(bits).unwrap();
            let words = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
            let count = shape.slots() as usize;
            Arc::new(Self {
                tail: AtomicU64::new(shape.origin()),
                free: AtomicU64::new(pack_free(shape.origin(), 0)),
                states: words(count),
                counts: words(count),
                slots: words(count),
                subscribers: words(1),
                cursors: words(2),
                shape,
            })
        }

        fn log(&self) -> Log<'_> {
            let ring = Ring { shape: self.shape, tail: &self.tail, free: &self.free, states: &self.states };
            Log { ring, counts: &self.counts, subscribers: Waiters { words: &self.subscribers } }
        }

        fn reclaim(&self) -> Freed {
            let hold =
                |start| self.log().read_by_all(start, |seat| self.cursors[usize::from(seat)].load(Ordering::Acquire));
            self.log().reclaim(1, hold, |_| 1).unwrap()
        }

        fn publish(&self, owner: u16, value: u64) -> bool {
            let mut seen = self.shape.origin();
            loop {
                if let Claim::At(position) = self.log().ring.claim(1, owner, &mut seen).unwrap() {
                    self.slots[self.shape.index(position)].store(value, Ordering::Relaxed);
                    self.log().ring.commit(position, 1, owner);
                    return true;
                }
                if self.reclaim() == Freed::Nothing {
                    return false;
                }
            }
        }
    }

    /// A subscriber that takes records in their order.
    struct Reader {
        next: u64,
        seen: u64,
        missed: u64,
        found: Vec<u64>,
    }

    impl Reader {
        fn take(&mut self, memory: &Memory) {
            let log = memory.log();
            loop {
                if log.overtaken(self.next) {
                    let place = log.recount(self.next, &mut Vec::new(), |_| 1).unwrap();
                    self.missed += place.count - self.seen;
                    (self.next, self.seen) = (place.position, place.count);
                }
                match log.ring.at(self.next).unwrap() {
                    Some(record) if record.state.status == Status::Ready => {}
                    None if log.overtaken(self.next) => continue,
                    _ => return,
                }
                let value = memory.slots[memory.shape.index(self.next)].load(Ordering::Relaxed);
                if !log.overtaken(self.next) {
                    self.found.push(value);
                    self.seen += 1;
                    self.next = advance(self.next, 1);
                }
            }
        }
    }

    #[test]
    fn loom_a_lossy_reader_takes_nothing_torn_and_counts_exactly() {
        model(3, || {
            let memory = Memory::new(1);
            let publisher = Arc::clone(&memory);
            let publishing = thread::spawn(move || (1..=4).for_each(|value| assert!(publisher.publish(1, value))));
            let mut reader = Reader { next: memory.shape.origin(), seen: 0, missed: 0, found: Vec::new() };
            reader.take(&memory);
            publishing.join().unwrap();
            reader.take(&memory);
            assert_eq!(reader.found.len() as u64 + reader.missed, 4, "{:?}", reader.found);
            assert!(reader.found.is_sorted_by(|one, next| one < next), "{:?}", reader.found);
            assert_eq!(reader.found.last(), Some(&4));
        });
    }

    #[test]
    fn loom_nothing_is_overwritten_that_a_new_subscriber_has_not_read() {
        model(3, || {
            let memory = Memory::new(1);
            assert!(memory.publish(1, 1));
            assert!(memory.publish(1, 2));
            let publisher = Arc::clone(&memory);
            let publishing = thread::spawn(move || (3..=4).filter(|value| publisher.publish(1, *value)).count());
            let place = memory.log().enter(0, &memory.cursors[0]);
            assert_eq!(place.count, distance(memory.shape.origin(), place.position));
            let mut reader = Reader { next: place.position, seen: place.count, missed: 0, found: Vec::new() };
            reader.take(&memory);
            let published = publishing.join().unwrap() as u64;
            reader.take(&memory);
            let expected: Vec<u64> = (place.count + 1..=2 + published).collect();
            assert_eq!((reader.found, reader.missed), (expected, 0));
        });
    }

    #[test]
    fn loom_what_was_passed_by_is_kept_or_counted() {
        model(3, || {
            let memory = Memory::new(1);
            let mut passed = vec![(memory.shape.origin(), 1)];
            let position = memory.shape.origin() + 1;
            // Passed by while it was written; complete by now, and about to be overwritten.
            assert!(memory.publish(1, 1));
            let publisher = Arc::clone(&memory);
            let publishing = thread::spawn(move || (2..=3).for_each(|value| assert!(publisher.publish(1, value))));
            let place = memory.log().recount(position, &mut passed, |_| 1).unwrap();
            publishing.join().unwrap();
            assert_eq!(place.count + passed.len() as u64, distance(memory.shape.origin(), place.position));
        });
    }

    #[test]
    fn loom_a_subscription_begins_without_a_gap() {
        model(3, || {
            let memory = Memory::new(2);
            let publisher = Arc::clone(&memory);
            let publishing = thread::spawn(move || (1..=3).for_each(|value| assert!(publisher.publish(1, value))));
            let place = memory.log().enter(0, &memory.cursors[0]);
            let mut positions = Vec::new();
            let begun = memory.log().begin(place, |_| 1, |record| positions.push(record.position)).unwrap();
            publishing.join().unwrap();
            positions.extend(begun.position..memory.shape.origin() + 3);
            let value = |position: &u64| memory.slots[memory.shape.index(*position)].load(Ordering::Relaxed);
            let found: Vec<u64> = positions.iter().map(value).collect();
            assert_eq!(found, (begun.count + 1..=3).collect::<Vec<_>>());
        });
    }

    #[test]
    fn loom_a_count_stands_as_long_as_free_does() {
        model(3, || {
            let memory = Memory::new(1);
            assert!(memory.publish(1, 1));
            assert!(memory.publish(1, 2));
            let other = Arc::clone(&memory);
            let freeing = thread::spawn(move || other.log().reclaim(u64::MAX, |_| u64::MAX, |_| 1).unwrap());
            let check = || {
                let place = memory.log().oldest().unwrap();
                assert_eq!(place.count, distance(memory.shape.origin(), place.position));
            };
            check();
            // Of one who frees all and one who frees some, either may be late.
            memory.reclaim();
            check();
            freeing.join().unwrap();
            check();
        });
    }

    #[test]
    fn loom_a_publisher_overwrites_what_the_subscriber_has_read_and_no_more() {
        model(3, || {
            let memory = Memory::new(1);
            let place = memory.log().enter(0, &memory.cursors[0]);
            assert!(memory.publish(1, 1));
            assert!(memory.publish(1, 2));
            assert!(!memory.publish(1, 3));
            let publisher = Arc::clone(&memory);
            let publishing = thread::spawn(move || publisher.publish(1, 3));
            let log = memory.log();
            for number in 1..=2 {
                let position = advance(place.position, number - 1);
                let value = memory.slots[memory.shape.index(position)].load(Ordering::Relaxed);
                assert_eq!(value, u64::from(number));
                memory.cursors[0].store(advance(position, 1), Ordering::Release);
            }
            let published = publishing.join().unwrap();
            let third = log.ring.at(advance(place.position, 2)).unwrap();
            assert_eq!(third.is_some(), published);
        });
    }

    #[test]
    fn loom_counts_are_right_wherever_free_stands() {
        model(2, || {
            let memory = Memory::new(1);
            let publishers: Vec<_> = (1..=2)
                .map(|owner| {
                    let memory = Arc::clone(&memory);
                    // There is no room while the other is writing.
                    thread::spawn(move || (0..2).filter(|value| memory.publish(owner, *value)).count() as u64)
                })
                .collect();
            let check = |memory: &Memory| {
                let place = memory.log().oldest().unwrap();
                assert_eq!(place.count, distance(memory.shape.origin(), place.position));
                assert!(!is_behind(memory.log().ring.free(), place.position));
            };
            check(&memory);
            let published: u64 = publishers.into_iter().map(|publisher| publisher.join().unwrap()).sum();
            check(&memory);
            assert_eq!(
                memory.log().recount(memory.log().ring.tail(), &mut Vec::new(), |_| 1).unwrap().count,
                published
            );
        });
    }
}

#[cfg(not(interproc_loom))]
mod histories {
    use crate::queue::ring::{Claim, Ring};
    use crate::queue::state::{Shape, pack_free};
    use crate::queue::waiters::Waiters;
    use crate::sync::counted::AtomicU64;
    use crate::topic::log::{Freed, Log, Place};

    /// The place a lap further on is the same slot: its count must not be written while `free` stands at this one.
    #[test]
    fn a_full_ring_is_freed_in_two_steps() {
        with_log(|log, publish| {
            publish(4);
            publish(4);
            let start = log.oldest().unwrap();
            assert_eq!(log.reclaim(u64::MAX, |_| u64::MAX, |_| 1), Ok(Freed::Ours));
            assert_eq!(log.oldest().unwrap(), Place { position: start.position + 4, count: 1 });
            assert_eq!(log.reclaim(u64::MAX, |_| u64::MAX, |_| 1), Ok(Freed::Ours));
            assert_eq!(log.oldest().unwrap(), Place { position: start.position + 8, count: 2 });
        });
    }

    /// The publisher reads states of one lap, is stopped, and goes on among those of the next.
    #[test]
    fn a_reclaim_that_was_overtaken_is_no_damage() {
        with_log(|log, publish| {
            publish(4);
            assert_eq!(log.reclaim(8, |_| u64::MAX, |_| 1), Ok(Freed::Ours));
            publish(4);
            let stopped = std::cell::Cell::new(false);
            let freed = log.reclaim(
                u64::MAX,
                |_| u64::MAX,
                |_| {
                    if !stopped.replace(true) {
                        // Meanwhile another frees it, and takes more behind it than there was room for.
                        assert_eq!(log.reclaim(8, |_| u64::MAX, |_| 1), Ok(Freed::Ours));
                        publish(6);
                    }
                    1
                },
            );
            assert_eq!(freed, Ok(Freed::Others));
            assert_eq!(log.reclaim(8, |_| u64::MAX, |_| 1), Ok(Freed::Ours));
        });
    }

    /// A topic of eight slots, and what publishes a record of some slots.
    fn with_log(test: impl FnOnce(Log<'_>, &dyn Fn(u32))) {
        let shape = Shape::new(3).unwrap();
        let (tail, free) = (AtomicU64::new(shape.origin()), AtomicU64::new(pack_free(shape.origin(), 0)));
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        let (states, counts, subscribers) = (words(8), words(8), words(1));
        let ring = Ring { shape, tail: &tail, free: &free, states: &states };
        let log = Log { ring, counts: &counts, subscribers: Waiters { words: &subscribers } };
        let publish = |slots: u32| {
            let Claim::At(position) = ring.claim(slots, 3, &mut ring.free()).unwrap() else { panic!("full") };
            ring.commit(position, slots, 3);
        };
        test(log, &publish);
    }
}
