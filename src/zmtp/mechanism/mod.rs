//! Security mechanisms: what happens between the greeting and the traffic, and to each frame of the traffic.
//!
//! Every frame goes through [`Mechanism::open`] on its way in and [`Mechanism::seal`] on its way out, as a mechanism
//! may wrap it into a command of its own. With NULL both are the frame itself, and cost nothing.

mod null;

use super::frame::Frame;
use super::greeting::MechanismName;
use super::{ProtocolError, Security};

/// The mechanism of one connection, with its state.
#[derive(Debug)]
pub(super) enum Mechanism {
    Null,
}

impl Mechanism {
    pub(super) fn new(security: &Security) -> Self {
        match security {
            Security::Null => Self::Null,
        }
    }

    /// Its name in the greeting.
    pub(super) fn name(&self) -> MechanismName {
        let name = match self {
            Self::Null => null::NAME,
        };
        let mut padded = [0; 20];
        padded[..name.len()].copy_from_slice(name);
        padded
    }

    /// Whether our greeting says that we are the server of the handshake.
    pub(super) fn as_server(&self) -> bool {
        match self {
            Self::Null => false,
        }
    }

    /// The greetings match: appends what we say first. `metadata` is ours.
    pub(super) fn start(&mut self, metadata: &[u8], outbox: &mut Vec<u8>) {
        match self {
            Self::Null => null::start(metadata, outbox),
        }
    }

    /// Takes the body of a command of the handshake. Returns the peer's metadata when the handshake is over.
    ///
    /// A mechanism names each command that it takes at each point, so it bounds their number.
    pub(super) fn handshake<'a>(&'a mut self, body: &'a [u8]) -> Result<Option<&'a [u8]>, ProtocolError> {
        match self {
            Self::Null => null::handshake(body).map(Some),
        }
    }

    /// Whether frames stand on the wire as they are.
    pub(super) fn is_transparent(&self) -> bool {
        match self {
            Self::Null => true,
        }
    }

    /// The frame that a frame of the traffic stands for.
    #[inline]
    pub(super) fn open<'a>(&'a mut self, frame: Frame<'a>) -> Result<Frame<'a>, ProtocolError> {
        match self {
            Self::Null => Ok(frame),
        }
    }

    /// Appends the frame that stands for `frame`.
    #[inline]
    pub(super) fn seal(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Null => frame.encode(out),
        }
    }
}
