//! Copying the messages of a lease.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;

use super::publisher::{log, part_of};
use super::subscription::{Held, Subscription};
use crate::queue::Delivery;
use crate::queue::part::{PART, Part};
use crate::queue::record::{self, HEAD, Message};

impl Subscription {
    /// Bytes that [`copy`](Self::copy) writes.
    pub fn leased_bytes(&self) -> usize {
        self.held.iter().map(Held::length).sum()
    }

    /// Copies the leased records into `into` (at least [`leased_bytes`](Self::leased_bytes) long) and names the messages. A
    /// damaged record is left out, the next lease tells of it; so is what a lossy subscription lost before it had copied it.
    pub fn copy(&mut self, into: &mut [u8], each: impl FnMut(&Delivery)) {
        let (start, length) = (into.as_mut_ptr().cast::<MaybeUninit<u8>>(), into.len());
        // SAFETY: the same memory, borrowed as long; only initialised bytes are written to it.
        self.copy_new(unsafe { std::slice::from_raw_parts_mut(start, length) }, each);
    }

    /// The same into memory that need not be initialised. All that the messages are in is, afterwards; the place of what was
    /// left out may not be.
    pub fn copy_new(&mut self, into: &mut [MaybeUninit<u8>], mut each: impl FnMut(&Delivery)) {
        let (mut held, mut found) = (std::mem::take(&mut self.held), std::mem::take(&mut self.scratch));
        let mut at = 0;
        held.retain(|held| {
            let begin = at;
            at += held.length();
            found.clear();
            let fits = into.get_mut(begin..at).is_some_and(|bytes| self.copy_record(held, begin, bytes, &mut found));
            let opened = !self.is_lost(held)
                && (found.iter().all(|message| message.tag & PART == 0)
                    || self.open_part(held).unwrap_or_else(|error| {
                        self.refused = Some(error);
                        true
                    }));
            if !opened {
                self.lost = true;
                return false;
            }
            if self.refused.is_some() {
                self.put_off(*held);
                return false;
            }
            if !fits {
                self.damaged = true;
                self.seen = self.seen.wrapping_add(held.head.count.into());
                return false;
            }
            found.iter().for_each(&mut each);
            true
        });
        (self.held, self.scratch) = (held, found);
    }

    /// `false`: it makes no sense.
    fn copy_record(&self, held: &Held, begin: usize, bytes: &mut [MaybeUninit<u8>], found: &mut Vec<Delivery>) -> bool {
        let Ok(bytes) = self.topic.member.shared.read_new(held.position, HEAD, bytes) else { return false };
        let mut messages = record::messages(bytes);
        messages.all(|message| {
            message.is_ok_and(|message| {
                found.push(held.delivery(message, begin));
                true
            })
        }) && found.len() == held.head.count as usize
    }

    /// Opens it while it is there for sure: its file goes when everyone has read the record. `false`: the record is lost.
    ///
    /// # Errors
    /// It may be opened later: descriptors or memory are out. What is gone or makes no sense stays so: [`part`](Self::part) tells.
    fn open_part(&mut self, held: &Held) -> io::Result<bool> {
        let name = part_of(&self.topic.member.shared, held.position, held.head);
        let part = match name {
            Some(name) => Part::open(self.topic.member.aux(), name),
            None => Err(ErrorKind::InvalidData.into()),
        };
        if self.is_lost(held) {
            return Ok(false);
        }
        let part = match part {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => return Err(error),
            part => part,
        };
        self.parts.insert(held.position, part);
        Ok(true)
    }

    fn is_lost(&self, held: &Held) -> bool {
        self.wish.lossy && log(&self.topic.member.shared).overtaken(held.position)
    }

    /// Why the last copy left out the message that the lease ended with; that is leased again.
    pub fn refused(&mut self) -> Option<io::Error> {
        self.refused.take()
    }

    /// Bytes of that body, while it is kept.
    pub fn part_len(&self, id: u64) -> Option<usize> {
        self.parts.get(&id)?.as_ref().ok().map(Part::len)
    }

    /// The body that a message with [`PART`] in its tag names, in memory of its own. Once: it is kept until it is asked for.
    ///
    /// # Errors
    /// Its file is gone, or not what was written.
    pub fn part(&mut self, id: u64) -> io::Result<Part> {
        self.parts.remove(&id).unwrap_or_else(|| Err(ErrorKind::NotFound.into()))
    }
}

impl Held {
    fn length(&self) -> usize {
        // `fits` compared it with the ring, which is mapped.
        usize::try_from(self.head.length).unwrap_or(usize::MAX)
    }

    fn delivery(&self, message: Message, begin: usize) -> Delivery {
        Delivery {
            offset: begin + message.offset,
            length: message.length,
            tag: message.tag,
            id: self.position,
            again: false,
        }
    }
}
