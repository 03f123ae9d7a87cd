//! The order of use: a list from the newest to the oldest, which writers keep, and a bit an entry that readers set.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::block::{Block, first_mark, put32, put64};
use super::store::Store;

impl<'a> Store<'a> {
    /// Notes a use. Readers do it without the mutex: a wrong mark only lets an entry stay for a round longer.
    pub(super) fn mark_used(self, index: u32) {
        if let Some(word) = self.marks(index)
            && word.load(Relaxed) & (1 << (index % 32)) == 0
        {
            word.fetch_or(1 << (index % 32), Relaxed);
        }
    }

    /// Whether the entry was marked; it is not any more.
    pub(super) fn take_mark(self, index: u32) -> bool {
        let bit = 1 << (index % 32);
        self.marks(index).is_some_and(|word| word.load(Relaxed) & bit != 0 && word.fetch_and(!bit, Relaxed) & bit != 0)
    }

    /// Makes an entry of the list the newest.
    pub(super) fn touch(self, index: u32) {
        let Some(block) = self.block(index) else { return };
        put64(&block.used, self.tick());
        self.out_of_order(block);
        self.to_newest(index, block);
    }

    /// Puts an entry into the list.
    pub(super) fn to_newest(self, index: u32, block: &Block) {
        let newest = self.words.newest.load(Relaxed);
        put32(&block.newer, 0);
        put32(&block.older, newest);
        match newest.checked_sub(1).and_then(|newest| self.block(newest)) {
            Some(newest) => put32(&newest.newer, index + 1),
            None => put32(&self.words.oldest, index + 1),
        }
        put32(&self.words.newest, index + 1);
    }

    /// Takes an entry out of the list.
    pub(super) fn out_of_order(self, block: &Block) {
        let (newer, older) = (block.newer.load(Relaxed), block.older.load(Relaxed));
        match newer.checked_sub(1).and_then(|newer| self.block(newer)) {
            Some(newer) => put32(&newer.older, older),
            None => put32(&self.words.newest, older),
        }
        match older.checked_sub(1).and_then(|older| self.block(older)) {
            Some(older) => put32(&older.newer, newer),
            None => put32(&self.words.oldest, newer),
        }
    }

    /// Where an entry's mark is: the word's place in the data, and the bit.
    pub(super) fn mark_at(self, index: u32) -> (usize, u32) {
        (first_mark(self.blocks) + (index / 32) as usize * 4, index % 32)
    }

    fn marks(self, index: u32) -> Option<&'a AtomicU32> {
        self.region.atomic_u32(self.mark_at(index).0)
    }
}
