//! The map's memory, and what is done to entries with its mutex held.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use super::block::{AT_BUCKETS, BLOCK, Block, Words, first_block, put32, put64};
use super::published::{self, tick_of};
use super::value::{Full, Kind, Put, Value};
use crate::shm::Region;

/// Ticks go to JavaScript, which has integers to 2^53.
const LAST_TICK: u64 = (1 << 53) - 1;

/// How long a new value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Milliseconds from now, 0: without an end; `None`: the map's.
    Ttl(Option<u64>),
    /// To this time, 0: without an end.
    Until(u64),
}

/// The map's memory.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    pub(super) region: Region<'a>,
    pub(super) words: &'a Words,
    pub(super) blocks: u32,
}

impl<'a> Store<'a> {
    /// The entry, unless its time is over.
    pub(super) fn find(self, key: &[u8], hash: u32) -> Option<u32> {
        let index = match self.look_up(key, hash) {
            Ok(found) => found?,
            // Someone scribbled.
            Err(_) => {
                self.repair();
                self.look_up(key, hash).ok().flatten()?
            }
        };
        if self.has_ended(self.block(index)?) {
            self.remove(index);
            return None;
        }
        Some(index)
    }

    /// Stores, and gives the version; `None`: the condition does not hold.
    pub(super) fn put(self, key: &[u8], value: Value<&[u8]>, life: Life, put: Put) -> Result<Option<u64>, Full> {
        let hash = self.words.hash(key);
        let old = self.find(key, hash).and_then(|index| Some((index, self.block(index)?)));
        let version = old.map_or(0, |(_, block)| tick_of(block.stamp.load(Relaxed)));
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
            Value::Bytes(bytes) => (Kind::Bytes, bytes),
            Value::Text(bytes) => (Kind::Text, bytes),
            Value::Number(value) => {
                number = value.to_le_bytes();
                (Kind::Number, number.as_slice())
            }
        };
        let (key_len, value_len) = (narrow(key.len())?, narrow(bytes.len())?);
        let index = self.reserve(key.len().saturating_add(bytes.len()), old.map(|(index, _)| index))?;
        let block = self.block(index).ok_or(Full)?;
        self.take_mark(index);
        let tick = self.tick();
        let ends = self.end_of(life);
        put32(&block.key_len, key_len);
        put32(&block.value_len, value_len);
        put32(&block.kind, kind as u32);
        put32(&block.hash, hash);
        put64(&block.born, old.map_or(tick, |(_, block)| block.born.load(Relaxed)));
        put64(&block.used, tick);
        put64(&block.ends, ends);
        self.write(index, key, bytes);
        self.will_end(ends);
        // From here on the new value counts after a death: of two with the same key, the later does.
        published::publish(&block.stamp, tick);
        if let Some((old, old_block)) = old {
            published::retire(&old_block.stamp);
            self.replace(old, old_block, index, block);
            self.out_of_order(old_block);
            published::end(&old_block.stamp);
            self.give_all_free(old);
        } else {
            self.into_bucket(index, block, hash);
            put32(&self.words.count, self.words.count.load(Relaxed).saturating_add(1));
        }
        self.to_newest(index, block);
        Ok(Some(tick))
    }

    /// Adds to a number, 0 where there is none. One that is there keeps its end. `Ok(None)`: the value is no number.
    pub(super) fn increment(self, key: &[u8], by: f64, ttl: Option<u64>) -> Result<Option<f64>, Full> {
        let found =
            self.find(key, self.words.hash(key)).and_then(|index| self.block(index).map(|block| (index, block)));
        let (sum, life) = match found {
            None => (by, Life::Ttl(ttl)),
            Some((index, block)) if block.kind.load(Relaxed) == Kind::Number as u32 => {
                let mut number = [0; 8];
                if !self.read(index, block.key_len.load(Relaxed) as usize, &mut number) {
                    return Ok(None);
                }
                (f64::from_le_bytes(number) + by, Life::Until(block.ends.load(Relaxed)))
            }
            Some(_) => return Ok(None),
        };
        self.put(key, Value::Number(sum), life, Put::Always)?;
        Ok(Some(sum))
    }

    /// Removes an entry; with a version, only if it still has it.
    pub(super) fn delete(self, key: &[u8], version: Option<u64>) -> bool {
        let found = self.find(key, self.words.hash(key)).and_then(|index| Some((index, self.block(index)?)));
        let found = found.filter(|(_, block)| version.is_none_or(|v| v == tick_of(block.stamp.load(Relaxed))));
        found.map(|(index, _)| self.remove(index)).is_some()
    }

    pub(super) fn remove(self, index: u32) {
        let Some(block) = self.block(index) else { return };
        published::retire(&block.stamp);
        self.out_of_bucket(index, block);
        put32(&self.words.count, self.words.count.load(Relaxed).saturating_sub(1));
        self.out_of_order(block);
        published::end(&block.stamp);
        self.give_all_free(index);
    }

    pub(super) fn clear(self) {
        self.distrust();
        for index in 0..self.touched() {
            if let Some(block) = self.block(index).filter(|block| block.stamp.load(Relaxed) != published::GONE) {
                published::end(&block.stamp);
            }
        }
        self.repair();
    }

    /// Someone scribbled: the next owner of the mutex repairs.
    pub(super) fn distrust(self) {
        put32(&self.words.rebuilt, self.words.rebuilt.load(Relaxed) | 1);
    }

    pub(super) fn has_ended(self, block: &Block) -> bool {
        let ends = block.ends.load(Relaxed);
        ends != 0 && ends <= now()
    }

    pub(super) fn tick(self) -> u64 {
        let tick = self.words.tick.load(Relaxed) % LAST_TICK + 1;
        put64(&self.words.tick, tick);
        tick
    }

    /// Blocks that may be part of an entry, or were.
    pub(super) fn touched(self) -> u32 {
        self.words.fresh.load(Relaxed).min(self.blocks)
    }

    pub(super) fn at(self, index: u32) -> usize {
        first_block(self.blocks) + index as usize * BLOCK
    }

    pub(super) fn block(self, index: u32) -> Option<&'a Block> {
        if index >= self.blocks {
            return None;
        }
        // SAFETY: below `blocks`, which were checked to lie inside the region.
        let block = unsafe { self.region.as_ptr().add(self.at(index)) }.cast::<Block>();
        // SAFETY: aligned to 128 in the page-aligned region; any bits are integers; only atomics and raw copies touch them.
        Some(unsafe { &*block })
    }

    /// `index` below the number of blocks.
    pub(super) fn bucket_at(self, index: u32) -> &'a AtomicU32 {
        let bucket = self.region.atomic_u32(AT_BUCKETS + index as usize * 4);
        bucket.unwrap_or_else(|| unreachable!("as many buckets as blocks, and those lie behind them"))
    }

    fn end_of(self, life: Life) -> u64 {
        match life {
            Life::Until(ends) => ends,
            Life::Ttl(ttl) => match ttl.unwrap_or(self.words.ttl.load(Relaxed)) {
                0 => 0,
                ttl => now().saturating_add(ttl),
            },
        }
    }

    fn will_end(self, ends: u64) {
        let next = self.words.next_end.load(Relaxed);
        if ends != 0 && (next == 0 || ends < next) {
            put64(&self.words.next_end, ends);
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    #[cfg(test)]
    if let Some(now) = super::tests::clock() {
        return now;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn narrow(length: usize) -> Result<u32, Full> {
    u32::try_from(length).map_err(|_| Full)
}
