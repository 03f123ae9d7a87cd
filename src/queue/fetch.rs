//! Taking messages out of a queue, as values or whole.

use std::io::ErrorKind;

use serde::de::DeserializeOwned;

use super::body::{Body, Message, Tag};
use super::codec;
use super::error::Error;
use super::part::PART;
use super::queue::{LEASE_BYTES, Queue, SPIN, Wait};

/// A message while it is in the slab, or in a file of its own.
pub(super) struct Fetched<'a> {
    tag: Tag,
    bytes: Bytes<'a>,
    id: u64,
    again: bool,
}

enum Bytes<'a> {
    Slab(&'a [u8]),
    /// Of a file that its sender could still write to, so not in place.
    Copied(Vec<u8>),
}

impl Queue {
    /// Leases up to `most` messages and makes something of each. What the caller does not get goes back at once: it may take its
    /// time with what it got, while other receivers are idle.
    pub(super) fn fetch<R>(
        &mut self,
        most: usize,
        wait: Wait,
        mut make: impl FnMut(Fetched<'_>) -> Result<R, Error>,
    ) -> Result<Vec<R>, Error> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let mut made = Vec::new();
        while most > 0 && made.is_empty() {
            if self.lease(most, wait)? == 0 {
                break;
            }
            let mut got = 0;
            let failed = self.make_each(most, &mut made, &mut got, &mut make).err();
            self.work.give_back(got)?;
            if let Some(error) = failed.filter(|_| made.is_empty()) {
                return Err(error);
            }
        }
        Ok(made)
    }

    fn lease(&mut self, most: u32, wait: Wait) -> Result<u32, Error> {
        let leased = match wait {
            Wait::Until(deadline) => self.work.lease_blocking(most, LEASE_BYTES, deadline, SPIN)?,
            Wait::Not => match self.work.lease(most, LEASE_BYTES)? {
                0 if self.look_around() => self.work.lease(most, LEASE_BYTES)?,
                leased => leased,
            },
        };
        Ok(leased)
    }

    /// Makes something of the first `most` messages of the lease. `got`: how many of them are received by that; what fails behind
    /// others comes again.
    fn make_each<R>(
        &mut self,
        most: u32,
        made: &mut Vec<R>,
        got: &mut u32,
        make: &mut impl FnMut(Fetched<'_>) -> Result<R, Error>,
    ) -> Result<(), Error> {
        let Self { work, slab, deliveries, .. } = self;
        deliveries.clear();
        slab.clear();
        slab.resize(work.leased_bytes(), 0);
        work.copy(slab, |delivery| deliveries.push(*delivery))?;
        for delivery in deliveries.iter().take(most as usize) {
            let first = *got == 0;
            let bytes = if delivery.tag & PART == 0 {
                Bytes::Slab(&slab[delivery.offset..delivery.offset + delivery.length])
            } else {
                match work.part(delivery.id).and_then(|part| part.to_vec()) {
                    Ok(bytes) => Bytes::Copied(bytes),
                    Err(error) => {
                        // A body that is gone stays so, and its message with it; another refusal may pass.
                        let gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData);
                        if gone && first && !work.ack(delivery.id)? {
                            *got = 1;
                        }
                        return Err(Error::Io(error));
                    }
                }
            };
            let fetched = Fetched { tag: Tag::new(delivery.tag), bytes, id: delivery.id, again: delivery.again };
            match make(fetched) {
                Ok(value) => made.push(value),
                Err(error) => {
                    *got += u32::from(first);
                    return Err(error);
                }
            }
            *got += 1;
        }
        if slab.capacity() > 4 * LEASE_BYTES {
            *slab = Vec::new();
        }
        Ok(())
    }
}

impl Fetched<'_> {
    pub(super) fn decode<T: DeserializeOwned>(self) -> Result<T, Error> {
        let bytes: &[u8] = match &self.bytes {
            Bytes::Slab(bytes) => bytes,
            Bytes::Copied(bytes) => bytes,
        };
        codec::decode(self.tag, bytes).map_err(|why| Error::Decode { why, message: Some(self.into_message()) })
    }

    pub(super) fn into_message(self) -> Message {
        let body = match self.bytes {
            Bytes::Slab(bytes) => Body::owned(bytes.to_vec()),
            Bytes::Copied(bytes) => Body::owned(bytes),
        };
        Message { tag: self.tag, body, id: self.id, again: self.again }
    }
}
