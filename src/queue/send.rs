//! Sending values.

use std::time::Duration;

use serde::Serialize;

use super::Sent;
use super::body::Tag;
use super::error::Error;
use super::queue::{Queue, Wait, after};
use super::record;
use super::ring::Corrupt;

/// Bytes of messages that [`Queue::send_many`] collects before it publishes them.
const BATCH_BYTES: usize = 64 * 1024;

impl Queue {
    /// Sends a value, and waits while the queue is full. It is in the queue when this returns.
    ///
    /// # Errors
    /// [`Error::Encode`] before anything is sent; [`Error::Damaged`], [`Error::Io`]
    pub fn send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.send_value(value, Wait::Until(None)).map(|_| ())
    }

    /// Sends a value if there is room now. `false`: there is not.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<bool, Error> {
        self.send_value(value, Wait::Not)
    }

    /// Sends a value, and waits while the queue is full, at most so long. `false`: it was full all the time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_timeout<T: Serialize + ?Sized>(&mut self, value: &T, timeout: Duration) -> Result<bool, Error> {
        self.send_value(value, after(timeout))
    }

    /// Sends values in batches, in their order, and waits while the queue is full: far cheaper per value than [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send); what came before the value that failed is sent.
    pub fn send_many<T: Serialize>(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let (mut wire, mut body) = (Vec::new(), Vec::new());
        let tag = self.codec.tag().number();
        for value in values {
            body.clear();
            if let Err(error) = self.codec.encode(&value, &mut body) {
                self.send_wire(&wire)?;
                return Err(error.into());
            }
            let small = body.len() <= self.work.max_message();
            if !small || wire.len() + body.len() > BATCH_BYTES {
                self.send_wire(&wire)?;
                wire.clear();
            }
            if small {
                wire.extend_from_slice(&record::message_head(body.len(), tag));
                wire.extend_from_slice(&body);
                wire.resize(wire.len().next_multiple_of(8), 0);
            } else {
                self.work.send_blocking(tag, &body, None)?;
            }
        }
        self.send_wire(&wire)
    }

    /// Sends bytes as they are; JavaScript gets a `Buffer`. Waits while the queue is full.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send_body(Tag::Bytes, bytes, Wait::Until(None)).map(|_| ())
    }

    /// Sends a text as it is; JavaScript gets a string. Waits while the queue is full.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send_body(Tag::Text, text.as_bytes(), Wait::Until(None)).map(|_| ())
    }

    fn send_value<T: Serialize + ?Sized>(&mut self, value: &T, wait: Wait) -> Result<bool, Error> {
        let mut body = std::mem::take(&mut self.outbox);
        body.clear();
        let sent = match self.codec.encode(value, &mut body) {
            Ok(()) => self.send_body(self.codec.tag(), &body, wait),
            Err(error) => Err(error.into()),
        };
        if body.capacity() <= 1 << 20 {
            self.outbox = body;
        }
        sent
    }

    fn send_body(&mut self, tag: Tag, body: &[u8], wait: Wait) -> Result<bool, Error> {
        let sent = match wait {
            Wait::Until(deadline) => self.work.send_blocking(tag.number(), body, deadline)?,
            Wait::Not => match self.work.send_any(tag.number(), body)? {
                Sent::Full if self.look_around() => self.work.send_any(tag.number(), body)?,
                sent => sent,
            },
        };
        Ok(sent == Sent::Yes)
    }

    /// Sends messages in wire form, waiting for room.
    fn send_wire(&mut self, wire: &[u8]) -> Result<(), Error> {
        let mut rest = wire;
        while !rest.is_empty() {
            let (taken, _) = self.work.send_batch(rest)?;
            rest = &rest[taken..];
            if let Some(message) = record::messages(rest).next() {
                // It waits for room for one, and goes on with the batch then.
                let message = message.map_err(|_| Corrupt)?;
                let end = message.offset + message.length;
                self.work.send_blocking(message.tag, &rest[message.offset..end], None)?;
                rest = &rest[end.next_multiple_of(8)..];
            }
        }
        Ok(())
    }
}
