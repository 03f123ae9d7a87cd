//! The bytes of a map: its words, its buckets, its blocks. Widths are those of `docs/map-layout.md`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::lock::Mutex;

/// Bytes of a block.
pub(super) const BLOCK: usize = 128;
/// Bytes of an entry in its head block.
pub(super) const HEAD_ROOM: usize = BLOCK - 64;
/// Bytes of an entry in each block that follows.
pub(super) const TAIL_ROOM: usize = BLOCK - 8;

/// Nothing, or part of an entry that does not count.
pub(super) const FREE: u32 = 0;
/// The head of an entry.
pub(super) const USED: u32 = 1;

/// The first page of a map's data.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Words {
    pub(super) mutex: Mutex,
    /// Blocks, and so buckets; set by the creator.
    pub(super) blocks: AtomicU64,
    /// 1: chains and lists are as the heads say.
    pub(super) sound: AtomicU32,
    /// First free block plus 1.
    pub(super) free: AtomicU32,
    pub(super) free_count: AtomicU32,
    /// Entries.
    pub(super) count: AtomicU32,
    /// The entries used last and longest ago, plus 1.
    pub(super) newest: AtomicU32,
    pub(super) oldest: AtomicU32,
    /// Counts changes and uses: what orders them.
    pub(super) tick: AtomicU64,
    /// No entry ends before this time, in milliseconds since 1970; 0: none ends.
    pub(super) next_end: AtomicU64,
    /// Default life of an entry in milliseconds; 0: without an end.
    pub(super) ttl: AtomicU64,
    /// 1: what was used longest ago makes room for new entries.
    pub(super) evict: AtomicU32,
    unused: AtomicU32,
    /// For lists.
    pub(super) evicted: AtomicU64,
    /// Odd while the map is changed: whoever read without the mutex reads again.
    pub(super) changes: AtomicU64,
}

/// Where the buckets begin.
pub(super) const AT_BUCKETS: usize = 4096;

/// A block: head of an entry, or one that follows.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Block {
    /// [`FREE`] or [`USED`].
    pub(super) state: AtomicU32,
    /// The entry's next block, or the next free one, plus 1.
    pub(super) next: AtomicU32,
    /// The next entry of the bucket, plus 1.
    pub(super) chain: AtomicU32,
    pub(super) newer: AtomicU32,
    pub(super) older: AtomicU32,
    pub(super) key_len: AtomicU32,
    pub(super) value_len: AtomicU32,
    /// What the value's bytes are, see [`super::Value`].
    pub(super) kind: AtomicU32,
    /// The tick of the last change: what an atomic update compares. Of two entries with the same key the later counts.
    pub(super) version: AtomicU64,
    /// The tick at which the key came: the order of iteration.
    pub(super) born: AtomicU64,
    pub(super) used: AtomicU64,
    /// Milliseconds since 1970; 0: never.
    pub(super) ends: AtomicU64,
    room: [u8; HEAD_ROOM],
}

const _: () = assert!(size_of::<Block>() == BLOCK);
const _: () = assert!(size_of::<Words>() <= AT_BUCKETS);

/// Blocks of an entry with so many bytes of key and value.
pub(super) fn blocks_for(bytes: usize) -> usize {
    1 + bytes.saturating_sub(HEAD_ROOM).div_ceil(TAIL_ROOM)
}

/// Where bytes are, so that a change can be told from outside: every store goes through here.
pub(super) fn put32(word: &AtomicU32, value: u32) {
    #[cfg(test)]
    super::tests::step();
    // SYNC: pairs with the next owner's lock of the mutex; Release also orders `USED` behind the bytes for a reader of a dead map.
    word.store(value, Ordering::Release);
}

/// As [`put32`].
pub(super) fn put64(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    super::tests::step();
    word.store(value, Ordering::Relaxed);
}

/// FNV-1a, 32 bits of 64.
pub(super) fn hash(key: &[u8]) -> u32 {
    let hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}
