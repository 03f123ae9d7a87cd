//! Reading without the mutex: what others change meanwhile is noticed, and read again.

use std::sync::atomic::{Ordering, Ordering::Relaxed, fence};

use super::block::blocks_for;
use super::published::{self, GONE, Miss, is_still, is_used, tick_of};
use super::store::{Store, now};
use super::value::{Found, Kind};

/// How often one bucket is read, at most, for a list of keys.
const BUCKET_TRIES: u32 = 1000;

impl Store<'_> {
    /// The entry of that key, unless its time is over; its value's bytes, if `room` holds them.
    pub(super) fn peek(self, key: &[u8], room: &mut [u8]) -> Result<Option<Found>, Miss> {
        let rebuilt = self.rebuilt()?;
        let hash = self.words.hash(key);
        let found = published::search(&self, self.bucket(hash), |index, stamp| {
            let block = self.block(index)?;
            let is_it = block.hash.load(Relaxed) == hash && self.has_key(index, block, key);
            is_it.then(|| self.copy(index, stamp, room))
        })?;
        match found {
            None if self.rebuilt() != Ok(rebuilt) => Err(Miss::Changed),
            None => Ok(None),
            Some(None) => Err(Miss::Damaged),
            Some(Some(found)) if found.ends != 0 && found.ends <= now() => Ok(None),
            Some(found) => Ok(found),
        }
    }

    /// The same where chains are being rebuilt by someone who does not go on: asks every block.
    pub(super) fn scan(self, key: &[u8], room: &mut [u8]) -> Result<Option<Found>, Miss> {
        let latest = published::settled(&self.words.tick, || {
            let heads = (0..self.touched()).filter_map(|index| {
                let block = self.block(index)?;
                // SYNC: pairs with `publish`, `retire` and `end`.
                let stamp = block.stamp.load(Ordering::Acquire);
                let is_it = is_used(stamp) && self.has_key(index, block, key) && is_still(&block.stamp, stamp);
                is_it.then_some((tick_of(stamp), index, stamp))
            });
            heads.max()
        })?;
        let Some((_, index, stamp)) = latest else { return Ok(None) };
        let found = self.copy(index, stamp, room);
        if !self.block(index).is_some_and(|block| is_still(&block.stamp, stamp)) {
            return Err(Miss::Changed);
        }
        Ok(found.filter(|found| found.ends == 0 || found.ends > now()))
    }

    /// All keys that have not ended, each with the tick at which it came. `Damaged` also if they are more than the map has room for:
    /// someone scribbled, or so much was removed and added meanwhile that it does no harm to repair.
    pub(super) fn list(self) -> Result<Vec<(u64, Vec<u8>)>, Miss> {
        let rebuilt = self.rebuilt()?;
        let now = now();
        let mut all = Vec::new();
        let mut blocks = 0;
        for index in 0..self.blocks {
            let bucket = self.bucket_at(index);
            let before = (all.len(), blocks);
            let mut tries = 0;
            loop {
                let walked = published::search(&self, bucket, |index, _| {
                    let block = self.block(index)?;
                    let ends = block.ends.load(Relaxed);
                    if ends == 0 || ends > now {
                        let key = self.key(index, block).unwrap_or_default();
                        blocks += blocks_for(key.len());
                        all.push((block.born.load(Relaxed), key));
                    } else {
                        blocks += 1;
                    }
                    (blocks > self.blocks as usize).then_some(())
                });
                match walked {
                    Ok(None) => break,
                    Ok(Some(())) => return Err(Miss::Damaged),
                    Err(Miss::Changed) if tries < BUCKET_TRIES => {
                        all.truncate(before.0);
                        blocks = before.1;
                    }
                    Err(miss) => return Err(miss),
                }
                tries += 1;
                std::hint::spin_loop();
            }
        }
        if self.rebuilt() == Ok(rebuilt) { Ok(all) } else { Err(Miss::Changed) }
    }

    /// The same where chains are being rebuilt by someone who does not go on; of more than the map has room for, the first.
    pub(super) fn scan_list(self) -> Result<Vec<(u64, Vec<u8>)>, Miss> {
        let now = now();
        published::settled(&self.words.tick, || self.pass_over(now))
    }

    fn pass_over(self, now: u64) -> Vec<(u64, Vec<u8>)> {
        let entry = |index| {
            let block = self.block(index)?;
            // SYNC: pairs with `publish`, `retire` and `end`.
            let stamp = block.stamp.load(Ordering::Acquire);
            let (born, ends) = (block.born.load(Relaxed), block.ends.load(Relaxed));
            let key = self.key(index, block).filter(|_| is_used(stamp) && (ends == 0 || ends > now))?;
            is_still(&block.stamp, stamp).then_some((tick_of(stamp), (born, key)))
        };
        let mut all = Vec::new();
        let mut blocks = 0;
        for (tick, (born, key)) in (0..self.touched()).filter_map(entry) {
            blocks += blocks_for(key.len());
            if blocks > self.blocks as usize {
                break;
            }
            all.push((tick, (born, key)));
        }
        // Of two with the same key the later counts.
        all.sort_by(|(a, (_, one)), (b, (_, other))| one.cmp(other).then(b.cmp(a)));
        all.dedup_by(|(_, (_, one)), (_, (_, other))| one == other);
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// How often the chains were rebuilt; `Changed`: they just are, or have to be.
    fn rebuilt(self) -> Result<u32, Miss> {
        // SYNC: pairs with the fence in `repair`: who read a chain that is being rebuilt sees the odd number.
        fence(Ordering::Acquire);
        // SYNC: pairs with the store at the end of `repair`.
        let rebuilt = self.words.rebuilt.load(Ordering::Acquire);
        if rebuilt.is_multiple_of(2) { Ok(rebuilt) } else { Err(Miss::Changed) }
    }

    pub(super) fn copy(self, index: u32, stamp: u64, room: &mut [u8]) -> Option<Found> {
        let block = self.block(index)?;
        let (key_len, len) = (block.key_len.load(Relaxed) as usize, block.value_len.load(Relaxed) as usize);
        if key_len.checked_add(len)? > self.room() || stamp == GONE {
            return None;
        }
        if let Some(room) = room.get_mut(..len)
            && !self.read(index, key_len, room)
        {
            return None;
        }
        Some(Found {
            kind: Kind::from_word(block.kind.load(Relaxed)).filter(|kind| *kind != Kind::Number || len == 8)?,
            len,
            version: tick_of(stamp),
            ends: block.ends.load(Relaxed),
            at: self.at(index),
            stamp: published::used(tick_of(stamp)),
            mark: self.mark_at(index),
        })
    }
}
