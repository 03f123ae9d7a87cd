//! What a socket wants of its connections.

use super::{Identity, SocketType};

/// What a socket wants of its connections. All times are milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our socket type.
    pub socket_type: SocketType,
    /// The identity that a peer's ROUTER shall know us by. Only REQ, DEALER and ROUTER announce one.
    pub identity: Option<Identity>,
    /// The security mechanism; the peer must have the same.
    pub security: Security,
    /// The longest message to take, in bytes of all its frames together; it also bounds the number of frames, by the
    /// same figure but never below 1024, as empty frames cost memory too. `None`, and anything above:
    /// [`MAX_MESSAGE`](super::MAX_MESSAGE) bytes. Never more than [`MAX_FRAMES`](super::MAX_FRAMES) frames.
    pub max_message_size: Option<u64>,
    /// The longest command to take after the handshake, in bytes of its body: so also the longest topic that a 3.1 peer
    /// may subscribe to, less 10 bytes. During the handshake it is [`MAX_HANDSHAKE_COMMAND`](super::MAX_HANDSHAKE_COMMAND).
    pub max_command_size: u64,
    /// How long greeting and handshake may take; 0: for ever.
    pub handshake_interval: u64,
    /// A PING is sent this often; 0: never.
    pub heartbeat_interval: u64,
    /// After a PING, how long to wait for any traffic; 0: for ever; `None`: as long as `heartbeat_interval`.
    pub heartbeat_timeout: Option<u64>,
    /// The time to live that our PING names: the peer drops us after so long a silence. 0: none. Sent in tenths of a
    /// second, rounded down, at most 6553500.
    pub heartbeat_ttl: u64,
}

/// The security mechanism of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// No authentication, no encryption.
    Null,
}

impl Config {
    /// The defaults of libzmq: NULL, no limit on messages but [`MAX_MESSAGE`](super::MAX_MESSAGE), 30 s for the handshake, no heartbeat. Commands are limited to
    /// 1 MiB.
    #[must_use]
    pub fn new(socket_type: SocketType) -> Self {
        Self {
            socket_type,
            identity: None,
            security: Security::Null,
            max_message_size: None,
            max_command_size: 1 << 20,
            handshake_interval: 30_000,
            heartbeat_interval: 0,
            heartbeat_timeout: None,
            heartbeat_ttl: 0,
        }
    }
}
