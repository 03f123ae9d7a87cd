//! Leasing: which records a receiver takes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Held, Work};
use crate::queue::layout::{AHEAD, SMALL};
use crate::queue::member::block;
use crate::queue::part::{NAME_LEN, named_by};
use crate::queue::record::{self, HEAD, Head, MESSAGE_HEAD};
use crate::queue::ring::{Corrupt, Record};
use crate::queue::state::{Status, advance, is_behind};

impl Work {
    /// Takes records until they hold `most` messages or `bytes`, or there are no more; at least one if there is one. The
    /// lease before it must be finished or given back. Gives the number of messages.
    ///
    /// # Errors
    /// [`Corrupt`]; a damaged record is out of the way then, the next call goes on behind it.
    pub fn lease(&mut self, most: u32, bytes: usize) -> Result<u32, Corrupt> {
        debug_assert!(self.held.is_empty(), "one lease at a time");
        if std::mem::take(&mut self.damaged) {
            return Err(Corrupt);
        }
        let mut count = 0;
        let taken = self.take_records(most, bytes, &mut count);
        if count > 0 {
            // What was met behind them is told next time.
            self.damaged |= taken.is_err();
            return Ok(count);
        }
        taken?;
        if std::mem::take(&mut self.damaged) {
            return Err(Corrupt);
        }
        self.reclaim()?;
        self.member.wake_senders(true);
        Ok(0)
    }

    fn take_records(&mut self, most: u32, bytes: usize, count: &mut u32) -> Result<(), Corrupt> {
        let ring = self.member.shared.ring;
        // Before the first claim: a mark of the past must not count for it.
        self.member.own().clear_mark();
        // SYNC: Acquire, pairs with the Release where it is counted up: we see the records that came back.
        let returned = self.member.shared.returned.load(Ordering::Acquire);
        if returned != self.heeded {
            (self.heeded, self.cursor) = (returned, ring.free());
        }
        let (mut position, mut passing, mut room) = (self.cursor, true, bytes);
        self.passed.clear();
        // What is behind it is its writers' to fetch.
        let tail = ring.tail();
        while *count < most {
            let Some(record) = ring.at(position)? else {
                let free = ring.free();
                if !is_behind(position, free) {
                    break;
                }
                // The ring went on without us.
                (position, passing, self.cursor) = (free, true, free);
                continue;
            };
            let size = record.state.slots as usize * record::SLOT;
            match record.state.status {
                Status::Ready | Status::Again => {
                    if *count > 0 && size > room {
                        break;
                    }
                    if let Some(earlier) = self.passed_by_now(record.state.owner)? {
                        (position, passing) = (earlier, self.passed.is_empty());
                        continue;
                    }
                    let Some(ours) = ring.settle(record, self.member.seat, Status::Reading) else { continue };
                    crash_point!("leased");
                    if is_behind(advance(position, AHEAD + SMALL), tail) {
                        self.member.shared.fetch_ahead(position, ours.state.slots);
                    }
                    *count += self.hold(ours, record.state.status == Status::Again, *count)?;
                    room = room.saturating_sub(size).saturating_sub(self.part_of_last());
                }
                Status::Writing => {
                    passing = false;
                    self.passed.push((position, record.state.owner));
                }
                Status::Reading | Status::Done | Status::Aborted => {}
            }
            position = advance(position, record.state.slots);
            if passing {
                self.cursor = position;
            }
        }
        Ok(())
    }

    /// Leases, and waits while there is nothing, at most until `deadline`. For `spin` without sleeping.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn lease_blocking(
        &mut self,
        most: u32,
        bytes: usize,
        deadline: Option<Instant>,
        spin: Duration,
    ) -> Result<u32, Corrupt> {
        let found =
            block(self, false, deadline, spin, |work| Ok(Some(work.lease(most, bytes)?).filter(|count| *count > 0)))?;
        Ok(found.unwrap_or(0))
    }

    /// Where to go back to before a record of `owner` is taken: one of his was passed by while he wrote it, and is complete
    /// by now, for he writes one after the other. Else a receiver would take his messages out of their order.
    fn passed_by_now(&mut self, owner: u16) -> Result<Option<u64>, Corrupt> {
        let Some(index) = self.passed.iter().position(|&(_, of)| of == owner) else { return Ok(None) };
        let (position, _) = self.passed[index];
        let record = self.member.shared.ring.at(position)?;
        if record.is_some_and(|record| record.state.status == Status::Writing) {
            return Ok(None);
        }
        self.passed.truncate(index);
        Ok(Some(position))
    }

    fn hold(&mut self, record: Record, again: bool, base: u32) -> Result<u32, Corrupt> {
        let mut bytes = [0; HEAD];
        self.member.shared.read(record.position, 0, &mut bytes)?;
        let mut head = Head::decode(&bytes);
        if !head.fits(record.state.slots) || head.start >= head.count {
            self.member.shared.ring.settle(record, self.member.seat, Status::Done);
            self.damaged = true;
            return Ok(0);
        }
        head.base = base;
        self.member.shared.write_start(record.position, head.start, base)?;
        crash_point!("based");
        let mut record = record;
        // What the state word cannot say any more.
        record.state.status = if again { Status::Again } else { Status::Reading };
        self.held.push(Held { record, head, part: None });
        Ok(head.count - head.start)
    }

    /// Bytes that the record held last has beside the ring.
    fn part_of_last(&self) -> usize {
        let Some(held) = self.held.last().filter(|held| held.head.length == (MESSAGE_HEAD + NAME_LEN) as u64) else {
            return 0;
        };
        let named = named_by(&self.member.shared, &held.record).ok().flatten();
        named.map_or(0, |name| usize::try_from(name.length).unwrap_or(usize::MAX))
    }

    /// Is there something to lease? For [`look_around`](Self::look_around), which repairs wake-ups that a killed process kept.
    pub fn ready(&self) -> bool {
        let ring = self.member.shared.ring;
        // SYNC: Acquire, as in `lease`, which begins where this does.
        let returned = self.member.shared.returned.load(Ordering::Acquire);
        let free = ring.free();
        let from = if returned == self.heeded && !is_behind(self.cursor, free) { self.cursor } else { free };
        let mut ready = false;
        // A damaged queue is something to look at.
        let walked = ring.walk(from, |record| {
            ready = matches!(record.state.status, Status::Ready | Status::Again);
            !ready
        });
        ready || walked.is_err()
    }
}
