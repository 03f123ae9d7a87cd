//! Why a queue cannot be used.

use std::{fmt, io};

use super::ring::Corrupt;
use crate::shm::{CreateError, OpenError};

/// Why joining a queue failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It could not be created.
    Create(CreateError),
    /// It could not be opened.
    Open(OpenError),
    /// The capacity is beyond 64 GiB.
    TooLarge,
    /// All [512](super::layout) seats are taken by the living.
    NoSeat,
    /// What is in the segment is no queue.
    Corrupt(Corrupt),
    /// The system refused.
    Io(io::Error),
}

/// Why a message could not be sent, other than for want of room in the queue.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is damaged.
    Corrupt(Corrupt),
    /// A message too large for the ring could not be written beside it.
    Io(io::Error),
}

impl JoinError {
    /// The stable name that the JavaScript side turns into an error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Create(error) => error.code(),
            Self::Open(error) => error.code(),
            Self::TooLarge => "INVALID_SIZE",
            Self::NoSeat => "FULL",
            Self::Corrupt(_) => "CORRUPT",
            Self::Io(_) => "IO",
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(error) => error.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::TooLarge => write!(f, "a queue holds 64 GiB at most"),
            Self::NoSeat => write!(f, "the queue has no room for another user"),
            Self::Corrupt(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Corrupt(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<Corrupt> for SendError {
    fn from(error: Corrupt) -> Self {
        Self::Corrupt(error)
    }
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Create(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Corrupt(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::TooLarge | Self::NoSeat => None,
        }
    }
}

impl From<CreateError> for JoinError {
    fn from(error: CreateError) -> Self {
        Self::Create(error)
    }
}

impl From<OpenError> for JoinError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<Corrupt> for JoinError {
    fn from(error: Corrupt) -> Self {
        Self::Corrupt(error)
    }
}

impl From<io::Error> for JoinError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
