//! What is done to a map with its mutex held.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;

use super::block::{AT_BUCKETS, BLOCK, Block, FREE, HEAD_ROOM, TAIL_ROOM, USED, Words, blocks_for, hash, put32, put64};
use crate::shm::Region;

/// A value, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    Bytes(Vec<u8>),
    /// UTF-8: JSON, or a plain string after a byte 1.
    Text(Vec<u8>),
    /// A number.
    Number(f64),
}

/// There is no room for the entry: it is larger than the map, or nothing may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A value, and what tells that it is still the entry's.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The value.
    pub value: Value,
    /// The tick of its storing; no other ever has it.
    pub version: u64,
    /// Milliseconds since 1970; 0: never.
    pub ends: u64,
    /// Where its head block is in the data: the state at this byte is 1 and the version at the 32nd behind, as long as it is the entry's.
    pub at: usize,
    /// The word and the bit of its mark of use.
    pub mark: (usize, u32),
}

/// The entry's time is over.
pub(super) struct Ended;

/// When an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Whatever is there.
    Always,
    /// Only where there is none.
    IfAbsent,
    /// Only where the entry has this version; 0: where there is none.
    IfVersion(u64),
}

/// The map's memory, whose mutex is held.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    region: Region<'a>,
    words: &'a Words,
    blocks: u32,
    /// Milliseconds since 1970.
    now: u64,
}

impl<'a> Store<'a> {
    /// `blocks` were checked to lie inside `region`.
    pub(super) fn new(region: Region<'a>, words: &'a Words, blocks: u32, now: u64) -> Self {
        Self { region, words, blocks, now }
    }

    /// The value, and where it is.
    pub(super) fn get(self, key: &[u8]) -> Option<Located> {
        let index = self.find(key)?;
        self.located(index)
    }

    /// The same without the mutex, and without trust: what it gives counts only if nothing changed meanwhile. `Err`: an entry that
    /// has ended, which is to be removed.
    pub(super) fn peek(self, key: &[u8]) -> Result<Option<Located>, Ended> {
        let Some(index) = self.look_up(key) else { return Ok(None) };
        if self.block(index).is_some_and(|block| self.has_ended(block)) {
            return Err(Ended);
        }
        Ok(self.located(index))
    }

    fn located(self, index: u32) -> Option<Located> {
        let block = self.block(index)?;
        self.mark_used(index);
        Some(Located {
            value: self.value(block)?,
            version: block.version.load(Relaxed),
            ends: block.ends.load(Relaxed),
            at: self.at(index),
            mark: (self.marks_at(index), index % 32),
        })
    }

    pub(super) fn has(self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// Stores, and gives the version; `None`: the condition does not hold.
    pub(super) fn put(self, key: &[u8], value: &Value, ttl: Option<u64>, put: Put) -> Result<Option<u64>, Full> {
        let old = self.find(key);
        let version = old.and_then(|old| self.block(old)).map_or(0, |block| block.version.load(Relaxed));
        let fits = match put {
            Put::Always => true,
            Put::IfAbsent => old.is_none(),
            Put::IfVersion(expected) => version == expected,
        };
        if !fits {
            return Ok(None);
        }
        let number;
        let (kind, bytes) = match value {
            Value::Bytes(bytes) => (1, bytes.as_slice()),
            Value::Text(bytes) => (2, bytes.as_slice()),
            Value::Number(value) => {
                number = value.to_le_bytes();
                (3, number.as_slice())
            }
        };
        let index = self.reserve(key.len() + bytes.len(), old)?;
        let block = self.block(index).ok_or(Full)?;
        self.take_mark(index);
        let tick = self.tick();
        let born = old.and_then(|old| self.block(old)).map_or(tick, |block| block.born.load(Relaxed));
        let ttl = ttl.unwrap_or(self.words.ttl.load(Relaxed));
        let ends = if ttl == 0 { 0 } else { self.now.saturating_add(ttl) };
        put32(&block.key_len, u32::try_from(key.len()).map_err(|_| Full)?);
        put32(&block.value_len, u32::try_from(bytes.len()).map_err(|_| Full)?);
        put32(&block.kind, kind);
        put64(&block.version, tick);
        put64(&block.born, born);
        put64(&block.used, tick);
        put64(&block.ends, ends);
        self.write(index, 0, key);
        self.write(index, key.len(), bytes);
        self.will_end(ends);
        // From here on the new value counts. Of two with the same key, the later does.
        put32(&block.state, USED);
        if let Some(old) = old {
            self.remove(old);
        }
        self.link(index, hash(key));
        put32(&self.words.count, self.words.count.load(Relaxed).saturating_add(1));
        Ok(Some(tick))
    }

    pub(super) fn delete(self, key: &[u8]) -> bool {
        self.find(key).map(|index| self.remove(index)).is_some()
    }

    pub(super) fn clear(self) {
        for index in 0..self.blocks {
            if let Some(block) = self.block(index).filter(|block| block.state.load(Relaxed) == USED) {
                put32(&block.state, FREE);
            }
        }
        self.repair();
    }

    /// Entries that have not ended.
    pub(super) fn len(self) -> u32 {
        self.drop_ended();
        self.words.count.load(Relaxed)
    }

    /// The keys in the order of their coming.
    pub(super) fn keys(self) -> Vec<Vec<u8>> {
        self.drop_ended();
        let mut order: Vec<(u64, Vec<u8>)> = (0..self.blocks)
            .filter_map(|index| Some((index, self.block(index)?)))
            .filter(|(_, block)| block.state.load(Relaxed) == USED)
            .map(|(index, block)| (block.born.load(Relaxed), self.read(index, 0, self.key_len(block))))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, key)| key).collect()
    }

    /// Rebuilds all that is derived: after a death amid a change, and for a new map.
    pub(super) fn repair(self) {
        put32(&self.words.sound, 0);
        for index in 0..self.blocks {
            if let Some(bucket) = self.bucket(index) {
                put32(bucket, 0);
            }
        }
        for word in
            [&self.words.newest, &self.words.oldest, &self.words.count, &self.words.free, &self.words.free_count]
        {
            put32(word, 0);
        }
        let mut heads: Vec<(u64, u32)> = Vec::new();
        for index in 0..self.blocks {
            if let Some(block) = self.block(index).filter(|block| block.state.load(Relaxed) == USED) {
                heads.push((block.version.load(Relaxed), index));
            }
        }
        heads.sort_unstable_by_key(|head| Reverse(*head));
        let tick = heads.iter().map(|(version, _)| *version).max().unwrap_or(0);
        put64(&self.words.tick, self.words.tick.load(Relaxed).max(tick).max(1));
        let mut taken = vec![false; self.blocks as usize];
        let mut kept: Vec<(u64, u32)> = Vec::new();
        let mut next_end = 0;
        for (_, index) in heads {
            let Some(block) = self.block(index) else { continue };
            let key = self.whole_chain(index, &taken).map(|chain| (self.read(index, 0, self.key_len(block)), chain));
            let Some((key, chain)) = key.filter(|(key, _)| self.look_up(key).is_none() && self.value(block).is_some())
            else {
                put32(&block.state, FREE);
                continue;
            };
            for member in chain {
                taken[member as usize] = true;
            }
            let ends = block.ends.load(Relaxed);
            next_end = if next_end == 0 || ends != 0 && ends < next_end { ends } else { next_end };
            self.into_bucket(index, hash(&key));
            kept.push((block.used.load(Relaxed), index));
        }
        kept.sort_unstable();
        for (_, index) in &kept {
            self.to_newest(*index);
        }
        put32(&self.words.count, u32::try_from(kept.len()).unwrap_or(u32::MAX));
        put64(&self.words.next_end, next_end);
        for index in (0..self.blocks).rev().filter(|index| !taken[*index as usize]) {
            self.give_free(index);
        }
        put32(&self.words.sound, 1);
    }

    fn find(self, key: &[u8]) -> Option<u32> {
        let index = self.look_up(key)?;
        if self.has_ended(self.block(index)?) {
            self.remove(index);
            return None;
        }
        Some(index)
    }

    /// Also what has ended.
    fn look_up(self, key: &[u8]) -> Option<u32> {
        let mut next = self.bucket(hash(key))?.load(Relaxed);
        for _ in 0..=self.blocks {
            let index = next.checked_sub(1)?;
            let block = self.block(index)?;
            next = block.chain.load(Relaxed);
            if self.key_len(block) == key.len() && self.is_at(index, key) {
                return Some(index);
            }
        }
        None
    }

    fn has_ended(self, block: &Block) -> bool {
        let ends = block.ends.load(Relaxed);
        ends != 0 && ends <= self.now
    }

    fn drop_ended(self) {
        let next_end = self.words.next_end.load(Relaxed);
        if next_end == 0 || next_end > self.now {
            return;
        }
        let mut next = 0;
        for index in 0..self.blocks {
            let Some(block) = self.block(index).filter(|block| block.state.load(Relaxed) == USED) else { continue };
            let ends = block.ends.load(Relaxed);
            if self.has_ended(block) {
                self.remove(index);
            } else if ends != 0 && (next == 0 || ends < next) {
                next = ends;
            }
        }
        put64(&self.words.next_end, next);
    }

    fn will_end(self, ends: u64) {
        let next = self.words.next_end.load(Relaxed);
        if ends != 0 && (next == 0 || ends < next) {
            put64(&self.words.next_end, ends);
        }
    }

    /// A chain of blocks for so many bytes, evicting others but `keep`.
    fn reserve(self, bytes: usize, keep: Option<u32>) -> Result<u32, Full> {
        let count = u32::try_from(blocks_for(bytes)).map_err(|_| Full)?;
        if count > self.blocks {
            return Err(Full);
        }
        if self.words.free_count.load(Relaxed) < count {
            self.drop_ended();
        }
        let mut evicted = 0;
        while self.words.free_count.load(Relaxed) < count {
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
            if self.words.evict.load(Relaxed) == 0 {
                return Err(Full);
            }
            // Used since it came to its place: it gets another round. Everyone's mark is gone after one.
            if evicted <= self.blocks && self.take_mark(victim) {
                self.touch(victim);
                continue;
            }
            self.remove(victim);
            put64(&self.words.evicted, self.words.evicted.load(Relaxed).wrapping_add(1));
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

    fn remove(self, index: u32) {
        let Some(block) = self.block(index) else { return };
        let key = self.read(index, 0, self.key_len(block));
        put32(&block.state, FREE);
        put32(&self.words.count, self.words.count.load(Relaxed).saturating_sub(1));
        self.out_of_bucket(index, hash(&key));
        self.out_of_order(index);
        let mut next = Some(index);
        for _ in 0..self.blocks {
            let Some(index) = next else { return };
            let Some(block) = self.block(index) else { return self.distrust() };
            next = block.next.load(Relaxed).checked_sub(1);
            self.give_free(index);
        }
        self.distrust();
    }

    /// Someone scribbled: the next call repairs.
    fn distrust(self) {
        put32(&self.words.sound, 0);
    }

    fn link(self, index: u32, hash: u32) {
        self.into_bucket(index, hash);
        self.to_newest(index);
    }

    fn into_bucket(self, index: u32, hash: u32) {
        if let (Some(bucket), Some(block)) = (self.bucket(hash), self.block(index)) {
            put32(&block.chain, bucket.load(Relaxed));
            put32(bucket, index + 1);
        }
    }

    fn out_of_bucket(self, index: u32, hash: u32) {
        let (Some(mut link), Some(block)) = (self.bucket(hash), self.block(index)) else { return };
        for _ in 0..=self.blocks {
            let Some(next) = link.load(Relaxed).checked_sub(1) else { return };
            if next == index {
                put32(link, block.chain.load(Relaxed));
                return;
            }
            let Some(next) = self.block(next) else { return };
            link = &next.chain;
        }
    }

    /// Notes a use. Readers do it without the mutex: a wrong mark only lets an entry stay for a round longer.
    fn mark_used(self, index: u32) {
        if let Some(word) = self.marks(index)
            && word.load(Relaxed) & (1 << (index % 32)) == 0
        {
            word.fetch_or(1 << (index % 32), Relaxed);
        }
    }

    fn take_mark(self, index: u32) -> bool {
        let bit = 1 << (index % 32);
        self.marks(index).is_some_and(|word| word.fetch_and(!bit, Relaxed) & bit != 0)
    }

    fn touch(self, index: u32) {
        if let Some(block) = self.block(index) {
            put64(&block.used, self.tick());
        }
        self.out_of_order(index);
        self.to_newest(index);
    }

    fn to_newest(self, index: u32) {
        let Some(block) = self.block(index) else { return };
        let newest = self.words.newest.load(Relaxed);
        put32(&block.newer, 0);
        put32(&block.older, newest);
        match newest.checked_sub(1).and_then(|newest| self.block(newest)) {
            Some(newest) => put32(&newest.newer, index + 1),
            None => put32(&self.words.oldest, index + 1),
        }
        put32(&self.words.newest, index + 1);
    }

    fn out_of_order(self, index: u32) {
        let Some(block) = self.block(index) else { return };
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

    fn take_free(self) -> Option<u32> {
        let index = self.words.free.load(Relaxed).checked_sub(1)?;
        put32(&self.words.free, self.block(index)?.next.load(Relaxed));
        put32(&self.words.free_count, self.words.free_count.load(Relaxed).saturating_sub(1));
        Some(index)
    }

    fn give_free(self, index: u32) {
        if let Some(block) = self.block(index) {
            put32(&block.state, FREE);
            put32(&block.next, self.words.free.load(Relaxed));
            put32(&self.words.free, index + 1);
            put32(&self.words.free_count, self.words.free_count.load(Relaxed).saturating_add(1));
        }
    }

    fn tick(self) -> u64 {
        let tick = self.words.tick.load(Relaxed).wrapping_add(1);
        put64(&self.words.tick, tick);
        tick
    }

    fn value(self, block: &Block) -> Option<Value> {
        let index = self.index_of(block);
        let bytes = self.read(index, self.key_len(block), block.value_len.load(Relaxed) as usize);
        match block.kind.load(Relaxed) {
            1 => Some(Value::Bytes(bytes)),
            2 => Some(Value::Text(bytes)),
            3 => Some(Value::Number(f64::from_le_bytes(bytes.try_into().ok()?))),
            _ => None,
        }
    }

    fn key_len(self, block: &Block) -> usize {
        block.key_len.load(Relaxed) as usize
    }

    /// The entry's blocks, if they are as many as its lengths say and none is `taken`.
    fn whole_chain(self, index: u32, taken: &[bool]) -> Option<Vec<u32>> {
        let block = self.block(index)?;
        let bytes = self.key_len(block).checked_add(block.value_len.load(Relaxed) as usize)?;
        let count = blocks_for(bytes);
        let mut chain = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next {
            if chain.len() == count || *taken.get(index as usize)? {
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

    fn write(self, index: u32, at: usize, bytes: &[u8]) {
        #[cfg(test)]
        super::tests::step();
        let mut rest = bytes;
        self.walk(index, at, bytes.len(), &mut |offset, len| {
            let (part, behind) = rest.split_at(len);
            self.region.copy_in(offset, part);
            rest = behind;
        });
    }

    fn read(self, index: u32, at: usize, len: usize) -> Vec<u8> {
        // Lengths from memory that others write: never more than there is.
        let mut bytes = vec![0; len.min(self.blocks as usize * BLOCK)];
        let mut done = 0;
        self.walk(index, at, bytes.len(), &mut |offset, len| {
            self.region.copy_out(offset, &mut bytes[done..done + len]);
            done += len;
        });
        bytes.truncate(done);
        bytes
    }

    fn is_at(self, index: u32, key: &[u8]) -> bool {
        if key.len() <= HEAD_ROOM {
            let mut bytes = [0; HEAD_ROOM];
            let found = self.region.copy_out(self.at(index) + 64, &mut bytes[..key.len()]);
            return found.is_some() && bytes[..key.len()] == *key;
        }
        self.read(index, 0, key.len()) == key
    }

    /// Calls `each` with the places of `len` bytes from byte `at` of an entry on.
    fn walk(self, index: u32, at: usize, len: usize, each: &mut dyn FnMut(usize, usize)) {
        let (mut skip, mut left, mut next) = (at, len, Some(index));
        let mut room = HEAD_ROOM;
        let mut steps = 0;
        while let Some(index) = next.filter(|_| left > 0 && steps <= self.blocks) {
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
            steps += 1;
            next = block.next.load(Relaxed).checked_sub(1);
        }
    }

    fn at(self, index: u32) -> usize {
        first_block(self.blocks) + index as usize * BLOCK
    }

    fn index_of(self, block: &Block) -> u32 {
        let first = self.region.as_ptr().addr() + first_block(self.blocks);
        u32::try_from((std::ptr::from_ref(block).addr() - first) / BLOCK).unwrap_or(u32::MAX)
    }

    fn block(self, index: u32) -> Option<&'a Block> {
        if index >= self.blocks {
            return None;
        }
        // SAFETY: below `blocks`, which were checked to lie inside the region.
        let block = unsafe { self.region.as_ptr().add(self.at(index)) }.cast::<Block>();
        // SAFETY: aligned to 128 in the page-aligned region; any bits are integers; only atomics and raw copies touch them.
        Some(unsafe { &*block })
    }

    fn marks(self, index: u32) -> Option<&'a std::sync::atomic::AtomicU32> {
        self.region.atomic_u32(self.marks_at(index))
    }

    fn marks_at(self, index: u32) -> usize {
        AT_BUCKETS + self.blocks as usize * 4 + (index / 32) as usize * 4
    }

    fn bucket(self, hash: u32) -> Option<&'a std::sync::atomic::AtomicU32> {
        self.region.atomic_u32(AT_BUCKETS + (hash % self.blocks) as usize * 4)
    }
}

/// Where the blocks begin, for so many of them.
pub(super) fn first_block(blocks: u32) -> usize {
    let marks = (blocks as usize).div_ceil(32) * 4;
    (AT_BUCKETS + blocks as usize * 4 + marks).next_multiple_of(BLOCK)
}
