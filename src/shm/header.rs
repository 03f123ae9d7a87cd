//! The first page of a segment: what it is and where its parts are. Written once, before anyone can open it; checked at
//! every opening. Offsets and widths are those of `docs/segment-layout.md`.

use std::fmt;

use super::error::OpenError;
use super::name::MAX_NAME_LEN;
use super::participants::{self, MAX_PARTICIPANTS};
use super::sys_unix as sys;

/// Version of the byte layout. Another version is refused, never guessed at.
pub const LAYOUT_VERSION: u32 = 1;

/// How many words of its own a room may put into the header, see [`Segment::params`](super::Segment::params).
pub const PARAMS: usize = 8;

/// Bytes that hold the header.
pub(super) const HEADER_LEN: usize = 512;
/// The word that counts how often anyone joined: it and the next are all of the page that changes.
pub(super) const JOINS_OFFSET: usize = 512;
/// The word that says which boot of the machine, and which file, wrote the pages of a file of the caller's choice.
pub(super) const ORIGIN_OFFSET: usize = 520;
/// Where the participant table begins.
pub(super) const TABLE_OFFSET: usize = 4096;

const MAGIC: [u8; 8] = *b"interprc";
const BYTE_ORDER: u32 = 0x0102_0304;
const FLAG_PERSISTENT: u32 = 1;

const AT_LAYOUT: usize = 8;
const AT_BYTE_ORDER: usize = 12;
const AT_FLAGS: usize = 16;
const AT_KIND: usize = 20;
const AT_POINTER_BITS: usize = 24;
const AT_PARTICIPANTS: usize = 28;
const AT_TABLE_OFFSET: usize = 32;
const AT_PARTICIPANT_LEN: usize = 36;
const AT_DATA_OFFSET: usize = 40;
const AT_DATA_LEN: usize = 48;
const AT_TOTAL_LEN: usize = 56;
const AT_ID: usize = 64;
const AT_CREATED: usize = 80;
const AT_NAME_LEN: usize = 88;
const AT_PARAMS: usize = 96;
const AT_NAME: usize = 160;
const AT_CHECKSUM: usize = 360;

/// What lives in a segment's data region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(u32);

impl Kind {
    /// Plain bytes of a `SharedBuffer`.
    pub const BUFFER: Self = Self(1);
    /// A work queue.
    pub const QUEUE: Self = Self(2);
    /// A broadcast log.
    pub const TOPIC: Self = Self(3);
    /// A map.
    pub const MAP: Self = Self(4);
    /// A page of counters.
    pub const COUNTERS: Self = Self(5);
    /// A table of named locks.
    pub const LOCKS: Self = Self(6);

    /// A kind by its number; numbers that nobody uses are possible.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Whether the next user takes over what the dead left, instead of finding the name free: the table of locks remembers who died with
    /// which lock.
    pub(super) const fn is_inherited(self) -> bool {
        self.0 == Self::LOCKS.0
    }

    /// The number in the header.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The word that lists and errors use; `None` for a number that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::BUFFER => Some("buffer"),
            Self::QUEUE => Some("queue"),
            Self::TOPIC => Some("topic"),
            Self::MAP => Some("map"),
            Self::COUNTERS => Some("counters"),
            Self::LOCKS => Some("locks"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "segment of unknown kind {}", self.0),
        }
    }
}

/// A header that was written by us or passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) persistent: bool,
    pub(super) data_offset: usize,
    pub(super) data_len: usize,
    pub(super) total_len: usize,
    pub(super) id: u128,
    /// Milliseconds since 1970.
    pub(super) created: u64,
    /// Empty if the segment has no name.
    pub(super) name: String,
    pub(super) params: [u64; PARAMS],
}

/// Where the data begins and how long the file is, for `data_len` bytes of data. `None` if that does not fit the address space.
pub(super) fn layout(data_len: u64) -> Option<(usize, usize)> {
    let page = sys::page_size();
    let data_offset = (TABLE_OFFSET + participants::TABLE_LEN).next_multiple_of(page);
    let total = usize::try_from(data_len).ok()?.checked_next_multiple_of(page)?.checked_add(data_offset)?;
    (isize::try_from(total).is_ok()).then_some((data_offset, total))
}

/// Whether users to come take over what lies there, unused as it may be.
pub(super) fn says_inherited(bytes: &[u8; HEADER_LEN]) -> bool {
    bytes[..8] == MAGIC
        && u32_at(bytes, AT_LAYOUT) == LAYOUT_VERSION
        && Kind::new(u32_at(bytes, AT_KIND)).is_inherited()
}

/// Whether a header of any layout version asks to stay without users.
pub(super) fn says_persistent(bytes: &[u8; HEADER_LEN]) -> bool {
    bytes[..8] == MAGIC && u32_at(bytes, AT_FLAGS) & FLAG_PERSISTENT != 0
}

impl Header {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        put_u32(&mut bytes, AT_LAYOUT, LAYOUT_VERSION);
        put_u32(&mut bytes, AT_BYTE_ORDER, BYTE_ORDER);
        put_u32(&mut bytes, AT_FLAGS, if self.persistent { FLAG_PERSISTENT } else { 0 });
        put_u32(&mut bytes, AT_KIND, self.kind.get());
        put_u32(&mut bytes, AT_POINTER_BITS, usize::BITS);
        put_u32(&mut bytes, AT_PARTICIPANTS, MAX_PARTICIPANTS);
        put_u32(&mut bytes, AT_TABLE_OFFSET, narrow(TABLE_OFFSET));
        put_u32(&mut bytes, AT_PARTICIPANT_LEN, narrow(participants::RECORD_LEN));
        put_u64(&mut bytes, AT_DATA_OFFSET, self.data_offset as u64);
        put_u64(&mut bytes, AT_DATA_LEN, self.data_len as u64);
        put_u64(&mut bytes, AT_TOTAL_LEN, self.total_len as u64);
        bytes[AT_ID..AT_ID + 16].copy_from_slice(&self.id.to_ne_bytes());
        put_u64(&mut bytes, AT_CREATED, self.created);
        put_u32(&mut bytes, AT_NAME_LEN, narrow(self.name.len()));
        for (i, param) in self.params.iter().enumerate() {
            put_u64(&mut bytes, AT_PARAMS + i * 8, *param);
        }
        bytes[AT_NAME..AT_NAME + self.name.len()].copy_from_slice(self.name.as_bytes());
        let sum = checksum(&bytes[..AT_CHECKSUM]);
        put_u64(&mut bytes, AT_CHECKSUM, sum);
        bytes
    }

    /// Reads and checks the bytes of a file that is `file_len` long. A header that passes describes a mapping of exactly the
    /// file, whatever the bytes were.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN], file_len: u64) -> Result<Self, OpenError> {
        if bytes[..8] != MAGIC {
            return Err(OpenError::NotASegment);
        }
        let layout = u32_at(bytes, AT_LAYOUT);
        let same_machine = u32_at(bytes, AT_BYTE_ORDER) == BYTE_ORDER && u32_at(bytes, AT_POINTER_BITS) == usize::BITS;
        if layout != LAYOUT_VERSION || !same_machine {
            return Err(OpenError::LayoutMismatch { found: layout });
        }
        if u64_at(bytes, AT_CHECKSUM) != checksum(&bytes[..AT_CHECKSUM]) {
            return Err(OpenError::Corrupt("wrong checksum"));
        }
        let table = (u32_at(bytes, AT_PARTICIPANTS), u32_at(bytes, AT_TABLE_OFFSET), u32_at(bytes, AT_PARTICIPANT_LEN));
        if table != (MAX_PARTICIPANTS, narrow(TABLE_OFFSET), narrow(participants::RECORD_LEN)) {
            return Err(OpenError::Corrupt("another participant table"));
        }
        let (data_offset, data_len, total_len) = check_extent(bytes, file_len)?;
        let name_len = u32_at(bytes, AT_NAME_LEN) as usize;
        if name_len > MAX_NAME_LEN {
            return Err(OpenError::Corrupt("overlong name"));
        }
        let name =
            str::from_utf8(&bytes[AT_NAME..AT_NAME + name_len]).map_err(|_| OpenError::Corrupt("name is not UTF-8"))?;
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[AT_ID..AT_ID + 16]);
        Ok(Self {
            kind: Kind::new(u32_at(bytes, AT_KIND)),
            persistent: u32_at(bytes, AT_FLAGS) & FLAG_PERSISTENT != 0,
            data_offset,
            data_len,
            total_len,
            id: u128::from_ne_bytes(id),
            created: u64_at(bytes, AT_CREATED),
            name: name.to_owned(),
            params: std::array::from_fn(|i| u64_at(bytes, AT_PARAMS + i * 8)),
        })
    }
}

/// The three lengths, proven to lie inside the file and on page boundaries.
fn check_extent(bytes: &[u8; HEADER_LEN], file_len: u64) -> Result<(usize, usize, usize), OpenError> {
    let too_big = |_| OpenError::Corrupt("length beyond the address space");
    let data_offset = usize::try_from(u64_at(bytes, AT_DATA_OFFSET)).map_err(too_big)?;
    let data_len = usize::try_from(u64_at(bytes, AT_DATA_LEN)).map_err(too_big)?;
    let total_len = usize::try_from(u64_at(bytes, AT_TOTAL_LEN)).map_err(too_big)?;
    isize::try_from(total_len).map_err(too_big)?;
    if data_offset < TABLE_OFFSET + participants::TABLE_LEN || !data_offset.is_multiple_of(sys::page_size()) {
        return Err(OpenError::Corrupt("data in the wrong place"));
    }
    if data_offset.checked_add(data_len).is_none_or(|end| end > total_len) {
        return Err(OpenError::Corrupt("data longer than the segment"));
    }
    match file_len.cmp(&(total_len as u64)) {
        std::cmp::Ordering::Less => Err(OpenError::Truncated),
        std::cmp::Ordering::Greater => Err(OpenError::Corrupt("file longer than the segment")),
        std::cmp::Ordering::Equal => Ok((data_offset, data_len, total_len)),
    }
}

/// FNV-1a, 64 bits: finds damage, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// For the small constants and lengths above, none of which comes near the limit.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn put_u32(bytes: &mut [u8; HEADER_LEN], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

fn put_u64(bytes: &mut [u8; HEADER_LEN], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

fn u32_at(bytes: &[u8; HEADER_LEN], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(word)
}

fn u64_at(bytes: &[u8; HEADER_LEN], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Header {
        let (data_offset, total_len) = layout(10_000).unwrap();
        Header {
            kind: Kind::BUFFER,
            persistent: false,
            data_offset,
            data_len: 10_000,
            total_len,
            id: 42,
            created: 7,
            name: "größe".into(),
            params: [1, 2, 3, 4, 5, 6, 7, 8],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let header = sample();
        let len = header.total_len as u64;
        assert_eq!(Header::decode(&header.encode(), len).unwrap(), header);
        let shorter = Header::decode(&header.encode(), len - 1);
        assert!(matches!(shorter, Err(OpenError::Truncated)));
        let longer = Header::decode(&header.encode(), len + 1);
        assert!(matches!(longer, Err(OpenError::Corrupt(_))));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let header = sample();
        let len = header.total_len as u64;
        for bit in 0..(AT_CHECKSUM + 8) * 8 {
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, len).is_err(), "bit {bit}");
        }
    }

    proptest! {
        /// Whoever forges the checksum too still cannot make us map or read outside the file.
        #[test]
        fn a_forged_header_stays_inside_its_file(
            changes in prop::collection::vec((0..AT_CHECKSUM, any::<u8>()), 0..24),
            words in prop::collection::vec((0..5usize, any::<u64>()), 0..3),
            file_len in any::<u64>(),
            honest_len in any::<bool>(),
        ) {
            let mut bytes = sample().encode();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            for (i, word) in words {
                put_u64(&mut bytes, [AT_DATA_OFFSET, AT_DATA_LEN, AT_TOTAL_LEN, AT_NAME_LEN, AT_FLAGS][i], word);
            }
            bytes[..8].copy_from_slice(&MAGIC);
            let sum = checksum(&bytes[..AT_CHECKSUM]);
            put_u64(&mut bytes, AT_CHECKSUM, sum);
            let file_len = if honest_len { u64_at(&bytes, AT_TOTAL_LEN) } else { file_len };
            if let Ok(header) = Header::decode(&bytes, file_len) {
                prop_assert_eq!(header.total_len as u64, file_len);
                prop_assert!(header.data_offset >= TABLE_OFFSET + participants::TABLE_LEN);
                prop_assert!(header.data_offset.checked_add(header.data_len).unwrap() <= header.total_len);
                prop_assert!(header.data_offset.is_multiple_of(sys::page_size()));
            }
        }
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        assert!(layout(u64::MAX).is_none());
        assert!(layout(i64::MAX as u64).is_none());
        assert!(layout(64 << 30).is_some());
        assert!(layout(0).is_some());
    }
}
