//! Sending.

use std::io;
use std::time::{Duration, Instant};

use super::Work;
use crate::queue::member::block;
use crate::queue::part::{Index, Loan, PART};
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

    /// Sends one message of any size: what does not fit the ring is written beside it. There may be as many bytes of this
    /// sender's beside the ring as the queue's capacity, or 8 MiB, or two messages; from then on the queue is full for it.
    ///
    /// # Errors
    /// [`SendError`]: the disk or `/dev/shm` is full, for instance.
    pub fn send_any(&mut self, tag: u8, body: &[u8]) -> Result<Sent, SendError> {
        if body.len() <= self.max_message() {
            return Ok(self.send(tag, body)?);
        }
        // Looked for first: who waits for room tries often, and the body may be long.
        if self.member.room() == 0 && self.reclaim()? == 0 {
            return Ok(Sent::Full);
        }
        let Some(part) = self.parts.write(body)? else { return Ok(Sent::Full) };
        crash_point!("part written");
        let sent = self.send_part(tag, part, body.len());
        if sent != Ok(Sent::Yes) {
            self.parts.unsent(part);
        }
        Ok(sent?)
    }

    /// Memory for a message of `length` bytes, to be written by the caller and sent by [`send_loan`](Self::send_loan): so it is
    /// not copied at all. What is in it may be anything.
    ///
    /// # Errors
    /// [`SendError`]: `/dev/shm` is full, for instance.
    pub fn lend(&mut self, length: usize) -> Result<Loan, SendError> {
        self.parts.lend(length)
    }

    /// Sends the first `length` bytes of a loan (all of them at most; not 0). It comes back if there is no room for it now.
    ///
    /// # Errors
    /// [`SendError`], `EINVAL` for no bytes and for a loan of another handle; the loan is gone then.
    pub fn send_loan(&mut self, tag: u8, loan: Loan, length: usize) -> Result<Option<Loan>, SendError> {
        let (whole, length) = (loan.len(), length.min(loan.len()));
        // No receiver could map it.
        if length == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL).into());
        }
        let part = match self.parts.take_back(loan)? {
            Ok(part) => part,
            Err(loan) => return Ok(Some(loan)),
        };
        crash_point!("part written");
        match self.send_part(tag, part, length) {
            Ok(Sent::Yes) => Ok(None),
            Ok(_) => Ok(Some(self.parts.lend_again(part, whole))),
            Err(error) => {
                self.parts.unsent(part);
                Err(error.into())
            }
        }
    }

    /// The same, and waits while there is no room, at most until `deadline`.
    ///
    /// # Errors
    /// [`SendError`]; the loan is gone then.
    pub fn send_loan_blocking(
        &mut self,
        tag: u8,
        loan: Loan,
        length: usize,
        deadline: Option<Instant>,
    ) -> Result<Option<Loan>, SendError> {
        let mut left = Some(loan);
        self.block(deadline, Duration::ZERO, |work| {
            let Some(loan) = left.take() else { return Ok(Sent::Yes) };
            left = work.send_loan(tag, loan, length)?;
            Ok(if left.is_some() { Sent::Full } else { Sent::Yes })
        })?;
        Ok(left)
    }

    fn send_part(&mut self, tag: u8, part: Index, length: usize) -> Result<Sent, Corrupt> {
        let name = self.parts.name(part, length);
        let sent = self.send(tag | PART, &name.encode())?;
        if sent == Sent::Yes {
            self.parts.sent(part, self.member.published, length);
        }
        Ok(sent)
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
        self.block(deadline, spin, |work| work.send_any(tag, body))
    }

    /// Tries until there is room.
    fn block(
        &mut self,
        deadline: Option<Instant>,
        spin: Duration,
        mut send: impl FnMut(&mut Self) -> Result<Sent, SendError>,
    ) -> Result<Sent, SendError> {
        let mut failed = None;
        let sent = block(self, true, deadline, spin, |work| match send(work) {
            Ok(Sent::Full) => Ok(None),
            Ok(sent) => Ok(Some(sent)),
            Err(SendError::Corrupt(Corrupt)) => Err(Corrupt),
            Err(error) => {
                failed = Some(error);
                Ok(Some(Sent::Full))
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(sent?.unwrap_or(Sent::Full)),
        }
    }
}
