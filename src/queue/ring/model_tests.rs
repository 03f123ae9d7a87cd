//! Models of the ring: every interleaving of a few threads (`npm run loom`).

use crate::queue::ring::{Claim, Ring};
use crate::queue::state::{Shape, Status, pack_free};
use crate::queue::waiters::Waiters;
use crate::sync::Ordering;
use crate::sync::counted::AtomicU64;
use crate::sync::model;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A ring, and one cell per slot that is only touched with the ring's permission: loom reports any overlap.
struct Memory {
    tail: AtomicU64,
    free: AtomicU64,
    states: Vec<AtomicU64>,
    slots: Vec<UnsafeCell<u64>>,
    armed: Vec<AtomicU64>,
    rung: AtomicU64,
    returned: AtomicU64,
    shape: Shape,
}

impl Memory {
    fn new(bits: u32) -> Arc<Self> {
        let shape = Shape::new(bits).unwrap();
        let count = shape.slots() as usize;
        let memory = Self {
            tail: AtomicU64::new(shape.origin()),
            free: AtomicU64::new(pack_free(shape.origin(), 0)),
            states: (0..count).map(|_| AtomicU64::new(0)).collect(),
            slots: (0..count).map(|_| UnsafeCell::new(0)).collect(),
            armed: vec![AtomicU64::new(0)],
            rung: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            shape,
        };
        Arc::new(memory)
    }

    fn ring(&self) -> Ring<'_> {
        Ring { shape: self.shape, tail: &self.tail, free: &self.free, states: &self.states }
    }

    fn waiters(&self) -> Waiters<'_> {
        Waiters { words: &self.armed }
    }

    fn claim(&self, slots: u32, owner: u16) -> Option<u64> {
        match self.ring().claim(slots, owner, &mut self.shape.origin()).unwrap() {
            Claim::At(position) => Some(position),
            Claim::Full => None,
        }
    }

    fn write(&self, position: u64, slots: u32, value: u64) {
        for slot in 0..slots as usize {
            // SAFETY: the claim is ours.
            self.slots[self.shape.index(position) + slot].with_mut(|cell| unsafe { *cell = value });
        }
    }

    fn send(&self, slots: u32, owner: u16, value: u64) -> bool {
        let Some(position) = self.claim(slots, owner) else { return false };
        self.write(position, slots, value);
        self.ring().commit(position, slots, owner);
        true
    }

    /// Takes all that is ready from `from` on.
    fn receive(&self, owner: u16) -> Vec<u64> {
        let ring = self.ring();
        let (mut found, mut ready) = (Vec::new(), Vec::new());
        ring.walk(ring.free(), |record| {
            if matches!(record.state.status, Status::Ready | Status::Again) {
                ready.push(record);
            }
            true
        })
        .unwrap();
        for record in ready {
            let Some(record) = ring.settle(record, owner, Status::Reading) else { continue };
            // SAFETY: the lease is ours.
            found.push(self.slots[self.shape.index(record.position)].with(|cell| unsafe { *cell }));
            ring.end(record, owner);
        }
        ring.reclaim(|record| matches!(record.state.status, Status::Done | Status::Aborted)).unwrap();
        found
    }
}

#[test]
fn loom_two_senders_one_receiver() {
    model(3, || {
        let memory = Memory::new(1);
        let senders: Vec<_> = (1..=2)
            .map(|owner| {
                let memory = Arc::clone(&memory);
                thread::spawn(move || assert!(memory.send(1, owner, u64::from(owner))))
            })
            .collect();
        let mut found = memory.receive(3);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        found.extend(memory.receive(3));
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
    });
}

#[test]
fn loom_two_receivers_never_share_a_message() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(1, 1, 7));
        assert!(memory.send(1, 1, 8));
        let other = Arc::clone(&memory);
        let receiver = thread::spawn(move || other.receive(2));
        let mut found = memory.receive(3);
        found.extend(receiver.join().unwrap());
        found.sort_unstable();
        assert_eq!(found, [7, 8]);
    });
}

#[test]
fn loom_slots_are_used_again_only_when_read() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(2, 1, 1));
        let other = Arc::clone(&memory);
        let receiver = thread::spawn(move || other.receive(2));
        // Overwrites the slots as soon as they are free.
        let sent = memory.send(1, 1, 2);
        let mut found = receiver.join().unwrap();
        found.extend(memory.receive(2));
        assert_eq!(found.len(), 1 + usize::from(sent));
        assert_eq!(found[0], 1);
    });
}

#[test]
fn loom_a_filler_at_the_end_does_not_confuse() {
    model(2, || {
        let memory = Memory::new(2);
        assert!(memory.send(3, 1, 1));
        assert_eq!(memory.receive(2), [1]);
        let other = Arc::clone(&memory);
        // Two slots do not fit behind the three: one goes waste.
        let sender = thread::spawn(move || other.send(2, 1, 2));
        let second = memory.send(1, 3, 3);
        let first = sender.join().unwrap();
        let mut found = memory.receive(2);
        found.sort_unstable();
        let expected: Vec<u64> = [(first, 2), (second, 3)].iter().filter(|sent| sent.0).map(|sent| sent.1).collect();
        assert_eq!(found, expected);
        assert!(second);
    });
}

#[test]
fn loom_a_dead_writer_is_passed_by_and_settled_once() {
    model(3, || {
        let memory = Memory::new(2);
        // Died between its claim and the rest, even before the tail moved.
        let dead = memory.claim(1, 9).unwrap();
        memory.tail.store(dead, Ordering::Relaxed);
        let other = Arc::clone(&memory);
        let sender = thread::spawn(move || assert!(other.send(1, 1, 5)));
        let settle = move |memory: &Memory| {
            let ring = memory.ring();
            let record = ring.at(dead).unwrap().unwrap();
            record.state.status == Status::Writing && ring.settle(record, 9, Status::Aborted).is_some()
        };
        let other = Arc::clone(&memory);
        let second = thread::spawn(move || settle(&other));
        let first = settle(&memory);
        assert!(first ^ second.join().unwrap());
        sender.join().unwrap();
        assert_eq!(memory.receive(2), [5]);
        assert_eq!(memory.ring().free(), memory.ring().tail());
    });
}

#[test]
fn loom_what_the_dead_left_is_found_while_the_ring_goes_on() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(1, 1, 5));
        let dead = memory.claim(1, 9).unwrap();
        let other = Arc::clone(&memory);
        // Frees the slot where the walk begins, and uses it again.
        let user = thread::spawn(move || {
            assert_eq!(other.receive(2), [5]);
            assert!(other.send(1, 1, 6));
        });
        let ring = memory.ring();
        let mut settled = 0;
        ring.walk(ring.free(), |record| {
            if record.state.owner == 9 {
                settled += usize::from(ring.settle(record, 9, Status::Aborted).is_some());
            }
            true
        })
        .unwrap();
        assert_eq!(settled, 1);
        user.join().unwrap();
        assert_eq!(ring.at(dead).unwrap().map(|record| record.state.status), Some(Status::Aborted));
        assert_eq!(memory.receive(2), [6]);
    });
}

/// As `settle_reading`: back to ready, then the count that tells the others.
fn give_back(memory: &Memory, position: u64, owner: u16) -> bool {
    let ring = memory.ring();
    let Some(record) = ring.at(position).unwrap() else { return false };
    if record.state.status != Status::Reading || record.state.owner != owner {
        return false;
    }
    let returned = ring.settle(record, owner, Status::Again).is_some();
    memory.returned.fetch_add(1, Ordering::Release);
    returned
}

#[test]
fn loom_who_sees_the_count_of_returns_sees_the_record() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(1, 1, 7));
        let ring = memory.ring();
        let position = ring.free();
        ring.settle(ring.at(position).unwrap().unwrap(), 2, Status::Reading).unwrap();
        let other = Arc::clone(&memory);
        let giver = thread::spawn(move || assert!(give_back(&other, position, 2)));
        // As `lease`: the count first, then the records.
        let counted = memory.returned.load(Ordering::Acquire);
        let found = memory.receive(3);
        if counted == 1 {
            assert_eq!(found, [7]);
        }
        giver.join().unwrap();
        let rest = if found.is_empty() { memory.receive(3) } else { Vec::new() };
        assert_eq!([found, rest].concat(), [7]);
    });
}

#[test]
fn loom_what_a_dead_receiver_had_goes_to_one_other() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(1, 1, 7));
        let ring = memory.ring();
        let position = ring.free();
        ring.settle(ring.at(position).unwrap().unwrap(), 9, Status::Reading).unwrap();
        let other = Arc::clone(&memory);
        // Two find it dead at once, and go on as receivers.
        let second = thread::spawn(move || {
            let settled = give_back(&other, position, 9);
            (settled, other.receive(2))
        });
        let settled = give_back(&memory, position, 9);
        let found = memory.receive(3);
        let (other_settled, other_found) = second.join().unwrap();
        assert!(settled ^ other_settled, "settled once");
        assert_eq!([found, other_found, memory.receive(3)].concat(), [7]);
    });
}

#[test]
fn loom_an_acknowledgement_and_a_reclaim_free_every_slot_once() {
    model(3, || {
        let memory = Memory::new(1);
        assert!(memory.send(1, 1, 7));
        assert!(memory.send(1, 1, 8));
        let ring = memory.ring();
        let first = ring.free();
        let records = [first, first + 1].map(|at| ring.at(at).unwrap().unwrap());
        let leased = records.map(|record| ring.settle(record, 2, Status::Reading).unwrap());
        let over = |record: &crate::queue::ring::Record| matches!(record.state.status, Status::Done | Status::Aborted);
        let other = Arc::clone(&memory);
        // Acknowledged out of order, by whichever; both free what they can.
        let second = thread::spawn(move || {
            let ring = other.ring();
            ring.end(leased[1], 2);
            ring.reclaim(over).unwrap()
        });
        ring.end(leased[0], 2);
        let freed = ring.reclaim(over).unwrap();
        let freed = freed + second.join().unwrap() + ring.reclaim(over).unwrap();
        assert_eq!(freed, 2);
        assert!(memory.send(2, 1, 9));
        assert_eq!(memory.receive(2), [9]);
    });
}

#[test]
fn loom_a_wakeup_that_was_not_needed_is_known() {
    model(3, || {
        let memory = Memory::new(1);
        memory.waiters().arm(2);
        let other = Arc::clone(&memory);
        let waker = thread::spawn(move || other.waiters().pick(0));
        // `false`: it was picked, and passes that on.
        let kept = memory.waiters().disarm(2);
        let picked = waker.join().unwrap();
        assert_eq!(picked, (!kept).then_some(2));
        assert!(!memory.waiters().any());
    });
}

#[test]
fn loom_no_wakeup_is_lost() {
    model(3, || {
        let memory = Memory::new(1);
        let other = Arc::clone(&memory);
        let sender = thread::spawn(move || {
            assert!(other.send(1, 1, 1));
            if let Some(seat) = other.waiters().pick(0) {
                assert_eq!(seat, 2);
                other.rung.store(1, Ordering::Release);
            }
        });
        memory.waiters().arm(2);
        let found = memory.receive(2);
        sender.join().unwrap();
        // It saw the message after it had armed itself, or it was rung for.
        assert!(!found.is_empty() || memory.rung.load(Ordering::Acquire) == 1);
    });
}

#[test]
fn loom_no_wakeup_is_lost_after_looking() {
    model(3, || {
        let memory = Memory::new(1);
        let other = Arc::clone(&memory);
        let sender = thread::spawn(move || {
            assert!(other.send(1, 1, 1));
            if other.waiters().pick(0).is_some() {
                other.rung.fetch_add(1, Ordering::Release);
            }
        });
        // Looks without being seen, then goes to sleep as any other.
        let mut found = memory.receive(2);
        if found.is_empty() {
            let signal = memory.rung.load(Ordering::Acquire);
            memory.waiters().arm(2);
            found = memory.receive(2);
            sender.join().unwrap();
            // What `futex_wait` compares.
            assert!(!found.is_empty() || memory.rung.load(Ordering::Acquire) != signal);
        } else {
            sender.join().unwrap();
            assert_eq!(memory.rung.load(Ordering::Acquire), 0, "nobody rings for one who looks");
        }
    });
}

#[test]
fn loom_who_looks_takes_no_wakeup_from_who_sleeps() {
    model(3, || {
        let memory = Memory::new(1);
        memory.waiters().arm(3);
        let other = Arc::clone(&memory);
        let sender = thread::spawn(move || {
            assert!(other.send(1, 1, 1));
            other.rung.store(u64::from(other.waiters().pick(0).unwrap()), Ordering::Release);
        });
        let mut found = memory.receive(2);
        if found.is_empty() {
            memory.waiters().arm(2);
            found = memory.receive(2);
        }
        sender.join().unwrap();
        let rung = memory.rung.load(Ordering::Acquire);
        assert!(rung == 2 || rung == 3);
        // Whoever is rung for finds it, unless the one who looked has it.
        assert_eq!(memory.receive(3).len() + found.len(), 1);
    });
}

#[test]
fn loom_one_of_two_sleepers_is_woken() {
    model(3, || {
        let memory = Memory::new(1);
        memory.waiters().arm(2);
        memory.waiters().arm(3);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let memory = Arc::clone(&memory);
                thread::spawn(move || memory.waiters().pick(2).unwrap())
            })
            .collect();
        let mut woken: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        woken.sort_unstable();
        assert_eq!(woken, [2, 3]);
    });
}
