//! One writer, who has the mutex, and readers without it, under every interleaving of their loads and stores.

use super::*;
use crate::sync::model;
use loom::sync::Arc;
use loom::thread;

/// A read that is disturbed so often is not asked again: the real one asks for the mutex, then.
const TRIES: u32 = 2;

struct Entry {
    stamp: AtomicU64,
    chain: AtomicU32,
    key: AtomicU32,
    value: AtomicU32,
}

/// Two buckets, and as many blocks as a scenario needs.
struct Model {
    buckets: [AtomicU32; 2],
    blocks: Vec<Entry>,
}

impl Entries for Model {
    fn entry(&self, index: u32) -> Option<(&AtomicU64, &AtomicU32)> {
        let entry = self.blocks.get(usize::try_from(index).ok()?)?;
        Some((&entry.stamp, &entry.chain))
    }
}

impl Model {
    /// Bucket 0 holds the key 1 with the value 10 in block 0, then 2 with 20 in block 1. Block 2 is free.
    fn new() -> Arc<Self> {
        let entry = |tick: u64, chain, key| Entry {
            stamp: AtomicU64::new(if tick == 0 { GONE } else { used(tick) }),
            chain: AtomicU32::new(chain),
            key: AtomicU32::new(key),
            value: AtomicU32::new(key * 10),
        };
        let blocks = vec![entry(2, 2, 1), entry(1, 0, 2), entry(0, 0, 0)];
        Arc::new(Self { buckets: [AtomicU32::new(1), AtomicU32::new(0)], blocks })
    }

    /// `None`: too many changes meanwhile.
    fn get(&self, key: u32) -> Option<Option<u32>> {
        for _ in 0..TRIES {
            let found = search(self, &self.buckets[0], |index, _| {
                let entry = &self.blocks[index as usize];
                (entry.key.load(Ordering::Relaxed) == key).then(|| entry.value.load(Ordering::Relaxed))
            });
            match found {
                Ok(found) => return Some(found),
                Err(miss) => assert_eq!(miss, Miss::Changed),
            }
        }
        None
    }

    fn write(&self, index: usize, tick: u64, key: u32, value: u32, chain: u32) {
        let entry = &self.blocks[index];
        entry.key.store(key, Ordering::Relaxed);
        entry.value.store(value, Ordering::Relaxed);
        entry.chain.store(chain, Ordering::Relaxed);
        publish(&entry.stamp, tick);
    }

    /// Gives the key 2 the value 21 in block 2; block 1 is free then.
    fn replace(&self) {
        self.write(2, 3, 2, 21, 0);
        retire(&self.blocks[1].stamp);
        link(&self.blocks[0].chain, 3);
        end(&self.blocks[1].stamp);
    }
}

#[test]
fn loom_a_key_that_is_replaced_is_always_there() {
    model(3, || {
        let model = Model::new();
        let writer = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.replace();
                // The old blocks are another entry's at once, in the same chain.
                let first = model.buckets[0].load(Ordering::Relaxed);
                model.write(1, 4, 3, 30, first);
                link(&model.buckets[0], 2);
            })
        };
        if let Some(found) = model.get(2) {
            assert!(matches!(found, Some(20 | 21)), "{found:?}");
        }
        writer.join().unwrap();
        assert_eq!(model.get(2), Some(Some(21)));
        assert_eq!(model.get(3), Some(Some(30)));
    });
}

#[test]
fn loom_a_removed_neighbour_leads_nobody_astray() {
    model(3, || {
        let model = Model::new();
        let writer = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                retire(&model.blocks[0].stamp);
                link(&model.buckets[0], 2);
                end(&model.blocks[0].stamp);
                // It is in the other bucket from then on, where no one follows it.
                model.write(0, 4, 7, 70, 0);
                link(&model.buckets[1], 1);
            })
        };
        if let Some(found) = model.get(2) {
            assert_eq!(found, Some(20));
        }
        if let Some(found) = model.get(7) {
            assert_eq!(found, None);
        }
        writer.join().unwrap();
        assert_eq!((model.get(1), model.get(2)), (Some(None), Some(Some(20))));
    });
}

#[test]
fn loom_nothing_old_comes_back() {
    model(3, || {
        let model = Model::new();
        let writer = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.replace())
        };
        let first = model.get(2);
        if first == Some(Some(21)) {
            // A thread that kept the old value asks its stamp.
            assert!(!is_used(model.blocks[1].stamp.load(Ordering::SeqCst)));
            assert_eq!(model.get(2), Some(Some(21)));
        }
        writer.join().unwrap();
    });
}

/// All blocks are asked, from the first to the last, and it moves to the first.
#[test]
fn loom_who_asks_every_block_misses_nothing_that_moves() {
    model(3, || {
        let model = Model::new();
        let tick = Arc::new(AtomicU64::new(2));
        model.blocks[0].stamp.store(GONE, Ordering::Relaxed);
        let writer = {
            let (model, tick) = (Arc::clone(&model), Arc::clone(&tick));
            thread::spawn(move || {
                tick.store(3, Ordering::Relaxed);
                model.write(0, 3, 2, 21, 0);
                retire(&model.blocks[1].stamp);
                link(&model.buckets[0], 1);
                end(&model.blocks[1].stamp);
            })
        };
        let found = settled(&tick, || {
            let stamps = model.blocks[..2].iter().map(|entry| entry.stamp.load(Ordering::Acquire));
            stamps.filter(|stamp| is_used(*stamp)).map(tick_of).max()
        });
        assert!(matches!(found, Ok(Some(1 | 3)) | Err(Miss::Changed)), "{found:?}");
        writer.join().unwrap();
    });
}

#[test]
fn loom_a_stopped_writer_holds_up_no_reader() {
    // Stopped for ever after so many stores: one try is enough.
    for stores in 0..4 {
        model(3, move || {
            let model = Model::new();
            let steps: [&dyn Fn(&Model); 4] = [
                &|model| model.write(2, 3, 2, 21, 0),
                &|model| retire(&model.blocks[1].stamp),
                &|model| link(&model.blocks[0].chain, 3),
                &|model| end(&model.blocks[1].stamp),
            ];
            steps.iter().take(stores).for_each(|step| step(&model));
            let found = search(&*model, &model.buckets[0], |index, _| {
                let entry = &model.blocks[index as usize];
                (entry.key.load(Ordering::Relaxed) == 2).then(|| entry.value.load(Ordering::Relaxed))
            });
            assert_eq!(found, Ok(Some(if stores < 3 { 20 } else { 21 })));
        });
    }
}
