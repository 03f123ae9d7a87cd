//! The order of records in a ring of slots, for any number of writers and readers, each of which may be killed at any
//! instruction.
//!
//! A record's life is its state word (see [`state`](super::state)). A writer claims the slots at the tail with **one**
//! compare-and-swap that names it as owner, so there is never a claim whose owner is unknown, and a dead owner's record can
//! be settled by anyone who has proof of the death. What follows from a state (the tail moving on, slots becoming free) is
//! done by whoever comes first. Nobody waits for anybody.
//!
//! Nothing here reads a message: the ring hands out permissions to touch slots. Every word may have been overwritten by a
//! hostile process: what cannot be is [`Corrupt`], every loop has a bound.

use super::state::{Shape, State, Status, advance, distance, is_behind, pack_free, unpack_free};
use crate::sync::counted::AtomicU64;
use crate::sync::{Ordering, fence};

/// The shared words contradict themselves: something else wrote there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the queue's shared memory is damaged")
    }
}

impl std::error::Error for Corrupt {}

/// The words of one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<'a> {
    pub(crate) shape: Shape,
    /// Where the next record begins; may lag behind the claims, never run ahead.
    pub(crate) tail: &'a AtomicU64,
    /// Every slot before it may be written again. See [`pack_free`].
    pub(crate) free: &'a AtomicU64,
    /// One word per slot; meaningful where a record begins.
    pub(crate) states: &'a [AtomicU64],
}

/// What a claim came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The slots from this position on are the caller's to write.
    At(u64),
    /// Not enough free slots.
    Full,
}

/// A record where one was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) position: u64,
    pub(crate) state: State,
    word: u64,
}

impl<'a> Ring<'a> {
    /// The words of a new ring, all zero so far.
    pub(crate) fn init(&self) {
        let origin = self.shape.origin();
        self.tail.store(origin, Ordering::Relaxed);
        self.free.store(pack_free(origin, 0), Ordering::Relaxed);
    }

    /// Takes `slots` consecutive slots for `owner`. `seen` is what the caller knows of `free`, kept between its claims: the
    /// shared word is read only when that is not enough.
    pub(crate) fn claim(&self, slots: u32, owner: u16, seen: &mut u64) -> Result<Claim, Corrupt> {
        let size = u64::from(self.shape.slots());
        let mut stuck = None;
        loop {
            // SYNC: pairs with the Release in `move_tail`: whoever sees the tail there sees the states before it.
            let tail = self.tail.load(Ordering::Acquire);
            let index = self.shape.index(tail);
            // SYNC: pairs with the Release of the CAS below: sees the claim of another writer whole.
            let found = self.states[index].load(Ordering::Acquire);
            let (lap, now) = (self.shape.lap_of(found), self.shape.lap(tail));
            if lap == now {
                // Claimed, perhaps even received and freed, by one who did not come to move the tail.
                let taken = self.shape.unpack(found).ok_or(Corrupt)?;
                self.fits(index, taken.slots)?;
                self.move_tail(tail, taken.slots);
                continue;
            }
            if !self.shape.is_older(lap, now) {
                self.still_moving(&mut stuck, tail)?;
                continue;
            }
            let rest = self.shape.slots() - u32::try_from(index).map_err(|_| Corrupt)?;
            let filler = slots > rest;
            let wanted = if filler { rest } else { slots };
            if distance(*seen, tail) + u64::from(wanted) > size {
                *seen = self.free();
                let used = distance(*seen, tail);
                if used > size {
                    // The tail that we read is history by now, or the words lie.
                    self.still_moving(&mut stuck, tail)?;
                    continue;
                }
                if used + u64::from(wanted) > size {
                    return Ok(Claim::Full);
                }
            }
            let status = if filler { Status::Aborted } else { Status::Writing };
            let ours = self.shape.pack(State { lap: now, slots: wanted, owner, status });
            // SYNC: Release: who sees the claim sees the tail that led here; Acquire: our writes come after those of the past.
            if self.states[index].compare_exchange(found, ours, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            crash_point!("claimed");
            self.move_tail(tail, wanted);
            if !filler {
                // SYNC: pairs with the fence in `Log::overtaken`: a lossy reader that copied any of the new bytes learns of it.
                fence(Ordering::Release);
                return Ok(Claim::At(tail));
            }
        }
    }

    /// Makes a claimed and written record visible.
    pub(crate) fn commit(&self, position: u64, slots: u32, owner: u16) {
        let ready = State { lap: self.shape.lap(position), slots, owner, status: Status::Ready };
        // Only the owner changes a state from Writing, or one who has proof of its death: no compare needed.
        // SYNC: Release, pairs with the Acquire in `at` and `take`: who sees it ready sees what was written.
        self.states[self.shape.index(position)].store(self.shape.pack(ready), Ordering::Release);
    }

    /// Ends the reading of a record.
    pub(crate) fn end(&self, record: Record, owner: u16) {
        let done = State { owner, status: Status::Done, ..record.state };
        // Only the owner changes a state from Reading, or one who has proof of its death: no compare needed.
        // SYNC: Release, pairs with the Acquire in `at`: what the reader did comes before the slots' next life.
        self.states[self.shape.index(record.position)].store(self.shape.pack(done), Ordering::Release);
    }

    /// The record that begins at `position`, if it was claimed and its slot not used again since.
    pub(crate) fn at(&self, position: u64) -> Result<Option<Record>, Corrupt> {
        let index = self.shape.index(position);
        // SYNC: pairs with the Releases of `claim`, `commit` and `settle`.
        let word = self.states[index].load(Ordering::Acquire);
        if self.shape.lap_of(word) != self.shape.lap(position) {
            return Ok(None);
        }
        let state = self.shape.unpack(word).ok_or(Corrupt)?;
        self.fits(index, state.slots)?;
        Ok(Some(Record { position, state, word }))
    }

    /// Turns a record from the state that was seen into another one. `None`: someone else was faster.
    ///
    /// By the owner, by a receiver for itself (Ready to Reading), or by one who has proof of the owner's death.
    pub(crate) fn settle(&self, record: Record, owner: u16, status: Status) -> Option<Record> {
        let state = State { owner, status, ..record.state };
        let word = self.shape.pack(state);
        let place = &self.states[self.shape.index(record.position)];
        // SYNC: Acquire: a receiver sees what was written; Release: what the receiver did comes before Done and Again.
        place.compare_exchange(record.word, word, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Record { position: record.position, state, word })
    }

    /// Moves `free` over all records from the oldest on that `over` allows. The slots freed.
    pub(crate) fn reclaim(&self, over: impl Fn(&Record) -> bool) -> Result<u64, Corrupt> {
        // SYNC: pairs with the Release below: states behind it are settled.
        let word = self.free.load(Ordering::Acquire);
        let (start, version) = unpack_free(word);
        let mut end = start;
        while let Some(record) = self.at(end)? {
            if !over(&record) {
                break;
            }
            end = advance(end, record.state.slots);
            if distance(start, end) > u64::from(self.shape.slots()) {
                // We were slow, and the ring went on: what we walked is of two laps. While `free` stands, nothing can be so far.
                // SYNC: Acquire, as above: the word as it is after the states that we read.
                return if self.free.load(Ordering::Acquire) == word { Err(Corrupt) } else { Ok(0) };
            }
        }
        if end == start {
            return Ok(0);
        }
        // SYNC: Release, pairs with the Acquire in `free`: a writer that sees the slots free sees that their readers ended.
        let moved =
            self.free.compare_exchange(word, pack_free(end, version), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        Ok(if moved { distance(start, end) } else { 0 })
    }

    /// Where the oldest record may begin that is not free.
    pub(crate) fn free(&self) -> u64 {
        // SYNC: pairs with the Release in `reclaim`.
        unpack_free(self.free.load(Ordering::Acquire)).0
    }

    /// Where the next record begins, or somewhat before.
    pub(crate) fn tail(&self) -> u64 {
        // SYNC: pairs with the Release in `move_tail`.
        self.tail.load(Ordering::Acquire)
    }

    /// Slots from `free` on to the tail.
    pub(crate) fn used(&self, free: u64) -> u64 {
        let tail = self.tail();
        // Who was killed between its claim and moving the tail left that to the next claim; until then `free` may be ahead.
        if is_behind(tail, free) { 0 } else { distance(free, tail) }
    }

    /// Calls `each` for the records from `from` on, up to the last claim, at most one lap. `false` from it ends that. What others
    /// free meanwhile may be left out, and nothing else.
    pub(crate) fn walk(&self, from: u64, mut each: impl FnMut(Record) -> bool) -> Result<(), Corrupt> {
        let size = u64::from(self.shape.slots());
        let mut position = from;
        loop {
            let Some(record) = self.at(position)? else {
                // Its slot may have been freed and used again while we came here: what is behind it is still to be seen.
                let free = self.free();
                if !is_behind(position, free) || distance(from, free) >= size {
                    return Ok(());
                }
                position = free;
                continue;
            };
            position = advance(position, record.state.slots);
            // A record of the past may end where its lap's next did; the lap's end is the bound.
            if distance(from, position) > size || !each(record) {
                return Ok(());
            }
        }
    }

    /// Anyone may do this for anyone.
    fn move_tail(&self, from: u64, slots: u32) {
        // A claim is made only at the tail, so the record there is the one that the tail must pass next. Fails if it did.
        // SYNC: Release, pairs with the Acquire loads of the tail.
        let _ = self.tail.compare_exchange(from, advance(from, slots), Ordering::AcqRel, Ordering::Relaxed);
    }

    /// An impossible sight is explained by a tail that moved on meanwhile. If it did not, the words lie.
    fn still_moving(&self, stuck: &mut Option<u64>, tail: u64) -> Result<(), Corrupt> {
        if *stuck == Some(tail) && is_behind(self.tail(), advance(tail, 1)) {
            return Err(Corrupt);
        }
        *stuck = Some(tail);
        Ok(())
    }

    fn fits(&self, index: usize, slots: u32) -> Result<(), Corrupt> {
        if index as u64 + u64::from(slots) > u64::from(self.shape.slots()) { Err(Corrupt) } else { Ok(()) }
    }
}

#[cfg(all(test, not(interproc_loom)))]
mod history_tests;
#[cfg(all(test, interproc_loom))]
mod model_tests;
