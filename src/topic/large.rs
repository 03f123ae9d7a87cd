//! Publishing messages of any size: what does not fit the ring is a file beside it, written once for all subscribers.
//!
//! Those files are the system's memory, so a publisher has no more of them unread than a queue's sender has.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::publisher::Topic;
use crate::queue::member::block;
use crate::queue::part::{self, PART};
use crate::queue::state::{distance, is_behind};
use crate::queue::{Corrupt, SendError, Sent, crash_point};

/// Bytes of large messages that one publisher may have unread, if the capacity is not more.
const UNREAD: u64 = 16 << 20;

/// The large messages of one publisher that are still in the topic, and where, in the order of positions.
#[derive(Debug, Default)]
pub(super) struct Unread(VecDeque<(u64, part::Name)>);

impl Topic {
    /// Publishes one message of any size. A large one is [`Sent::Full`] while reliable subscribers have not read large messages
    /// of this handle of 16 MiB, the capacity, or twice its own length, whichever is most; and when memory is out while they
    /// have not read one. What only lossy ones have not read makes room, the oldest first.
    ///
    /// # Errors
    /// [`SendError`]: `/dev/shm` is full of other things, for instance.
    pub fn publish_any(&mut self, tag: u8, body: &[u8]) -> Result<Sent, SendError> {
        if body.len() <= self.max_message() {
            return Ok(self.publish(tag, body)?);
        }
        // Looked for first: who waits for room tries often, and the body may be long.
        if !self.make_room(body.len() as u64)? {
            return Ok(Sent::Full);
        }
        let Some(name) = self.write_part(body)? else { return Ok(Sent::Full) };
        let sent = self.publish(tag | PART, &name.encode());
        if sent == Ok(Sent::Yes) {
            self.unread.0.push_back((self.member.published, name));
        } else {
            name.remove(self.member.aux());
        }
        Ok(sent?)
    }

    /// Publishes one message of any size, and waits while there is no room, at most until `deadline`. For `spin` without
    /// sleeping.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn publish_blocking(
        &mut self,
        tag: u8,
        body: &[u8],
        deadline: Option<Instant>,
        spin: Duration,
    ) -> Result<Sent, SendError> {
        let sent = block(self, true, deadline, spin, |topic| match topic.publish_any(tag, body) {
            Ok(Sent::Full) => {
                topic.look_for_dead();
                Ok(None)
            }
            sent => Ok(Some(sent)),
        })?;
        sent.unwrap_or(Ok(Sent::Full))
    }

    /// `false`: those who have not read yet hold the ring, or as much memory as we may have.
    pub(super) fn make_room(&mut self, length: u64) -> Result<bool, Corrupt> {
        // What nobody needs any more goes first.
        self.free_all(true)?;
        // The message that names the part has one slot.
        while self.member.room() == 0 {
            if !self.reclaim()? {
                return Ok(false);
            }
        }
        let most = part::most_queued(&self.member.shared, UNREAD, length);
        while let (bytes, Some(oldest)) = self.look_unread()
            && bytes.saturating_add(length) > most
        {
            let upto = distance(self.member.shared.ring.free(), oldest).saturating_add(1);
            if !self.free_up(upto, false)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `None`: memory is out, and there is more when ours has been read.
    fn write_part(&mut self, body: &[u8]) -> Result<Option<part::Name>, SendError> {
        let writer = self.member.own().occupant.load(Ordering::Relaxed);
        let mut created = part::create(self.member.aux(), writer, self.member.seat, body);
        if created.as_ref().is_err_and(part::is_full) {
            // What only lossy subscribers would still read goes, too.
            self.free_all(false)?;
            created = part::create(self.member.aux(), writer, self.member.seat, body);
        }
        crash_point!("part written");
        match created {
            Err(error) if part::is_full(&error) && self.look_unread().0 > 0 => Ok(None),
            created => Ok(Some(created?)),
        }
    }

    /// All that may go. `spare`: as in [`free_up`](Self::free_up).
    fn free_all(&self, spare: bool) -> Result<(), Corrupt> {
        // A lap takes two steps.
        if self.free_up(u64::MAX, spare)? {
            self.free_up(u64::MAX, spare)?;
        }
        Ok(())
    }

    /// Bytes of our large messages that are in the topic, and where the oldest of them is.
    fn look_unread(&mut self) -> (u64, Option<u64>) {
        let (free, unread) = (self.member.shared.ring.free(), &mut self.unread.0);
        let aux = self.member.aux();
        unread.retain(|(position, name)| {
            let is_there = !is_behind(*position, free);
            if !is_there {
                // Whoever freed it did so already, unless he was killed between.
                name.remove(aux);
            }
            is_there
        });
        (unread.iter().map(|(_, name)| name.length).sum(), unread.front().map(|(position, _)| *position))
    }
}
