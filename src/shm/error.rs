//! What can go wrong, one enum per operation.

use std::{fmt, io};

use super::Kind;
use super::name::InvalidName;

/// Why [`Segment::create`](super::Segment::create) failed. Nothing was left behind.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not one we take.
    InvalidName(InvalidName),
    /// The size does not fit the address space.
    InvalidSize(u64),
    /// A living segment has the name.
    AlreadyExists,
    /// A file of another user, or something that is no segment of ours, has the name.
    AccessDenied,
    /// The file system has no room for so many bytes.
    NoSpace {
        /// Bytes asked for, with the control pages.
        needed: u64,
    },
    /// Another process holds the file at an intermediate step and does not go on (stopped, for instance).
    Busy,
    /// The system refused.
    Io(io::Error),
}

/// Why [`Segment::open`](super::Segment::open) failed. Nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not one we take.
    InvalidName(InvalidName),
    /// Nothing of that name, or the segment that the ticket meant is gone.
    NotFound,
    /// The file belongs to another user, others may open it, or it is not a plain file.
    AccessDenied,
    /// The file is no segment.
    NotASegment,
    /// Made by another version of this package, or for another machine word.
    LayoutMismatch {
        /// The version found; ours is [`LAYOUT_VERSION`](super::LAYOUT_VERSION).
        found: u32,
    },
    /// The file is shorter than its header says.
    Truncated,
    /// The header contradicts itself or its checksum.
    Corrupt(&'static str),
    /// A segment, but of another kind.
    KindMismatch {
        /// What the caller wanted.
        expected: Kind,
        /// What the header says.
        found: Kind,
    },
    /// All [`MAX_PARTICIPANTS`](super::MAX_PARTICIPANTS) places are taken by living processes.
    Full,
    /// Another process holds the file at an intermediate step and does not go on (stopped, for instance).
    Busy,
    /// The system refused.
    Io(io::Error),
}

impl CreateError {
    /// The stable name that the JavaScript side turns into an error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "INVALID_NAME",
            Self::InvalidSize(_) => "INVALID_SIZE",
            Self::AlreadyExists => "EEXIST",
            Self::AccessDenied => "EACCES",
            Self::NoSpace { .. } => "ENOSPC",
            Self::Busy => "EBUSY",
            Self::Io(_) => "IO",
        }
    }
}

impl OpenError {
    /// The stable name that the JavaScript side turns into an error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "INVALID_NAME",
            Self::NotFound => "ENOENT",
            Self::AccessDenied => "EACCES",
            Self::NotASegment => "NOT_A_SEGMENT",
            Self::LayoutMismatch { .. } => "LAYOUT_MISMATCH",
            Self::Truncated => "TRUNCATED",
            Self::Corrupt(_) => "CORRUPT",
            Self::KindMismatch { .. } => "KIND_MISMATCH",
            Self::Full => "FULL",
            Self::Busy => "EBUSY",
            Self::Io(_) => "IO",
        }
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(why) => write!(f, "{why}"),
            Self::InvalidSize(size) => write!(f, "{size} bytes do not fit the address space"),
            Self::AlreadyExists => write!(f, "a shared segment of that name is in use"),
            Self::AccessDenied => write!(f, "the name is taken by a file of another user"),
            Self::NoSpace { needed } => {
                write!(f, "no room for {needed} bytes of shared memory")
            }
            Self::Busy => write!(f, "another process holds the name and does not go on"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(why) => write!(f, "{why}"),
            Self::NotFound => write!(f, "no shared segment of that name"),
            Self::AccessDenied => write!(f, "the file belongs to another user or is open to other users"),
            Self::NotASegment => write!(f, "the file is not a shared segment"),
            Self::LayoutMismatch { found } => {
                write!(f, "the segment has layout {found}, this version reads {}", super::LAYOUT_VERSION)
            }
            Self::Truncated => write!(f, "the segment is shorter than its header says"),
            Self::Corrupt(what) => write!(f, "the segment's header is damaged: {what}"),
            Self::KindMismatch { expected, found } => {
                write!(f, "the segment is a {found}, not a {expected}")
            }
            Self::Full => write!(f, "{} processes use the segment already", super::MAX_PARTICIPANTS),
            Self::Busy => write!(f, "another process holds the segment and does not go on"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for CreateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::InvalidName(error) => Some(error),
            _ => None,
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::InvalidName(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for CreateError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::AccessDenied,
            _ => Self::Io(error),
        }
    }
}

impl From<InvalidName> for CreateError {
    fn from(error: InvalidName) -> Self {
        Self::InvalidName(error)
    }
}

impl From<InvalidName> for OpenError {
    fn from(error: InvalidName) -> Self {
        Self::InvalidName(error)
    }
}
