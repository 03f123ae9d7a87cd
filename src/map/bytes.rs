//! An entry's key and value: one after the other, over its blocks.
//!
//! Readers without the mutex come here too. Links and lengths may be anything: all is bounded, nothing outside the map is touched,
//! and what was read counts only if the entry's stamp says so afterwards.

use std::sync::atomic::Ordering::Relaxed;

use super::block::{BLOCK, Block, HEAD, HEAD_ROOM, TAIL_ROOM, blocks_for};
use super::store::Store;

impl Store<'_> {
    /// Writes key and value to blocks that are linked already.
    pub(super) fn write(self, index: u32, key: &[u8], value: &[u8]) {
        #[cfg(test)]
        super::crash_tests::step();
        for (at, bytes) in [(0, key), (key.len(), value)] {
            let mut rest = bytes;
            self.walk(index, at, bytes.len(), |offset, len| {
                let (part, behind) = rest.split_at(len);
                self.region.copy_in(offset, part);
                rest = behind;
            });
        }
    }

    /// The key; `None`: its length cannot be.
    pub(super) fn key(self, index: u32, block: &Block) -> Option<Vec<u8>> {
        let len = block.key_len.load(Relaxed) as usize;
        if len > self.room() {
            return None;
        }
        let mut key = vec![0; len];
        self.read(index, 0, &mut key).then_some(key)
    }

    /// Whether the entry's key is this one.
    pub(super) fn has_key(self, index: u32, block: &Block, key: &[u8]) -> bool {
        if block.key_len.load(Relaxed) as usize != key.len() {
            return false;
        }
        if key.len() <= HEAD_ROOM {
            let mut bytes = [0; HEAD_ROOM];
            let found = self.region.copy_out(self.at(index) + HEAD, &mut bytes[..key.len()]);
            return found.is_some() && bytes[..key.len()] == *key;
        }
        let mut bytes = vec![0; key.len()];
        self.read(index, 0, &mut bytes) && bytes == key
    }

    /// Copies an entry's bytes from the `at`-th on; `false`: there are not so many.
    pub(super) fn read(self, index: u32, at: usize, bytes: &mut [u8]) -> bool {
        let (mut done, whole) = (0, bytes.len());
        self.walk(index, at, whole, |offset, len| {
            if self.region.copy_out(offset, &mut bytes[done..done + len]).is_some() {
                done += len;
            }
        });
        done == whole
    }

    /// The most that an entry's bytes can be.
    pub(super) fn room(self) -> usize {
        HEAD_ROOM + (self.blocks as usize).saturating_sub(1) * TAIL_ROOM
    }

    /// Calls `each` with the places of `len` bytes from byte `at` of an entry on.
    fn walk(self, index: u32, at: usize, len: usize, mut each: impl FnMut(usize, usize)) {
        let (mut skip, mut left, mut next) = (at, len, Some(index));
        let mut room = HEAD_ROOM;
        for _ in 0..blocks_for(at.saturating_add(len)) {
            let Some(index) = next.filter(|_| left > 0) else { return };
            let Some(block) = self.block(index) else { return };
            if skip < room {
                let len = left.min(room - skip);
                each(self.at(index) + BLOCK - room + skip, len);
                left -= len;
                skip = 0;
            } else {
                skip -= room;
            }
            room = TAIL_ROOM;
            next = block.next.load(Relaxed).checked_sub(1);
        }
    }
}
