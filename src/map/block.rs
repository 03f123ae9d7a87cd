//! The bytes of a map: its words, its buckets, its blocks. Widths are those of `docs/map-layout.md`.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use siphasher::sip::SipHasher13;

use crate::lock::Mutex;

/// Bytes of a block.
pub(super) const BLOCK: usize = 128;
/// Bytes of a head block before the entry's.
pub(super) const HEAD: usize = 64;
/// Bytes of an entry in its head block.
pub(super) const HEAD_ROOM: usize = BLOCK - HEAD;
/// Bytes of an entry in each block that follows: behind a stamp of 0 and the link to the next one.
pub(super) const TAIL_ROOM: usize = BLOCK - 12;

/// The first page of a map's data.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Words {
    pub(super) mutex: Mutex,
    /// Blocks, and so buckets; set by the creator.
    pub(super) blocks: AtomicU64,
    /// The hash's key; set by the creator.
    pub(super) seed: [AtomicU64; 2],
    /// Default life of an entry in milliseconds; 0: without an end.
    pub(super) ttl: AtomicU64,
    /// 1: what was used longest ago makes room for new entries.
    pub(super) evict: AtomicU32,
    /// Odd: chains and lists are to be rebuilt from the heads, or just are.
    pub(super) rebuilt: AtomicU32,
    /// Blocks from this one on were never used: nobody looks at them.
    pub(super) fresh: AtomicU32,
    /// First free block of those that were, plus 1.
    pub(super) free: AtomicU32,
    /// All that are free.
    pub(super) free_count: AtomicU32,
    /// Entries.
    pub(super) count: AtomicU32,
    /// The entries used last and longest ago, plus 1.
    pub(super) newest: AtomicU32,
    pub(super) oldest: AtomicU32,
    /// The block at which the search for ended entries goes on.
    pub(super) hand: AtomicU32,
    /// Counts changes and uses: what orders them.
    pub(super) tick: AtomicU64,
    /// No entry ends before this time, in milliseconds since 1970; 0: none ends.
    pub(super) next_end: AtomicU64,
    /// For lists.
    pub(super) evicted: AtomicU64,
}

/// Where the buckets begin.
pub(super) const AT_BUCKETS: usize = 4096;

/// A block: head of an entry, or one that follows.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Block {
    /// See [`super::published`]. 0: no head.
    pub(super) stamp: AtomicU64,
    /// The entry's next block, or the next free one, plus 1.
    pub(super) next: AtomicU32,
    /// The next entry of the bucket, plus 1.
    pub(super) chain: AtomicU32,
    pub(super) newer: AtomicU32,
    pub(super) older: AtomicU32,
    pub(super) hash: AtomicU32,
    pub(super) kind: AtomicU32,
    pub(super) key_len: AtomicU32,
    pub(super) value_len: AtomicU32,
    /// The tick at which the key came: the order of iteration.
    pub(super) born: AtomicU64,
    /// The tick at which it came to its place in the order of use.
    pub(super) used: AtomicU64,
    /// Milliseconds since 1970; 0: never.
    pub(super) ends: AtomicU64,
    room: [u8; HEAD_ROOM],
}

const _: () = assert!(size_of::<Block>() == BLOCK && std::mem::offset_of!(Block, room) == HEAD);
const _: () = assert!(size_of::<Words>() <= AT_BUCKETS);

impl Words {
    /// SipHash 1-3 with the map's key: nobody outside can make keys that all fall into one bucket.
    pub(super) fn hash(&self, key: &[u8]) -> u32 {
        let [low, high] = &self.seed;
        let mut hasher = SipHasher13::new_with_keys(low.load(Ordering::Relaxed), high.load(Ordering::Relaxed));
        hasher.write(key);
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Blocks of an entry with so many bytes of key and value.
pub(super) fn blocks_for(bytes: usize) -> usize {
    1 + bytes.saturating_sub(HEAD_ROOM).div_ceil(TAIL_ROOM)
}

/// Where the marks of use begin, for so many blocks.
pub(super) fn first_mark(blocks: u32) -> usize {
    AT_BUCKETS + blocks as usize * 4
}

/// Where the blocks begin, for so many of them.
pub(super) fn first_block(blocks: u32) -> usize {
    let marks = (blocks as usize).div_ceil(32) * 4;
    (first_mark(blocks) + marks).next_multiple_of(BLOCK)
}

/// Where words are changed that only owners of the mutex trust, so that a change can be told from outside.
pub(super) fn put32(word: &AtomicU32, value: u32) {
    #[cfg(test)]
    super::crash_tests::step();
    word.store(value, Ordering::Relaxed);
}

/// As [`put32`].
pub(super) fn put64(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    super::crash_tests::step();
    word.store(value, Ordering::Relaxed);
}
