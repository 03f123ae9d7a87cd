//! Messages that say who sent them, which of his they are, and how long; the rest is a pattern of their own. The same as in
//! scripts/soak/support/body.js.

use crate::random::Random;

/// producer, number, length, 0: 32 bits each
pub const HEAD: usize = 16;

pub fn make(producer: usize, number: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    for word in [producer as u32, number, length as u32, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let pattern = pattern(producer as u32, number);
    while bytes.len() < length {
        bytes.extend_from_slice(&pattern);
    }
    bytes.truncate(length);
    bytes
}

/// Mostly small, sometimes of several slots, rarely beside the ring.
pub fn length(random: &mut Random) -> usize {
    let more = match random.below(2000) {
        0 => 70_000,
        1..200 => random.below(2000),
        _ => random.below(100),
    };
    HEAD + more as usize
}

/// Messages one behind the other, as a batch is sent; and where each of them ends.
pub fn wire(bodies: impl Iterator<Item = Vec<u8>>) -> (Vec<u8>, Vec<usize>) {
    let (mut wire, mut ends) = (Vec::new(), Vec::new());
    for bytes in bodies {
        wire.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        wire.extend_from_slice(&bytes);
        wire.resize(wire.len().next_multiple_of(8), 0);
        ends.push(wire.len());
    }
    (wire, ends)
}

/// Whose it is, and which; `None`: not one byte like it was sent.
pub fn read(bytes: &[u8]) -> Option<(usize, u32)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (producer, number) = (word(0)?, word(4)?);
    (bytes == make(producer as usize, number, word(8)? as usize)).then_some((producer as usize, number))
}

fn pattern(producer: u32, number: u32) -> [u8; 8] {
    let first = producer.wrapping_mul(0x9e37_79b1) ^ number;
    let second = number.wrapping_mul(0x85eb_ca6b) ^ producer;
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&first.to_le_bytes());
    bytes[4..].copy_from_slice(&second.to_le_bytes());
    bytes
}
