//! Messages as a Rust program gets them: a body, and what its sender said that it is.

use std::fmt;
use std::ops::Deref;

use serde::de::DeserializeOwned;

use super::codec::{self, DecodeError};
use super::part::PART;

/// What a body is. The numbers are part of the layout (`docs/queue-layout.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tag {
    /// Plain bytes.
    Bytes,
    /// UTF-8.
    Text,
    /// JSON.
    Json,
    /// V8's serialization (structured clone), which only JavaScript reads.
    V8,
    /// MessagePack.
    MessagePack,
    /// What a program's own `{ encode, decode }` made.
    Custom,
    /// A number that this version does not know.
    Unknown(u8),
}

/// The bytes of one message, the caller's own.
pub struct Body(Vec<u8>);

/// A message: see [`Queue::receive_message`](super::Queue::receive_message).
#[derive(Debug)]
pub struct Message {
    pub(super) tag: Tag,
    pub(super) body: Body,
    pub(super) id: u64,
    pub(super) again: bool,
}

impl Tag {
    pub(super) fn new(number: u8) -> Self {
        match number & !PART {
            0 => Self::Bytes,
            1 => Self::Text,
            2 => Self::Json,
            3 => Self::V8,
            4 => Self::MessagePack,
            5 => Self::Custom,
            other => Self::Unknown(other),
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Bytes => 0,
            Self::Text => 1,
            Self::Json => 2,
            Self::V8 => 3,
            Self::MessagePack => 4,
            Self::Custom => 5,
            Self::Unknown(other) => other,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "bytes"),
            Self::Text => write!(f, "text"),
            Self::Json => write!(f, "JSON"),
            Self::V8 => write!(f, "V8's serialization"),
            Self::MessagePack => write!(f, "MessagePack"),
            Self::Custom => write!(f, "a codec of a program's own"),
            Self::Unknown(number) => write!(f, "something that this version does not know (tag {number})"),
        }
    }
}

impl Body {
    pub(super) fn owned(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl Message {
    /// What the body is.
    #[must_use]
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The body as it was sent.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without copying it once more.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The value that was sent: bytes and texts as they are, JSON and MessagePack by serde.
    ///
    /// # Errors
    /// [`DecodeError`]: the body is no such value, or was made by a codec that only JavaScript knows.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        codec::decode(self.tag, &self.body)
    }

    /// Whether a receiver had it before that died, closed, or released it. Only queues with acknowledgement count that.
    #[must_use]
    pub fn redelivered(&self) -> bool {
        self.again
    }
}
