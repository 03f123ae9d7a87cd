//! The parts that a sender made, and uses again.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use super::own::{Own, Place, capacity_for, is_full};
use super::{Aux, Loan, Name};
use crate::queue::SendError;
use crate::queue::layout::Shared;
use crate::queue::ring::Corrupt;
use crate::queue::state::{Status, is_behind};
use crate::shm::Segment;

/// Bytes kept that no message is in, at most. Or those of [`KEPT_MESSAGES`], if that is more.
const KEPT: u64 = 256 << 20;
const KEPT_MESSAGES: u64 = 4;
/// Parts kept that no message is in, at most.
const MOST: usize = 64;
/// Bytes of large messages that one sender may have in the queue, if the capacity is not more: with more of them in use, each is out of
/// the caches when its turn comes (measured with 1 MiB: 16 MiB ahead are a quarter slower than 8 or 4).
const QUEUED: u64 = 8 << 20;
/// Or so many messages, however large: one is read while the next is written.
const AHEAD: u64 = 2;

/// The parts of one handle.
#[derive(Debug)]
pub(crate) struct Pool {
    parts: Vec<Own>,
    /// Bytes of the largest message of late.
    largest: u64,
    writer: u64,
    seat: u16,
    shared: Shared<'static>,
    /// What `shared` points into.
    _segment: Arc<Segment>,
    /// After the segment: whether that is gone decides what becomes of these files.
    aux: Arc<Aux>,
}

/// Which of the parts: until the next call that changes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index(usize);

impl Pool {
    pub(crate) fn new(shared: Shared<'static>, segment: &Arc<Segment>, aux: &Arc<Aux>, seat: u16) -> Self {
        let writer = shared.seats[usize::from(seat)].occupant.load(Ordering::Relaxed);
        let (_segment, aux) = (Arc::clone(segment), Arc::clone(aux));
        Self { parts: Vec::new(), largest: 0, writer, seat, shared, _segment, aux }
    }

    /// Writes `body` into a part. `None`: enough of this sender's large messages are in the queue.
    pub(crate) fn write(&mut self, body: &[u8]) -> Result<Option<Index>, SendError> {
        let length = body.len() as u64;
        if !self.may_queue(length)? {
            return Ok(None);
        }
        if let Some(index) = self.unused(length) {
            let own = &mut self.parts[index];
            let start = own.map()?.start();
            // SAFETY: the mapping has that many bytes, and `body` is not among them: nobody has this part.
            unsafe { start.as_ptr().copy_from_nonoverlapping(body.as_ptr(), body.len()) };
            return Ok(Some(Index(index)));
        }
        self.make(length, |file| (&*file).write_all(body).map(|()| length))
    }

    /// A part for the caller to fill.
    pub(crate) fn lend(&mut self, length: usize) -> Result<Loan, SendError> {
        self.collect()?;
        let found = match self.unused(length as u64) {
            Some(index) => Some(Index(index)),
            None => self.make(length as u64, |_| Ok(0))?,
        };
        let Some(Index(index)) = found else { return Err(io::Error::from_raw_os_error(libc::ENOSPC).into()) };
        self.parts[index].map()?;
        Ok(Loan::new(self.parts.swap_remove(index), length, &self.aux))
    }

    /// Takes a loan back, to send it. The inner `Err`: as `None` above.
    pub(crate) fn take_back(&mut self, mut loan: Loan) -> Result<Result<Index, Loan>, SendError> {
        // Another handle's file goes when that one leaves.
        if !loan.is_of(self.writer, self.seat) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL).into());
        }
        if !self.may_queue(loan.len() as u64)? {
            return Ok(Err(loan));
        }
        let Some(own) = loan.take() else { return Err(Corrupt.into()) };
        if let Err(error) = own.sync(&self.aux) {
            own.name.remove(&self.aux);
            return Err(error.into());
        }
        self.parts.push(own);
        Ok(Ok(Index(self.parts.len() - 1)))
    }

    /// A loan whose message found no room.
    pub(crate) fn lend_again(&mut self, Index(index): Index, length: usize) -> Loan {
        Loan::new(self.parts.swap_remove(index), length, &self.aux)
    }

    pub(crate) fn name(&self, Index(index): Index, length: usize) -> Name {
        Name { length: length as u64, ..self.parts[index].name }
    }

    /// Its message is in the queue, at `position`.
    pub(crate) fn sent(&mut self, Index(index): Index, position: u64, length: usize) {
        self.largest = self.largest.max(length as u64);
        self.parts[index].place = Place::Queued(position);
        self.parts[index].used = Instant::now();
        self.parts[index].name.length = length as u64;
    }

    /// Its message did not get into the queue.
    pub(crate) fn unsent(&mut self, Index(index): Index) {
        self.parts[index].place = Place::Free;
        if self.shared.flags.checked {
            // Used once: what the next message wrote there might reach the disk after its record.
            self.parts.swap_remove(index).name.remove(&self.aux);
        }
    }

    /// Gives up what was not used for `idle`. `true`: there is something left.
    pub(crate) fn trim(&mut self, idle: Duration) -> bool {
        // In a damaged queue nothing is known to have left; it stays until the end.
        let _ = self.collect();
        self.give_up(|own, _| own.used.elapsed() >= idle);
        self.largest = self.parts.iter().map(|own| own.name.length).max().unwrap_or(0);
        !self.parts.is_empty()
    }

    /// Back-pressure: as many bytes as [`QUEUED`] or the queue's capacity, or as [`AHEAD`] such messages.
    fn may_queue(&mut self, length: u64) -> Result<bool, Corrupt> {
        self.collect()?;
        let queued = self.parts.iter().filter(|own| matches!(own.place, Place::Queued(_)));
        let bytes = queued.map(|own| own.name.length).sum::<u64>();
        Ok(bytes.saturating_add(length) <= most_queued(&self.shared, QUEUED, length))
    }

    /// Bytes of large messages that a sender may have in the queue.
    pub(crate) fn most(&self) -> u64 {
        most_queued(&self.shared, QUEUED, 0)
    }

    /// Looks which messages left the queue.
    fn collect(&mut self) -> Result<(), Corrupt> {
        let ring = &self.shared.ring;
        for own in &mut self.parts {
            let Place::Queued(position) = own.place else { continue };
            let left = match ring.at(position)? {
                Some(record) => matches!(record.state.status, Status::Done | Status::Aborted),
                None => is_behind(position, ring.free()),
            };
            if left {
                own.place = Place::Left;
            }
        }
        if self.shared.flags.checked {
            // Their receivers remove them.
            self.parts.retain(|own| own.place != Place::Left);
        }
        let limit = KEPT.max(self.largest.saturating_mul(KEPT_MESSAGES));
        self.give_up(|_, (count, bytes)| count > MOST || bytes > limit);
        Ok(())
    }

    /// Removes parts without a message, the longest unused first, that `wanted` names: it is told how many there are, and bytes.
    fn give_up(&mut self, wanted: impl Fn(&Own, (usize, u64)) -> bool) {
        let idle = |own: &Own| !matches!(own.place, Place::Queued(_));
        let (mut count, mut bytes) = self
            .parts
            .iter()
            .filter(|own| idle(own))
            .fold((0, 0), |(count, bytes), own| (count + 1, bytes + own.capacity));
        let aux = &self.aux;
        // New ones are behind, reused ones keep their place: near enough.
        self.parts.retain(|own| {
            let goes = idle(own) && wanted(own, (count, bytes));
            if goes {
                (count, bytes) = (count - 1, bytes - own.capacity);
                own.name.remove(aux);
            }
            !goes
        });
    }

    /// The part that fits best among those that nobody has.
    fn unused(&mut self, length: u64) -> Option<usize> {
        let fits = |own: &Own| own.capacity >= length && own.capacity / 4 <= capacity_for(length);
        let mut found: Vec<usize> = (0..self.parts.len())
            .filter(|&index| !matches!(self.parts[index].place, Place::Queued(_)) && fits(&self.parts[index]))
            .collect();
        found.sort_by_key(|&index| self.parts[index].capacity);
        found.into_iter().find(|&index| self.parts[index].is_free())
    }

    /// A new part. `fill` writes what it wants, and says how many bytes that were.
    fn make(&mut self, length: u64, fill: impl Fn(&File) -> io::Result<u64>) -> Result<Option<Index>, SendError> {
        let mut made = self.try_to_make(length, &fill);
        if made.as_ref().is_err_and(is_full) {
            // What we keep may be what is in the way.
            self.give_up(|_, _| true);
            made = self.try_to_make(length, &fill);
        }
        match made {
            Ok(own) => self.parts.push(own),
            // Our own messages are in the way: there will be room when they are received.
            Err(error) if is_full(&error) && !self.parts.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(Index(self.parts.len() - 1)))
    }

    fn try_to_make(&self, length: u64, fill: &impl Fn(&File) -> io::Result<u64>) -> io::Result<Own> {
        // One that is used once needs no room for others.
        let capacity = if self.shared.flags.checked { length } else { capacity_for(length) };
        Own::make(&self.aux, (self.writer, self.seat), capacity, fill)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SYNC: pairs with the fence of `Work::forget`. Our seat is empty by now: a receiver either sees that and removes the
        // part itself, or has ended its record before we look.
        fence(Ordering::SeqCst);
        // What is in a damaged queue stays; it goes with the queue.
        let _ = self.collect();
        self.give_up(|_, _| true);
    }
}

/// Bytes of large messages that one sender may have in a queue or topic, if one of them has `length`: `least`, if the capacity is not more.
pub(crate) fn most_queued(shared: &Shared<'_>, least: u64, length: u64) -> u64 {
    shared.capacity().max(least).max(length.saturating_mul(AHEAD))
}
