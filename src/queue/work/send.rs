//! Sending.

use std::time::{Duration, Instant};

use super::Work;
use crate::queue::member::block;
use crate::queue::part::{self, PART};
use crate::queue::ring::Corrupt;
use crate::queue::{SendError, Sent, record};

impl Work {
    /// Sends one message; it is in the queue when this returns [`Sent::Yes`], whatever becomes of this process.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn send(&mut self, tag: u8, body: &[u8]) -> Result<Sent, Corrupt> {
        let mut sent = self.member.publish(tag, body)?;
        if sent == Sent::Full && self.reclaim()? > 0 {
            sent = self.member.publish(tag, body)?;
        }
        if sent == Sent::Yes {
            self.member.wake_receivers(1);
        }
        Ok(sent)
    }

    /// Sends one message of any size: what does not fit the ring is written beside it.
    ///
    /// # Errors
    /// [`SendError`]: the disk or `/dev/shm` is full, for instance.
    pub fn send_any(&mut self, tag: u8, body: &[u8]) -> Result<Sent, SendError> {
        if body.len() <= self.max_message() {
            return Ok(self.send(tag, body)?);
        }
        let name = part::create(self.aux(), self.member.seat, body)?;
        crash_point!("part written");
        let sent = self.send(tag | PART, &name.encode());
        if sent != Ok(Sent::Yes) {
            name.remove(self.aux());
        }
        Ok(sent?)
    }

    /// Sends messages that are in wire form (see [`record`]) one behind the other. Gives the bytes that went in.
    ///
    /// # Errors
    /// [`Corrupt`], also for bytes that are no messages.
    pub fn send_batch(&mut self, wire: &[u8]) -> Result<(usize, Sent), Corrupt> {
        let mut taken = 0;
        let mut sent = self.member.publish_batch(wire, &mut taken)?;
        if sent == Sent::Full && self.reclaim()? > 0 {
            sent = self.member.publish_batch(&wire[taken..], &mut taken)?;
        }
        if taken > 0 {
            self.member.wake_receivers(1 + taken / (4 * record::MAX_BATCH));
        }
        Ok((taken, sent))
    }

    /// Sends one message, and waits while the queue is full, at most until `deadline`.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn send_blocking(&mut self, tag: u8, body: &[u8], deadline: Option<Instant>) -> Result<Sent, SendError> {
        self.send_spinning(tag, body, deadline, Duration::ZERO)
    }

    /// The same, looking for room for `spin` before it sleeps.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn send_spinning(
        &mut self,
        tag: u8,
        body: &[u8],
        deadline: Option<Instant>,
        spin: Duration,
    ) -> Result<Sent, SendError> {
        let large = body.len() > self.max_message();
        // Written once, however often there is no room.
        let name = if large { Some(part::create(self.aux(), self.member.seat, body)?) } else { None };
        let (named, tag) = (name.map(part::Name::encode), if large { tag | PART } else { tag });
        let body = named.as_ref().map_or(body, |name| name.as_slice());
        let sent =
            block(
                self,
                true,
                deadline,
                spin,
                |work| Ok(Some(work.send(tag, body)?).filter(|sent| *sent != Sent::Full)),
            );
        if let (Some(name), Err(_) | Ok(None)) = (name, sent) {
            name.remove(self.aux());
        }
        Ok(sent?.unwrap_or(Sent::Full))
    }
}
