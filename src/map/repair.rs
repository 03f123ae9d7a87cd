//! Chains, lists and free blocks anew from the heads: after a death amid a change, after someone scribbled, for a new map.

use std::cmp::Reverse;
use std::sync::atomic::{Ordering, Ordering::Relaxed, fence};

use super::block::{blocks_for, put32, put64};
use super::published::{self, GONE, is_used, tick_of};
use super::store::Store;

impl Store<'_> {
    /// Rebuilds all that is derived.
    pub(super) fn repair(self) {
        self.distrust();
        // SYNC: pairs with the fence in `Store::rebuilt`: who comes into a chain that is being rebuilt sees the odd number.
        fence(Ordering::Release);
        for index in 0..self.blocks {
            put32(self.bucket_at(index), 0);
        }
        let words = self.words;
        for word in [&words.newest, &words.oldest, &words.count, &words.free, &words.free_count, &words.hand] {
            put32(word, 0);
        }
        let heads = self.heads();
        let tick = heads.first().map_or(0, |(tick, _)| *tick);
        put64(&words.tick, words.tick.load(Relaxed).max(tick));
        let touched = self.touched();
        let mut taken = vec![false; touched as usize];
        let mut kept: Vec<(u64, u32)> = Vec::new();
        let mut next_end = 0;
        for (_, index) in heads {
            let Some(block) = self.block(index) else { continue };
            let Some(chain) = self.sound(index, &taken) else {
                published::end(&block.stamp);
                continue;
            };
            for member in chain {
                taken[member as usize] = true;
            }
            let ends = block.ends.load(Relaxed);
            next_end = if next_end == 0 || ends != 0 && ends < next_end { ends } else { next_end };
            kept.push((block.used.load(Relaxed), index));
        }
        kept.sort_unstable();
        for (_, index) in &kept {
            if let Some(block) = self.block(*index) {
                self.to_newest(*index, block);
            }
        }
        put32(&words.count, u32::try_from(kept.len()).unwrap_or(u32::MAX));
        put64(&words.next_end, next_end);
        put32(&words.free_count, self.blocks - touched);
        for index in (0..touched).rev().filter(|index| !taken[*index as usize]) {
            self.give_free(index);
        }
        #[cfg(test)]
        super::crash_tests::step();
        // SYNC: pairs with the load in `Store::rebuilt`: who sees the even number sees whole chains.
        words.rebuilt.store((words.rebuilt.load(Relaxed) | 1).wrapping_add(1), Ordering::Release);
    }

    /// The stamps' ticks with the heads, the latest first. What was being removed is removed.
    fn heads(self) -> Vec<(u64, u32)> {
        let mut heads: Vec<(u64, u32)> = Vec::new();
        for index in 0..self.touched() {
            let Some(block) = self.block(index) else { continue };
            let stamp = block.stamp.load(Relaxed);
            if is_used(stamp) {
                heads.push((tick_of(stamp), index));
            } else if stamp != GONE {
                published::end(&block.stamp);
            }
        }
        heads.sort_unstable_by_key(|head| Reverse(*head));
        heads
    }

    /// The entry's blocks, once it is in its bucket; `None`: it is no whole entry, or a later one has its key.
    fn sound(self, index: u32, taken: &[bool]) -> Option<Vec<u32>> {
        let block = self.block(index)?;
        let chain = self.whole_chain(index, taken)?;
        let key = self.key(index, block)?;
        let hash = self.words.hash(&key);
        if self.look_up(&key, hash) != Ok(None) || self.copy(index, block.stamp.load(Relaxed), &mut []).is_none() {
            return None;
        }
        put32(&block.hash, hash);
        self.into_bucket(index, block, hash);
        Some(chain)
    }

    /// The entry's blocks, if they are as many as its lengths say and none is `taken`.
    fn whole_chain(self, index: u32, taken: &[bool]) -> Option<Vec<u32>> {
        let block = self.block(index)?;
        let bytes = (block.key_len.load(Relaxed) as usize).checked_add(block.value_len.load(Relaxed) as usize)?;
        let count = blocks_for(bytes);
        let mut chain = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next {
            let is_part = chain.is_empty() || self.block(index)?.stamp.load(Relaxed) == GONE;
            if chain.len() == count || *taken.get(index as usize)? || !is_part {
                return None;
            }
            chain.push(index);
            next = self.block(index)?.next.load(Relaxed).checked_sub(1);
        }
        let mut distinct = chain.clone();
        distinct.sort_unstable();
        distinct.dedup();
        (distinct.len() == count).then_some(chain)
    }
}
