//! The handshake: from the peer's greeting to its READY.

use super::frame::{COMMAND, decode_header, encode_frame};
use super::greeting::{self, GREETING_SIZE};
use super::mechanism::Mechanism;
use super::metadata::{self, Metadata};
use super::{Config, Peer, ProtocolError, SocketType, command};

/// The longest command of a handshake, in bytes of its body.
pub const MAX_HANDSHAKE_COMMAND: usize = 64 << 10;

/// What a handshake knows between its steps. It holds no bytes of the peer: an unfinished step stays with the caller.
#[derive(Debug)]
pub(super) struct Handshake {
    socket_type: SocketType,
    /// The data of our READY.
    metadata: Vec<u8>,
    /// From the peer's greeting; `None` before it.
    peer_is_3_1: Option<bool>,
    deadline: Option<u64>,
}

/// How far a step got.
#[derive(Debug)]
pub(super) enum Step {
    /// So many bytes are needed at the start of the input.
    Need(usize),
    /// So many bytes are done.
    Done(usize),
    /// So many bytes are done, and with them the handshake.
    Ready(usize, Peer),
}

impl Handshake {
    /// Appends our greeting.
    pub(super) fn start(config: &Config, now: u64, mechanism: &Mechanism, outbox: &mut Vec<u8>) -> Self {
        outbox.extend_from_slice(&greeting::encode(mechanism.name(), mechanism.as_server()));
        let interval = config.handshake_interval;
        Self {
            socket_type: config.socket_type,
            metadata: metadata::encode(config.socket_type, config.identity.as_ref()),
            peer_is_3_1: None,
            deadline: (interval > 0).then(|| now.saturating_add(interval)),
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    pub(super) fn step(
        &mut self,
        input: &[u8],
        mechanism: &mut Mechanism,
        outbox: &mut Vec<u8>,
    ) -> Result<Step, ProtocolError> {
        match self.peer_is_3_1 {
            None => self.greeting(input, mechanism, outbox),
            Some(is_3_1) => self.command(is_3_1, input, mechanism, outbox),
        }
    }

    fn greeting(
        &mut self,
        input: &[u8],
        mechanism: &mut Mechanism,
        outbox: &mut Vec<u8>,
    ) -> Result<Step, ProtocolError> {
        let Some(greeting) = greeting::decode(input)? else {
            return Ok(Step::Need(GREETING_SIZE));
        };
        if greeting.mechanism != mechanism.name() {
            return Err(ProtocolError::MechanismMismatch(greeting.mechanism));
        }
        self.peer_is_3_1 = Some(greeting.is_3_1);
        mechanism.start(&self.metadata, outbox);
        Ok(Step::Done(GREETING_SIZE))
    }

    fn command(
        &self,
        is_3_1: bool,
        input: &[u8],
        mechanism: &mut Mechanism,
        outbox: &mut Vec<u8>,
    ) -> Result<Step, ProtocolError> {
        let Some(header) = decode_header(input)? else {
            return Ok(Step::Need(input.len() + 1));
        };
        if !header.command {
            return Err(ProtocolError::UnexpectedCommand);
        }
        let size = usize::try_from(header.size)
            .ok()
            .filter(|&size| size <= MAX_HANDSHAKE_COMMAND)
            .ok_or(ProtocolError::CommandTooBig(header.size))?;
        let end = header.len + size;
        let Some(body) = input.get(header.len..end) else {
            return Ok(Step::Need(end));
        };
        let Some(metadata) = mechanism.handshake(body)? else {
            return Ok(Step::Done(end));
        };
        match self.peer(is_3_1, metadata) {
            Ok(peer) => Ok(Step::Ready(end, peer)),
            Err(error) => {
                // "It SHOULD handle errors by returning an ERROR command, and then disconnecting the peer."
                encode_frame(COMMAND, &command::error(&error.to_string()), outbox);
                Err(error)
            }
        }
    }

    /// The peer that this metadata describes, if we may talk to it.
    fn peer(&self, is_3_1: bool, metadata: &[u8]) -> Result<Peer, ProtocolError> {
        let metadata = Metadata::decode(metadata)?;
        let known = metadata.known()?;
        if let Some(kind) = known.socket_type
            && !self.socket_type.is_compatible(kind)
        {
            return Err(ProtocolError::IncompatibleSocketType(Some(kind)));
        }
        Ok(Peer { is_3_1, socket_type: known.socket_type, identity: known.identity, metadata })
    }
}
