//! Reading the messages of a lease: copied, or where they are.

use std::mem::MaybeUninit;

use super::{Delivery, Held, Work, head_count};
use crate::queue::layout::Shared;
use crate::queue::part::{self, PART, Part};
use crate::queue::record::{self, HEAD, Head, MESSAGE_HEAD, Message};
use crate::queue::ring::Corrupt;
use crate::queue::state::Status;

impl Work {
    /// Bytes that [`copy`](Self::copy) writes.
    pub fn leased_bytes(&self) -> usize {
        self.held.iter().map(|held| length(held.head)).sum()
    }

    /// Copies the leased records into `into` (at least [`leased_bytes`](Self::leased_bytes) long) and names the messages. A
    /// damaged record is left out; the next lease tells of it.
    ///
    /// # Errors
    /// [`Corrupt`]: `into` is too short.
    pub fn copy(&mut self, into: &mut [u8], each: impl FnMut(&Delivery)) -> Result<(), Corrupt> {
        let (start, length) = (into.as_mut_ptr().cast::<MaybeUninit<u8>>(), into.len());
        // SAFETY: the same memory, borrowed as long; only initialised bytes are written to it.
        self.copy_new(unsafe { std::slice::from_raw_parts_mut(start, length) }, each)
    }

    /// The same into memory that need not be initialised. All that the messages are in is, afterwards; the place of a damaged
    /// record may not be.
    ///
    /// # Errors
    /// [`Corrupt`]: `into` is too short.
    pub fn copy_new(&mut self, into: &mut [MaybeUninit<u8>], each: impl FnMut(&Delivery)) -> Result<(), Corrupt> {
        let mut at = 0;
        self.each_held(each, |shared, held, found| {
            let length = length(held.head);
            let bytes = into.get_mut(at..at + length).ok_or(Corrupt)?;
            let bytes = shared.read_new(held.record.position, HEAD, bytes)?;
            if shared.flags.checked && record::checksum(held.record.position, held.head.count, bytes) != held.head.check
            {
                return Err(Corrupt);
            }
            for message in record::messages(bytes) {
                found.push(message.map_err(|_| Corrupt)?);
            }
            let begin = at;
            at += length;
            Ok(begin)
        })
    }

    /// Names the leased messages where they are, as offsets into [`slots`](Self::slots). They stay until the lease ends. A
    /// damaged record is left out; the next lease tells of it.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn view(&mut self, each: impl FnMut(&Delivery)) -> Result<(), Corrupt> {
        self.each_held(each, |shared, held, found| {
            let place = shared.place(held.record.position) + HEAD;
            let (mut at, length) = (0, length(held.head));
            while at < length && found.len() <= held.head.count as usize {
                // Others may write there at any time: a head is read once, and checked.
                let mut head = [0; MESSAGE_HEAD];
                shared.read(held.record.position, HEAD + at, &mut head)?;
                let message = record::parse_message_head(head, at).map_err(|_| Corrupt)?;
                let end = message.offset.checked_add(message.length).ok_or(Corrupt)?;
                if end > length {
                    return Err(Corrupt);
                }
                at = end.next_multiple_of(8);
                found.push(message);
            }
            Ok(place)
        })
    }

    /// The body that a message of the lease with [`PART`] in its tag names. Without acknowledgement it is the caller's own to
    /// write to; with it, what is written there is this handle's alone.
    ///
    /// # Errors
    /// Its file is gone, or not what was written.
    pub fn part(&mut self, id: u64) -> std::io::Result<Part> {
        let name = self.part_name(id)?;
        // Used once and removed by us: nobody waits for it.
        if self.member.shared.flags.checked {
            return Part::open(self.aux(), name);
        }
        let alone = !self.member.shared.flags.ack;
        self.received.get(&self.member.aux, name, alone)
    }

    /// Copies that body into `into`, which is as long as it or longer.
    ///
    /// # Errors
    /// As of [`part`](Self::part); `InvalidInput`: `into` is too short.
    pub fn copy_part(&mut self, id: u64, into: &mut [MaybeUninit<u8>]) -> std::io::Result<()> {
        let name = self.part_name(id)?;
        let length = usize::try_from(name.length).ok().filter(|length| *length <= into.len());
        let length = length.ok_or(std::io::ErrorKind::InvalidInput)?;
        self.received.peek(&self.member.aux, name, |from| {
            // SAFETY: the cache checked that so many bytes are mapped there, and the target is as long; they are not the same.
            unsafe { part::copy_out(from, into.as_mut_ptr().cast(), length) };
        })
    }

    /// Bytes of that body.
    ///
    /// # Errors
    /// `InvalidData`: nothing, or nothing that makes sense, names one.
    pub fn part_len(&self, id: u64) -> std::io::Result<usize> {
        Ok(usize::try_from(self.part_name(id)?.length).map_err(|_| std::io::ErrorKind::InvalidData)?)
    }

    fn part_name(&self, id: u64) -> std::io::Result<part::Name> {
        let held = self.held.iter().find(|held| held.record.position == id);
        Ok(held.and_then(|held| held.part).ok_or(std::io::ErrorKind::InvalidData)?)
    }

    /// The memory that [`view`](Self::view) counts from: begin and bytes. Mapped as long as [`segment`](Self::segment) is.
    pub fn slots(&self) -> (*mut u8, usize) {
        self.member.shared.slots()
    }

    /// Calls `each` for the messages that `find` finds in the records held, and from where it says on. A record that makes no sense
    /// is dropped whole.
    fn each_held(
        &mut self,
        mut each: impl FnMut(&Delivery),
        mut find: impl FnMut(&Shared<'_>, &Held, &mut Vec<Message>) -> Result<usize, Corrupt>,
    ) -> Result<(), Corrupt> {
        let shared = self.member.shared;
        let (mut found, mut base) = (std::mem::take(&mut self.scratch), 0);
        let mut held = std::mem::take(&mut self.held);
        held.retain_mut(|held| {
            found.clear();
            let begin = find(&shared, held, &mut found).ok().filter(|_| found.len() == held.head.count as usize);
            let Some(begin) = begin else {
                shared.ring.settle(held.record, self.member.seat, Status::Done);
                self.damaged = true;
                return false;
            };
            if held.head.base != base {
                // A record before it was dropped.
                held.head.base = base;
                // Fails for no record that was read.
                let _ = shared.write_start(held.record.position, held.head.start, base);
            }
            base += head_count(held.head);
            if let [only] = found.as_slice()
                && only.tag & PART != 0
            {
                held.part = part::named_by(&shared, &held.record).ok().flatten();
            }
            found[held.head.start as usize..].iter().for_each(|message| each(&held.delivery(*message, begin)));
            true
        });
        (self.held, self.scratch) = (held, found);
        Ok(())
    }
}

impl Held {
    fn delivery(&self, message: Message, begin: usize) -> Delivery {
        Delivery {
            offset: begin + message.offset,
            length: message.length,
            tag: message.tag,
            id: self.record.position,
            again: self.record.state.status == Status::Again,
        }
    }
}

fn length(head: Head) -> usize {
    // `fits` compared it with the ring, which is mapped.
    usize::try_from(head.length).unwrap_or(usize::MAX)
}
