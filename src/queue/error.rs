//! Why a queue cannot be used.

use std::{fmt, io};

use super::body::Message;
use super::codec::{DecodeError, EncodeError};
use super::ring::Corrupt;
use crate::shm::{CreateError, InvalidName, OpenError};

/// Why a call of a [`Queue`](super::Queue) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The queue could not be opened or created.
    Open(JoinError),
    /// The queue was created with the other choice of acknowledgement.
    AckDiffers {
        /// The creator's.
        acknowledged: bool,
    },
    /// The queue is one with acknowledgement: [`receive_message`](super::Queue::receive_message) gives what can be acknowledged.
    NeedsAck,
    /// What is in the shared memory makes no sense. The next call goes on behind it.
    Damaged,
    /// The value could not be encoded; nothing was sent.
    Encode(EncodeError),
    /// The message is not the value that was asked for.
    Decode {
        /// What is wrong.
        why: DecodeError,
        /// The message, where the call that failed took it out of the queue.
        message: Option<Message>,
    },
    /// The system refused: `/dev/shm` has no room for a large message, for instance.
    Io(io::Error),
}

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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::AckDiffers { acknowledged: true } => write!(f, "the queue was created with acknowledgement"),
            Self::AckDiffers { acknowledged: false } => write!(f, "the queue was created without acknowledgement"),
            Self::NeedsAck => write!(f, "the queue is one with acknowledgement: receive messages, not values"),
            Self::Damaged => Corrupt.fmt(f),
            Self::Encode(error) => error.fmt(f),
            Self::Decode { why, .. } => why.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::Decode { why, .. } => Some(why),
            Self::Io(error) => Some(error),
            Self::AckDiffers { .. } | Self::NeedsAck | Self::Damaged => None,
        }
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        Self::Open(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Self {
        Self::Damaged
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Of [`Message::decode`], whose caller has the message.
impl From<DecodeError> for Error {
    fn from(why: DecodeError) -> Self {
        Self::Decode { why, message: None }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Corrupt(_) => Self::Damaged,
            SendError::Io(error) => Self::Io(error),
        }
    }
}

impl From<InvalidName> for JoinError {
    fn from(error: InvalidName) -> Self {
        Self::Open(error.into())
    }
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
