//! Received messages in one run of memory.

use std::collections::VecDeque;

/// Received messages, in order: a record per frame. A record is a header of four bytes in the machine's order, the body,
/// and zeros up to the next multiple of four. The header is the body's length with two flags above it.
///
/// JavaScript reads the same records out of a slab (`lib/zeromq/inbox.js`).
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    read: usize,
    /// Where the last whole message ends.
    whole: usize,
    whole_large: usize,
    large: VecDeque<Vec<u8>>,
    messages: usize,
}

/// Record flag: more frames of the message follow.
pub const RECORD_MORE: u32 = 1 << 31;
/// Record flag: the body stands apart (see [`Frames::pop_large`]); the header has no length and nothing follows it.
pub const RECORD_LARGE: u32 = 1 << 30;
/// The longest body within a record; JavaScript's slabs hold 1 MiB at most.
pub const RECORD_MAX: usize = 512 * 1024;

impl Frames {
    /// Whole messages.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Nothing at all, not even a part of a message?
    pub fn is_empty(&self) -> bool {
        self.read == self.bytes.len()
    }

    /// Adds a frame.
    pub fn push(&mut self, body: &[u8], more: bool) {
        let flag = if more { RECORD_MORE } else { 0 };
        match u32::try_from(body.len()) {
            Ok(length) if body.len() <= RECORD_MAX => {
                let padded = body.len().next_multiple_of(4);
                self.bytes.reserve(4 + padded);
                self.bytes.extend_from_slice(&(length | flag).to_ne_bytes());
                self.bytes.extend_from_slice(body);
                self.bytes.extend_from_slice(&[0; 4][..padded - body.len()]);
            }
            _ => {
                self.bytes.extend_from_slice(&(RECORD_LARGE | flag).to_ne_bytes());
                self.large.push_back(body.to_vec());
            }
        }
        if !more {
            self.messages += 1;
            self.whole = self.bytes.len();
            self.whole_large = self.large.len();
        }
    }

    /// Adds a message of one frame before the one whose last frame has not come.
    pub fn push_whole(&mut self, body: &[u8]) {
        let (partial, large) = (self.bytes.split_off(self.whole), self.large.split_off(self.whole_large));
        self.push(body, false);
        self.bytes.extend(partial);
        self.large.extend(large);
    }

    /// Throws away the message whose last frame has not come.
    pub fn drop_partial(&mut self) {
        self.bytes.truncate(self.whole);
        self.large.truncate(self.whole_large);
    }

    /// Throws away all whole messages.
    pub fn clear(&mut self) {
        while self.messages > 0 {
            self.skip_message();
        }
    }

    /// The first frame, if a whole message is there: its body, and whether more follow.
    pub fn pop(&mut self) -> Option<(Body<'_>, bool)> {
        if self.messages == 0 {
            return None;
        }
        let record = record(&self.bytes[self.read..])?;
        let start = self.read + 4;
        self.read += record.size;
        if !record.more {
            self.messages -= 1;
        }
        let body = if record.large {
            self.whole_large -= 1;
            Body::Owned(self.large.pop_front()?)
        } else {
            Body::Slice(&self.bytes[start..start + record.length])
        };
        Some((body, record.more))
    }

    /// The first frame, left where it is.
    pub fn peek(&self) -> Option<&[u8]> {
        let record = record(&self.bytes[self.read..]).filter(|_| self.messages > 0)?;
        let start = self.read + 4;
        if record.large {
            return self.large.front().map(Vec::as_slice);
        }
        self.bytes.get(start..start + record.length)
    }

    /// Throws away the first message, or what is left of it.
    pub fn skip_message(&mut self) {
        while let Some((_, true)) = self.pop() {}
        self.shrink();
    }

    /// Moves up to `count` messages to the end of `to`; tells how many.
    pub fn move_to(&mut self, to: &mut Self, count: usize) -> usize {
        let count = count.min(self.messages);
        if count == self.messages && self.whole == self.bytes.len() && to.is_empty() {
            to.bytes.clear();
            (to.read, to.whole) = (0, 0);
            std::mem::swap(self, to);
            return count;
        }
        let start = self.read;
        let (mut left, mut large) = (count, 0);
        while left > 0
            && let Some(record) = record(&self.bytes[self.read..])
        {
            self.read += record.size;
            large += usize::from(record.large);
            left -= usize::from(!record.more);
        }
        self.messages -= count;
        self.whole_large -= large;
        to.bytes.extend_from_slice(&self.bytes[start..self.read]);
        to.large.extend(self.large.drain(..large));
        to.messages += count;
        to.whole = to.bytes.len();
        to.whole_large = to.large.len();
        self.shrink();
        count
    }

    /// The records at the front that end within `room` bytes and before the first large one: their bytes, and how many
    /// messages end in them. Take them with [`Frames::advance`].
    pub fn front(&self, room: usize) -> (&[u8], usize) {
        let (mut end, mut messages) = (self.read, 0);
        while messages < self.messages
            && let Some(record) = record(&self.bytes[end..])
            && !record.large
            && end + record.size - self.read <= room
        {
            end += record.size;
            messages += usize::from(!record.more);
        }
        (&self.bytes[self.read..end], messages)
    }

    /// Takes what [`Frames::front`] showed.
    pub fn advance(&mut self, bytes: usize, messages: usize) {
        self.read += bytes;
        self.messages -= messages;
        self.shrink();
    }

    /// Does the body of the first record stand apart?
    pub fn is_large(&self) -> bool {
        self.messages > 0 && record(&self.bytes[self.read..]).is_some_and(|record| record.large)
    }

    /// The body that stands apart, if the first record is such a one; and whether more frames follow.
    pub fn pop_large(&mut self) -> Option<(Vec<u8>, bool)> {
        if !self.is_large() {
            return None;
        }
        match self.pop()? {
            (Body::Owned(body), more) => Some((body, more)),
            (Body::Slice(_), _) => None,
        }
    }

    /// Gives back memory that was read. Cheap: it moves only when at least as much has been read as is left.
    fn shrink(&mut self) {
        if self.read == self.bytes.len() {
            self.bytes.clear();
            if self.bytes.capacity() > 4 * RECORD_MAX {
                self.bytes = Vec::new();
            }
        } else if self.read > 64 * 1024 && self.read > self.bytes.len() / 2 {
            self.bytes.drain(..self.read);
        } else {
            return;
        }
        self.whole -= self.read;
        self.read = 0;
    }
}

/// The body of a received frame.
#[derive(Debug)]
pub enum Body<'a> {
    /// In the run of records.
    Slice(&'a [u8]),
    /// One that was too long for it.
    Owned(Vec<u8>),
}

impl std::ops::Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Slice(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

struct Record {
    length: usize,
    /// Of the whole record.
    size: usize,
    more: bool,
    large: bool,
}

#[inline]
fn record(bytes: &[u8]) -> Option<Record> {
    let header = u32::from_ne_bytes(*bytes.first_chunk()?);
    let (more, large) = (header & RECORD_MORE != 0, header & RECORD_LARGE != 0);
    let length = (header & !(RECORD_MORE | RECORD_LARGE)) as usize;
    Some(Record { length, size: 4 + length.next_multiple_of(4), more, large })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(frames: &mut Frames) -> Vec<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        let mut message = Vec::new();
        while let Some((body, more)) = frames.pop() {
            message.push(body.to_vec());
            if !more {
                all.push(std::mem::take(&mut message));
            }
        }
        all
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut frames = Frames::default();
        let large = vec![7; RECORD_MAX + 1];
        frames.push(b"", false);
        frames.push(b"abc", true);
        frames.push(&large, true);
        frames.push(b"defgh", false);
        frames.push(b"partial", true);
        assert_eq!(frames.messages(), 2);
        let mut moved = Frames::default();
        assert_eq!(frames.move_to(&mut moved, 1), 1);
        assert_eq!(frames.move_to(&mut moved, 9), 1);
        frames.drop_partial();
        assert!(frames.is_empty());
        let all = drain(&mut moved);
        assert_eq!(all, vec![vec![b"".to_vec()], vec![b"abc".to_vec(), large, b"defgh".to_vec()]]);
    }

    #[test]
    fn a_front_never_cuts_a_record_and_stops_before_a_large_one() {
        let mut frames = Frames::default();
        frames.push(b"12345", true);
        frames.push(b"1", false);
        frames.push(&vec![1; RECORD_MAX + 1], false);
        assert_eq!(frames.front(11).0.len(), 0);
        assert_eq!((frames.front(19).0.len(), frames.front(19).1), (12, 0));
        let (bytes, count) = frames.front(1000);
        assert_eq!((bytes.len(), count), (20, 1));
        frames.advance(20, 1);
        assert_eq!(frames.front(1000), (&[][..], 0));
        assert_eq!(frames.pop_large().unwrap().0.len(), RECORD_MAX + 1);
        assert!(frames.is_empty());
    }

    #[test]
    fn memory_that_was_read_is_given_back() {
        let mut frames = Frames::default();
        for _ in 0..100 {
            for _ in 0..100 {
                frames.push(&[0; 1000], false);
            }
            for _ in 0..99 {
                frames.skip_message();
            }
        }
        assert_eq!(frames.messages(), 100);
        assert!(frames.bytes.len() < 400_000);
    }
}
