//! What a socket refuses, with the errno that libzmq gives it.

use std::fmt;
use std::io;

/// libzmq's own error numbers (zmq.h): `ZMQ_HAUSNUMERO` and up.
const HAUSNUMERO: i32 = 156_384_712;

/// Why an operation of a socket failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No room for the message, or nothing to receive.
    Again,
    /// REQ must receive before it sends again, REP must send before it receives again.
    State,
    /// A ROUTER with `mandatory` knows nobody of that routing id.
    Unreachable,
    /// An endpoint, option or message that cannot be.
    Invalid,
    /// A transport that is not known.
    Transport,
    /// A transport that this socket type cannot use.
    Incompatible,
    /// Nothing is bound or connected there.
    NoEndpoint,
    /// The address names no interface of this machine.
    NoDevice,
    /// `max_sockets` of the context are open.
    TooManySockets,
    /// The socket is closed.
    Closed,
    /// What the system said.
    System(io::Error),
}

impl Error {
    /// The positive number of the error, as libzmq counts: the system's, or one above `ZMQ_HAUSNUMERO`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Again => libc::EAGAIN,
            Self::State => HAUSNUMERO + 51,
            Self::Unreachable => libc::EHOSTUNREACH,
            Self::Invalid => libc::EINVAL,
            Self::Transport => libc::EPROTONOSUPPORT,
            Self::Incompatible => HAUSNUMERO + 52,
            Self::NoEndpoint => libc::ENOENT,
            Self::NoDevice => libc::ENODEV,
            Self::TooManySockets => libc::EMFILE,
            Self::Closed => libc::EBADF,
            Self::System(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Again => "Operation was not possible or timed out",
            Self::State => "Operation cannot be accomplished in current state",
            Self::Unreachable => "Host unreachable",
            Self::Invalid => "Invalid argument",
            Self::Transport => "Protocol not supported",
            Self::Incompatible => "The protocol is not compatible with the socket type",
            Self::NoEndpoint => "No such endpoint",
            Self::NoDevice => "No such device",
            Self::TooManySockets => "Too many open file descriptors",
            Self::Closed => "Socket is closed",
            Self::System(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
