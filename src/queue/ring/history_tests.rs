//! Long random histories of a ring, by one thread.

use std::collections::VecDeque;

use crate::queue::ring::{Claim, Ring};
use crate::queue::state::{POSITION_MASK, Shape, Status, distance, pack_free};
use crate::sync::counted::AtomicU64;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Claim(u32),
    Commit(usize),
    Die(usize),
    Take(usize),
    Finish(usize),
    Return(usize),
    Reclaim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1u32..=4).prop_map(Step::Claim),
        3 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::Die),
        3 => any::<usize>().prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Return),
        2 => Just(Step::Reclaim),
    ];
    prop::collection::vec(step, 1..400)
}

fn pick<T>(from: &mut Vec<T>, index: usize) -> Option<T> {
    if from.is_empty() { None } else { Some(from.swap_remove(index % from.len())) }
}

/// The walker reads states of one lap, is stopped, and goes on among those of the next.
#[test]
fn a_reclaim_that_was_overtaken_is_no_damage() {
    let shape = Shape::new(3).unwrap();
    let (tail, free) = (AtomicU64::new(shape.origin()), AtomicU64::new(pack_free(shape.origin(), 0)));
    let states: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring { shape, tail: &tail, free: &free, states: &states };
    let pass = |slots| {
        let Claim::At(position) = ring.claim(slots, 3, &mut ring.free()).unwrap() else { panic!("full") };
        ring.commit(position, slots, 3);
        let reading = ring.settle(ring.at(position).unwrap().unwrap(), 5, Status::Reading).unwrap();
        ring.end(reading, 5);
    };
    pass(4);
    pass(4);
    let stopped = std::cell::Cell::new(false);
    let freed = ring.reclaim(|_| {
        if !stopped.replace(true) {
            // Meanwhile the others free both, and use most of the ring for one that ends elsewhere.
            assert_eq!(ring.reclaim(|_| true), Ok(8));
            pass(6);
        }
        true
    });
    assert_eq!(freed, Ok(0));
    assert_eq!(ring.reclaim(|_| true), Ok(6));
}

proptest! {
    /// Against a model that is a plain list: nothing is lost, doubled or overlaid, across the wrap of positions too.
    #[test]
    fn a_ring_is_what_its_history_says(steps in steps(), bits in 2u32..=5, wrap: bool) {
        let shape = Shape::new(bits).unwrap();
        let count = shape.slots() as usize;
        let origin = if wrap { (POSITION_MASK - 40) & !(u64::from(shape.slots()) - 1) } else { shape.origin() };
        let (tail, free) = (AtomicU64::new(origin), AtomicU64::new(pack_free(origin, 0)));
        let before = shape.lap(origin.wrapping_sub(u64::from(shape.slots())));
        let past = shape.pack(crate::queue::state::State { lap: before, slots: 1, owner: 0, status: Status::Done });
        let states: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(past)).collect();
        let ring = Ring { shape, tail: &tail, free: &free, states: &states };
        let mut owners: Vec<Option<u64>> = vec![None; count];
        let (mut writing, mut ready, mut reading, mut seen) = (Vec::new(), VecDeque::new(), Vec::new(), origin);
        for step in steps {
            match step {
                Step::Claim(slots) => {
                    if let Claim::At(position) = ring.claim(slots, 3, &mut seen).unwrap() {
                        for slot in 0..slots as usize {
                            let place = &mut owners[shape.index(position) + slot];
                            prop_assert_eq!(*place, None, "slots in use were given away");
                            *place = Some(position);
                        }
                        writing.push((position, slots));
                    }
                }
                Step::Commit(index) => {
                    if let Some((position, slots)) = pick(&mut writing, index) {
                        ring.commit(position, slots, 3);
                        ready.push_back((position, slots));
                    }
                }
                Step::Die(index) => {
                    if let Some((position, slots)) = pick(&mut writing, index) {
                        let record = ring.at(position).unwrap().unwrap();
                        prop_assert!(ring.settle(record, 3, Status::Aborted).is_some());
                        owners.iter_mut().skip(shape.index(position)).take(slots as usize).for_each(|owner| *owner = None);
                    }
                }
                Step::Take(index) => {
                    let mut list: Vec<_> = ready.drain(..).collect();
                    if let Some((position, slots)) = pick(&mut list, index) {
                        let record = ring.at(position).unwrap().unwrap();
                        prop_assert_eq!(record.state.slots, slots);
                        reading.push((ring.settle(record, 5, Status::Reading).unwrap(), slots));
                        prop_assert!(ring.settle(record, 6, Status::Reading).is_none(), "one message, two receivers");
                    }
                    ready = list.into();
                }
                Step::Finish(index) => {
                    if let Some((record, slots)) = pick(&mut reading, index) {
                        prop_assert_eq!(ring.at(record.position).unwrap(), Some(record), "nobody else changed it");
                        ring.end(record, 5);
                        let ended = ring.at(record.position).unwrap().map(|record| record.state.status);
                        prop_assert_eq!(ended, Some(Status::Done));
                        owners.iter_mut().skip(shape.index(record.position)).take(slots as usize).for_each(|owner| *owner = None);
                    }
                }
                Step::Return(index) => {
                    if let Some((record, slots)) = pick(&mut reading, index) {
                        prop_assert!(ring.settle(record, 5, Status::Again).is_some());
                        ready.push_back((record.position, slots));
                    }
                }
                Step::Reclaim => {
                    ring.reclaim(|record| matches!(record.state.status, Status::Done | Status::Aborted)).unwrap();
                }
            }
            let mut found = Vec::new();
            ring.walk(ring.free(), |record| {
                if matches!(record.state.status, Status::Ready | Status::Again) {
                    found.push((record.position, record.state.slots));
                }
                true
            }).unwrap();
            let mut expected: Vec<_> = ready.iter().copied().collect();
            expected.sort_by_key(|(position, _)| distance(origin, *position));
            prop_assert_eq!(found, expected);
        }
    }

    /// Any words at all: an answer or an error, and never more work than the ring has slots.
    #[test]
    fn damaged_words_are_an_error_at_worst(
        words in prop::collection::vec(any::<u64>(), 16),
        small in prop::collection::vec(0u64..1 << 20, 16),
        choose in prop::collection::vec(any::<bool>(), 16),
        tail: u64, free: u64, slots in 1u32..=4, near: bool,
    ) {
        let shape = Shape::new(4).unwrap();
        let states: Vec<AtomicU64> = (0..16).map(|i| AtomicU64::new(if choose[i] { words[i] } else { small[i] })).collect();
        let (tail, free) = if near { (tail % 64, pack_free(free % 64, 0)) } else { (tail, free) };
        let (tail, free) = (AtomicU64::new(tail), AtomicU64::new(free));
        let ring = Ring { shape, tail: &tail, free: &free, states: &states };
        let mut steps = 0;
        let _ = ring.walk(ring.free(), |_| { steps += 1; true });
        prop_assert!(steps <= 16);
        let _ = ring.reclaim(|_| true);
        for _ in 0..20 {
            if let Ok(Claim::At(position)) = ring.claim(slots, 1, &mut ring.free()) {
                prop_assert!(shape.index(position) + slots as usize <= 16);
                ring.commit(position, slots, 1);
            }
        }
    }
}
