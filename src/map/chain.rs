//! Buckets and their chains, as the owner of the mutex goes through them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::block::Block;
use super::published::{self, Entries, Miss};
use super::store::Store;

impl<'a> Store<'a> {
    /// The entry of that key, also what has ended.
    pub(super) fn look_up(self, key: &[u8], hash: u32) -> Result<Option<u32>, Miss> {
        published::search(&self, self.bucket(hash), |index, _| {
            let block = self.block(index)?;
            (block.hash.load(Relaxed) == hash && self.has_key(index, block, key)).then_some(index)
        })
    }

    /// Puts an entry into its bucket: from then on others find it.
    pub(super) fn into_bucket(self, index: u32, block: &Block, hash: u32) {
        let bucket = self.bucket(hash);
        block.chain.store(bucket.load(Relaxed), Relaxed);
        published::link(bucket, index + 1);
    }

    /// Puts an entry in another one's place in their bucket.
    pub(super) fn replace(self, old: u32, old_block: &Block, new: u32, new_block: &Block) {
        new_block.chain.store(old_block.chain.load(Relaxed), Relaxed);
        match self.link_to(old, old_block.hash.load(Relaxed)) {
            Some(link) => published::link(link, new + 1),
            None => self.distrust(),
        }
    }

    /// Takes an entry out of its bucket.
    pub(super) fn out_of_bucket(self, index: u32, block: &Block) {
        match self.link_to(index, block.hash.load(Relaxed)) {
            Some(link) => published::link(link, block.chain.load(Relaxed)),
            None => self.distrust(),
        }
    }

    /// The link that leads to an entry: its bucket, or another entry's.
    fn link_to(self, index: u32, hash: u32) -> Option<&'a AtomicU32> {
        let mut link = self.bucket(hash);
        let mut found = None;
        let search = published::search(&self, link, |next, _| {
            if next == index {
                found = Some(link);
                return Some(());
            }
            link = &self.block(next)?.chain;
            None
        });
        search.ok().flatten().and(found)
    }

    pub(super) fn bucket(self, hash: u32) -> &'a AtomicU32 {
        self.bucket_at(hash % self.blocks)
    }
}

impl Entries for Store<'_> {
    fn entry(&self, index: u32) -> Option<(&AtomicU64, &AtomicU32)> {
        let block = self.block(index)?;
        Some((&block.stamp, &block.chain))
    }
}
