//! Blocks for new entries: free ones, those of what has ended, those of what was used longest ago.

use std::sync::atomic::Ordering::Relaxed;

use super::block::{blocks_for, put32, put64};
use super::published::{self, GONE, is_used};
use super::store::{Store, now};
use super::value::Full;

/// Blocks that are looked at for ended entries before others are evicted.
const GLANCE: u32 = 32;

impl Store<'_> {
    /// A chain of blocks for so many bytes, evicting others but `keep`.
    pub(super) fn reserve(self, bytes: usize, keep: Option<u32>) -> Result<u32, Full> {
        let count = u32::try_from(blocks_for(bytes)).map_err(|_| Full)?;
        if count > self.blocks {
            return Err(Full);
        }
        if self.words.free_count.load(Relaxed) < count {
            self.make_room(count, keep)?;
        }
        let mut first = 0;
        for _ in 0..count {
            let Some(index) = self.take_free() else {
                self.distrust();
                return Err(Full);
            };
            let block = self.block(index).ok_or(Full)?;
            put32(&block.next, first);
            first = index + 1;
        }
        first.checked_sub(1).ok_or(Full)
    }

    /// Gives the blocks of what was an entry back.
    pub(super) fn give_all_free(self, index: u32) {
        let mut next = Some(index);
        for _ in 0..self.blocks {
            let Some(index) = next else { return };
            let Some(block) = self.block(index) else { return self.distrust() };
            next = block.next.load(Relaxed).checked_sub(1);
            self.give_free(index);
        }
        self.distrust();
    }

    pub(super) fn give_free(self, index: u32) {
        if let Some(block) = self.block(index) {
            put32(&block.next, self.words.free.load(Relaxed));
            put32(&self.words.free, index + 1);
            put32(&self.words.free_count, self.words.free_count.load(Relaxed).saturating_add(1));
        }
    }

    /// Removes all entries whose time is over, but `keep`.
    pub(super) fn drop_ended(self, keep: Option<u32>) {
        let (next_end, now) = (self.words.next_end.load(Relaxed), now());
        if next_end == 0 || next_end > now {
            return;
        }
        let mut next = 0;
        for index in 0..self.touched() {
            let ends = self.ends(index);
            if ends != 0 && ends <= now && Some(index) != keep {
                self.remove(index);
            } else if ends != 0 && (next == 0 || ends < next) {
                next = ends;
            }
        }
        put64(&self.words.next_end, next);
    }

    fn make_room(self, count: u32, keep: Option<u32>) -> Result<(), Full> {
        let may_evict = self.words.evict.load(Relaxed) != 0;
        if may_evict {
            self.drop_some_ended(keep);
        } else {
            self.drop_ended(keep);
        }
        let mut evicted = 0;
        while self.words.free_count.load(Relaxed) < count {
            if !may_evict {
                return Err(Full);
            }
            evicted += 1;
            if evicted > self.blocks.saturating_mul(2) {
                self.distrust();
                return Err(Full);
            }
            let oldest = self.words.oldest.load(Relaxed).checked_sub(1).ok_or(Full)?;
            // What is replaced stays until the new value counts.
            let victim = if Some(oldest) == keep {
                self.block(oldest).ok_or(Full)?.newer.load(Relaxed).checked_sub(1).ok_or(Full)?
            } else {
                oldest
            };
            // Used since it came to its place: it gets another round. Everyone's mark is gone after one.
            if evicted <= self.blocks && self.take_mark(victim) {
                self.touch(victim);
                continue;
            }
            self.remove(victim);
            put64(&self.words.evicted, self.words.evicted.load(Relaxed).wrapping_add(1));
        }
        Ok(())
    }

    /// The same for a few blocks, others at each call: going through all of them takes too long for every new entry.
    fn drop_some_ended(self, keep: Option<u32>) {
        let (next_end, now) = (self.words.next_end.load(Relaxed), now());
        if next_end == 0 || next_end > now {
            return;
        }
        let mut hand = self.words.hand.load(Relaxed);
        let touched = self.touched();
        for _ in 0..GLANCE.min(touched) {
            hand = if hand >= touched - 1 { 0 } else { hand + 1 };
            let ends = self.ends(hand);
            if ends != 0 && ends <= now && Some(hand) != keep {
                self.remove(hand);
            }
        }
        put32(&self.words.hand, hand);
    }

    /// When the entry of this head ends; 0: never, or it is none.
    fn ends(self, index: u32) -> u64 {
        let head = self.block(index).filter(|block| is_used(block.stamp.load(Relaxed)));
        head.map_or(0, |block| block.ends.load(Relaxed))
    }

    fn take_free(self) -> Option<u32> {
        let Some(index) = self.words.free.load(Relaxed).checked_sub(1) else { return self.take_fresh() };
        let block = self.block(index)?;
        // Someone scribbled: an entry is not free.
        if block.stamp.load(Relaxed) != GONE {
            return None;
        }
        put32(&self.words.free, block.next.load(Relaxed));
        put32(&self.words.free_count, self.words.free_count.load(Relaxed).saturating_sub(1));
        Some(index)
    }

    fn take_fresh(self) -> Option<u32> {
        let index = self.touched();
        let block = self.block(index)?;
        if block.stamp.load(Relaxed) != GONE {
            published::end(&block.stamp);
        }
        put32(&self.words.fresh, index + 1);
        put32(&self.words.free_count, self.words.free_count.load(Relaxed).saturating_sub(1));
        Some(index)
    }
}
