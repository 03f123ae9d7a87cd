//! The bytes of a record: a head, then messages. And messages on their way in and out, which have the same form.
//!
//! ```text
//! record   count u32 | length u32 | start u32 | base u32 | check u64 | messages, `length` bytes
//! message  length and tag u64 (48 + 8 bits, 8 zero) | body | zeros up to a multiple of 8
//! ```
//!
//! `start`: messages that were received before the record came back. `base`: messages that its receiver had before this
//! record in the same lease. `check`: a checksum, in queues that live in a file. All of it is read as from an enemy.

/// Bytes of a slot.
pub(crate) const SLOT: usize = 64;
/// Bytes before a record's messages.
pub(crate) const HEAD: usize = 24;
/// Where `start` and `base` are in a head: one aligned word.
pub(crate) const START: usize = 8;
/// Bytes before a message's body.
pub(crate) const MESSAGE_HEAD: usize = 8;
/// Messages in one record, at most: what one receiver takes at once.
pub(crate) const MAX_COUNT: u32 = 64;
/// Bytes of messages in a record that has more than one.
pub(crate) const MAX_BATCH: usize = 16 * 1024;

/// A record's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) count: u32,
    /// Bytes of the messages.
    pub(crate) length: u64,
    pub(crate) start: u32,
    pub(crate) base: u32,
    pub(crate) check: u64,
}

/// One message inside a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where its body begins.
    pub(crate) offset: usize,
    /// Bytes of its body.
    pub(crate) length: usize,
    /// What the body is; the queue does not look.
    pub(crate) tag: u8,
}

/// Bytes that a message of `length` takes in a record.
pub(crate) const fn message_size(length: usize) -> usize {
    MESSAGE_HEAD + length.next_multiple_of(8)
}

/// Slots of a record with `length` bytes of messages.
pub(crate) const fn slots_for(length: usize) -> usize {
    (HEAD + length).div_ceil(SLOT)
}

pub(crate) fn message_head(length: usize, tag: u8) -> [u8; MESSAGE_HEAD] {
    (length as u64 | u64::from(tag) << 48).to_le_bytes()
}

impl Head {
    /// `length` is counted in units of 8 bytes in the record, so 32 bits reach as far as a ring does.
    pub(crate) fn encode(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&self.count.to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::try_from(self.length / 8).unwrap_or(u32::MAX).to_le_bytes());
        bytes[8..12].copy_from_slice(&self.start.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.base.to_le_bytes());
        bytes[16..].copy_from_slice(&self.check.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEAD]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            count: word(0),
            length: u64::from(word(4)) * 8,
            start: word(8),
            base: word(12),
            check: u64::from(word(16)) | u64::from(word(20)) << 32,
        }
    }

    /// Can a record of `slots` slots have this head?
    pub(crate) fn fits(&self, slots: u32) -> bool {
        let room = u64::from(slots) * SLOT as u64 - HEAD as u64;
        let least = u64::from(self.count) * MESSAGE_HEAD as u64;
        self.count >= 1 && self.count <= MAX_COUNT && least <= self.length && self.length <= room
    }
}

/// Walks the messages in `bytes`, which nobody changes meanwhile. Ends early, with `Err`, where they make no sense.
pub(crate) fn messages(bytes: &[u8]) -> impl Iterator<Item = Result<Message, Malformed>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == bytes.len() {
            return None;
        }
        let message = message_at(bytes, at);
        at = message.as_ref().map_or(bytes.len(), |message| message.offset + message.length.next_multiple_of(8));
        Some(message)
    })
}

/// Messages that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

fn message_at(bytes: &[u8], at: usize) -> Result<Message, Malformed> {
    let head = bytes.get(at..at + MESSAGE_HEAD).ok_or(Malformed)?;
    let head: [u8; MESSAGE_HEAD] = head.try_into().map_err(|_| Malformed)?;
    let message = parse_message_head(head, at)?;
    let padded = message.length.checked_next_multiple_of(8).ok_or(Malformed)?;
    let end = message.offset.checked_add(padded).ok_or(Malformed)?;
    if end > bytes.len() { Err(Malformed) } else { Ok(message) }
}

/// The message whose head is at `at`. Its end is not checked.
pub(crate) fn parse_message_head(head: [u8; MESSAGE_HEAD], at: usize) -> Result<Message, Malformed> {
    let word = u64::from_le_bytes(head);
    let [.., tag, zero] = word.to_le_bytes();
    let length = usize::try_from(word & 0xffff_ffff_ffff).map_err(|_| Malformed)?;
    if zero != 0 { Err(Malformed) } else { Ok(Message { offset: at + MESSAGE_HEAD, length, tag }) }
}

/// Checksum of a record: 64-bit FNV-1a over words of 8 bytes. The first words are its position, the number of its messages and their
/// bytes: what was written elsewhere, or before, does not fit.
pub(crate) struct Checksum(u64);

impl Checksum {
    pub(crate) fn new(position: u64, count: u32, length: usize) -> Self {
        Self::of([position, u64::from(count), length as u64])
    }

    /// That of three words, so far.
    pub(crate) fn of(words: [u64; 3]) -> Self {
        Self(words.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| step(sum, *word)))
    }

    /// Takes in the next bytes: a multiple of 8, but for the last.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let sum = words.iter().fold(self.0, |sum, word| step(sum, u64::from_le_bytes(*word)));
        self.0 = rest.iter().fold(sum, |sum, byte| step(sum, u64::from(*byte)));
    }

    pub(crate) fn end(self) -> u64 {
        self.0
    }
}

fn step(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
}

/// The checksum of a record whose messages are all there.
pub(crate) fn checksum(position: u64, count: u32, bytes: &[u8]) -> u64 {
    let mut sum = Checksum::new(position, count, bytes.len());
    sum.add(bytes);
    sum.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(bodies: &[(Vec<u8>, u8)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (body, tag) in bodies {
            bytes.extend_from_slice(&message_head(body.len(), *tag));
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..100), any::<u8>()), 0..64)) {
            let bytes = wire(&bodies);
            prop_assert_eq!(bytes.len(), bodies.iter().map(|(body, _)| message_size(body.len())).sum::<usize>());
            let found: Vec<_> = messages(&bytes).map(|m| m.map(|m| (bytes[m.offset..m.offset + m.length].to_vec(), m.tag))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(found, bodies);
        }

        #[test]
        fn any_bytes_are_walked_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..500), zeros in 0usize..64) {
            let mut bytes = bytes;
            // Small lengths are the interesting ones.
            for word in bytes.chunks_mut(8).take(zeros) { word.iter_mut().skip(1).for_each(|byte| *byte = 0); }
            let mut last = 0;
            for message in messages(&bytes).flatten() {
                prop_assert!(message.offset >= last + MESSAGE_HEAD && message.offset + message.length <= bytes.len());
                last = message.offset + message.length;
            }
        }

        #[test]
        fn a_head_survives(count: u32, words: u32, start: u32, base: u32, check: u64) {
            let head = Head { count, length: u64::from(words) * 8, start, base, check };
            prop_assert_eq!(Head::decode(&head.encode()), head);
        }

        #[test]
        fn a_flipped_bit_changes_the_checksum(bytes in prop::collection::vec(any::<u8>(), 1..300), at: usize, bit in 0u8..8) {
            let mut other = bytes.clone();
            let at = at % bytes.len();
            other[at] ^= 1 << bit;
            prop_assert_ne!(checksum(5, 1, &bytes), checksum(5, 1, &other));
            prop_assert_ne!(checksum(5, 1, &bytes), checksum(6, 1, &bytes));
        }
    }

    #[test]
    fn impossible_heads_do_not_fit() {
        let head = |count, length| Head { count, length, ..Head::default() };
        assert!(head(1, 8).fits(1));
        assert!(head(5, 40).fits(1));
        assert!(!head(0, 8).fits(1));
        assert!(!head(1, 48).fits(1));
        assert!(!head(2, 8).fits(1));
        assert!(!head(65, 1024).fits(100));
        assert!(!head(1, u64::MAX / 2).fits(1 << 30));
    }
}
