//! What a map holds, and what its calls take and give.

/// A value: bytes of the caller's on their way in, a copy of its own on its way out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<B = Vec<u8>> {
    /// Bytes.
    Bytes(B),
    /// UTF-8: JSON, or a plain string after a byte 1.
    Text(B),
    /// A number.
    Number(f64),
}

/// What a value's bytes are; the numbers are those of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// See [`Value::Bytes`].
    Bytes = 1,
    /// See [`Value::Text`].
    Text = 2,
    /// Eight bytes, little-endian: see [`Value::Number`].
    Number = 3,
}

/// There is no room for the entry: it is larger than the map, or nothing may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// An entry that was found, and what tells that it still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What its value is.
    pub kind: Kind,
    /// Bytes of its value. If there was not so much room, none were copied.
    pub len: usize,
    /// The tick of its storing; no other ever has it.
    pub version: u64,
    /// Milliseconds since 1970; 0: never.
    pub ends: u64,
    /// Where its head block is in the data. Its first word is `stamp` as long as the value is the entry's.
    pub at: usize,
    /// See `at`.
    pub stamp: u64,
    /// The word and the bit of its mark of use.
    pub mark: (usize, u32),
}

/// A value with its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The value.
    pub value: Value,
    /// The tick of its storing; no other ever has it.
    pub version: u64,
    /// Milliseconds since 1970; 0: never.
    pub ends: u64,
}

/// When an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Whatever is there.
    Always,
    /// Only where there is none.
    IfAbsent,
    /// Only where the entry has this version; 0: where there is none.
    IfVersion(u64),
}

impl Kind {
    pub(super) fn from_word(word: u32) -> Option<Self> {
        [Self::Bytes, Self::Text, Self::Number].into_iter().find(|kind| *kind as u32 == word)
    }
}

impl Value {
    /// The same, for [`Map::put`](super::Map::put).
    #[must_use]
    pub fn as_slices(&self) -> Value<&[u8]> {
        match self {
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Text(bytes) => Value::Text(bytes),
            Self::Number(number) => Value::Number(*number),
        }
    }

    /// The value that a [`Found`] and its bytes are; `None`: no such value was ever stored.
    pub(super) fn from_parts(kind: Kind, bytes: Vec<u8>) -> Option<Self> {
        match kind {
            Kind::Bytes => Some(Self::Bytes(bytes)),
            Kind::Text => Some(Self::Text(bytes)),
            Kind::Number => Some(Self::Number(f64::from_le_bytes(bytes.try_into().ok()?))),
        }
    }
}
