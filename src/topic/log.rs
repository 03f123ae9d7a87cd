//! What may be overwritten, and how many messages there were before it.
//!
//! Publishers move `free` on when they need room: as far as all reliable subscribers have read, one of whom may be about to
//! come. Therefore `free` has a version that a new subscriber counts up *after* it put itself into the set: a publisher that
//! looked at the set before that fails to move it. Beside every place where `free` stood is the number of messages before it,
//! so that one who was overtaken knows exactly how many it missed.

use crate::queue::Corrupt;
use crate::queue::crash_point;
use crate::queue::ring::{Record, Ring};
use crate::queue::state::{Status, advance, distance, is_behind, pack_free, unpack_free};
use crate::queue::waiters::Waiters;
use crate::sync::counted::AtomicU64;
use crate::sync::{Ordering, fence};

/// A reader that tries again is disturbed by one who got on; so often in a row only by one who lies.
const PATIENCE: u32 = 10_000;

/// The words that all readers and writers of a topic share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<'a> {
    pub(crate) ring: Ring<'a>,
    /// One word per slot: where `free` stood, the messages before it.
    pub(crate) counts: &'a [AtomicU64],
    /// Seats that publishers wait for.
    pub(crate) subscribers: Waiters<'a>,
}

/// What became of an attempt to move `free` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    /// There is nothing to free.
    Nothing,
    /// We moved it: all that was seen of the records that it passed is true.
    Ours,
    /// Someone else was faster.
    Others,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// Messages before it.
    pub(crate) count: u64,
}

impl Log<'_> {
    /// Moves `free` over some `most` slots, as far as they may be written again: `hold` says how many slots after a position
    /// are not needed any more, `messages` how many a record has. Never over a whole lap: that takes two calls.
    pub(crate) fn reclaim(
        &self,
        most: u64,
        hold: impl FnOnce(u64) -> u64,
        mut messages: impl FnMut(&Record) -> u32,
    ) -> Result<Freed, Corrupt> {
        // SYNC: Acquire, pairs with the Releases below and in `enter`: we see the subscribers that were counted.
        let word = self.ring.free.load(Ordering::Acquire);
        let (start, version) = unpack_free(word);
        let limit = hold(start);
        let lap = u64::from(self.ring.shape.slots());
        let (mut end, mut count) = (start, self.count_at(start));
        while distance(start, end) < most {
            let Some(record) = self.ring.at(end)? else { break };
            let next = advance(end, record.state.slots);
            // A subscriber is not in the middle of a record; the shared words may say so nevertheless.
            if record.state.status == Status::Writing || distance(start, next) > limit {
                break;
            }
            // A lap further on is the same slot: its count would take the place of the one where `free` still stands.
            if distance(start, next) == lap && end != start {
                break;
            }
            if distance(start, next) >= lap {
                // We were slow, and the others went on: what we walked is of two laps. While `free` stands, nothing can be so far.
                // SYNC: Acquire: the word as it is after the states that we read.
                return if self.ring.free.load(Ordering::Acquire) == word { Err(Corrupt) } else { Ok(Freed::Others) };
            }
            if record.state.status == Status::Ready {
                count = count.wrapping_add(messages(&record).into());
            }
            end = next;
        }
        if end == start {
            return Ok(if self.ring.free() == start { Freed::Nothing } else { Freed::Others });
        }
        // What is there now is of a lap before: it was read before `free` is seen unmoved. Counts never go back, so who comes
        // late with this one finds another, or writes the same.
        let place = &self.counts[self.ring.shape.index(end)];
        let old = place.load(Ordering::Acquire);
        // SYNC: as in `overtaken`: heads that were written again while we read them come with a `free` that moved.
        fence(Ordering::Acquire);
        if self.ring.free.load(Ordering::Acquire) != word
            || place.compare_exchange(old, count, Ordering::AcqRel, Ordering::Relaxed).is_err()
        {
            return Ok(Freed::Others);
        }
        crash_point!("counted");
        // SYNC: Release, pairs with the Acquire of a claim: who writes there comes after the subscribers that read there.
        let moved = self.ring.free.compare_exchange(word, pack_free(end, version), Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("freed");
        Ok(if moved.is_ok() { Freed::Ours } else { Freed::Others })
    }

    /// Slots from `start` on that all subscribers have read. `cursor` says where one is.
    pub(crate) fn read_by_all(&self, start: u64, cursor: impl Fn(u16) -> u64) -> u64 {
        let mut least = u64::MAX;
        self.subscribers.each(|seat| {
            let cursor = cursor(seat);
            // Behind: it is about to come, or the word is damaged. Nothing goes on without it.
            least = least.min(if is_behind(cursor, start) { 0 } else { distance(start, cursor) });
        });
        least
    }

    /// From now on nothing is overwritten that `cursor`, the word of `seat`, has not passed. It is at the place given.
    pub(crate) fn enter(&self, seat: u16, cursor: &AtomicU64) -> Place {
        cursor.store(self.ring.free(), Ordering::Release);
        self.subscribers.arm(seat);
        crash_point!("entered");
        let mut word = self.ring.free.load(Ordering::Relaxed);
        let position = loop {
            let (position, version) = unpack_free(word);
            let next = pack_free(position, version.wrapping_add(1));
            // SYNC: Release, pairs with the Acquire in `reclaim`: who moves `free` from here on has seen us in the set.
            match self.ring.free.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break position,
                Err(now) => word = now,
            }
        };
        crash_point!("counted in");
        // SYNC: Release, as every store of a cursor: pairs with the Acquire of who frees what is before it.
        cursor.store(position, Ordering::Release);
        Place { position, count: self.count_at(position) }
    }

    /// Where a subscription begins that entered at `place`: what is complete is of the past, and `written` is told what is
    /// being written, which is the first to come.
    pub(crate) fn begin(
        &self,
        place: Place,
        mut messages: impl FnMut(&Record) -> u32,
        mut written: impl FnMut(&Record),
    ) -> Result<Place, Corrupt> {
        // No further than what was claimed by now: behind a record that is seen being written, its publisher may have completed
        // the next before we come there. That would be of the past, and a gap.
        let tail = self.ring.tail();
        let Place { mut position, mut count } = place;
        self.ring.walk(place.position, |record| {
            if !is_behind(record.position, tail) {
                return false;
            }
            match record.state.status {
                Status::Ready => count = count.wrapping_add(messages(&record).into()),
                Status::Writing => written(&record),
                _ => {}
            }
            position = advance(record.position, record.state.slots);
            true
        })?;
        Ok(Place { position, count })
    }

    /// Where the oldest record is that may still be read.
    pub(crate) fn oldest(&self) -> Result<Place, Corrupt> {
        for _ in 0..PATIENCE {
            let position = self.ring.free();
            let count = self.count_at(position);
            if self.ring.free() == position {
                return Ok(Place { position, count });
            }
        }
        Err(Corrupt)
    }

    /// Messages before `position`, which was reached before, without those of the records that were `passed` by; or the oldest
    /// place there is, if that is further on. For one who was overtaken. What is counted for lost is in `passed` no more.
    pub(crate) fn recount(
        &self,
        position: u64,
        passed: &mut Vec<(u64, u16)>,
        mut messages: impl FnMut(&Record) -> u32,
    ) -> Result<Place, Corrupt> {
        for _ in 0..PATIENCE {
            let oldest = self.oldest()?;
            if !is_behind(oldest.position, position) {
                passed.clear();
                return Ok(oldest);
            }
            let left_out = |at| passed.iter().any(|(other, _)| *other == at);
            let (mut at, mut count) = (oldest.position, oldest.count);
            while is_behind(at, position) {
                let Some(record) = self.ring.at(at)? else { break };
                if record.state.status == Status::Ready && !left_out(at) {
                    count = count.wrapping_add(messages(&record).into());
                }
                at = advance(at, record.state.slots);
            }
            if !self.overtaken(oldest.position) {
                // Not by a later look at `free`: what was left out here would be neither counted nor kept.
                passed.retain(|(other, _)| !is_behind(*other, oldest.position));
                return if at == position { Ok(Place { position, count }) } else { Err(Corrupt) };
            }
        }
        Err(Corrupt)
    }

    /// After reading at `position`: may any of it have been written again meanwhile?
    pub(crate) fn overtaken(&self, position: u64) -> bool {
        // SYNC: pairs with the Release fence in `Ring::claim`: who read new bytes sees that they were free before.
        fence(Ordering::Acquire);
        is_behind(position, self.ring.free())
    }

    fn count_at(&self, position: u64) -> u64 {
        // SYNC: pairs with the CAS in `reclaim`, which comes before the one of `free`.
        self.counts[self.ring.shape.index(position)].load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
