//! Why a map or a counter cannot be used.

use std::fmt;

use super::Full;
use crate::shm::{CreateError, InvalidName, OpenError};

/// Why a call of a [`SharedMap`](super::SharedMap) or [`SharedCounter`](super::SharedCounter) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum MapError {
    /// It could not be opened.
    Open(OpenError),
    /// It could not be created.
    Create(CreateError),
    /// There is no room for the entry: it is larger than the map, or nothing may be evicted. Of counters, there are 4096 already.
    Full,
    /// The value has no JSON; nothing was stored.
    Encode(serde_json::Error),
    /// The entry is not the value that was asked for.
    Decode(serde_json::Error),
    /// The entry is not a number.
    NotANumber,
    /// Others change the entry faster than it can be updated.
    Contended,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Create(error) => error.fmt(f),
            Self::Full => write!(f, "there is no room for the entry"),
            Self::Encode(error) => write!(f, "the value has no JSON: {error}"),
            Self::Decode(error) => write!(f, "the entry is another value: {error}"),
            Self::NotANumber => write!(f, "the entry is not a number"),
            Self::Contended => write!(f, "the entry changes faster than it can be updated"),
        }
    }
}

impl std::error::Error for MapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Create(error) => Some(error),
            Self::Encode(error) | Self::Decode(error) => Some(error),
            Self::Full | Self::NotANumber | Self::Contended => None,
        }
    }
}

impl From<OpenError> for MapError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<CreateError> for MapError {
    fn from(error: CreateError) -> Self {
        Self::Create(error)
    }
}

impl From<InvalidName> for MapError {
    fn from(error: InvalidName) -> Self {
        Self::Open(error.into())
    }
}

impl From<Full> for MapError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}
