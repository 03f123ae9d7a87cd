//! Why a connection ended, with the names that zeromq.js and libzmq give it.

use std::error::Error;
use std::fmt;

use super::SocketType;

/// Why the protocol ends a connection. After it the connection is dead: write what is left in its outbox (an ERROR
/// command may stand there), then close the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The bytes are no ZMTP greeting: another protocol, or unversioned ZMTP 1.0.
    NotZmtp,
    /// The peer speaks ZMTP 1.0 or 2.0. Holds the major version: 0 is ZMTP 1.0, 1 is ZMTP 2.0 (as on the wire).
    UnsupportedVersion(u8),
    /// The peer demands another security mechanism. Holds the 20 bytes of its name, padded with zeros.
    MechanismMismatch([u8; 20]),
    /// A frame with reserved flag bits, or a command with MORE. Holds the flags.
    InvalidFlags(u8),
    /// A message longer than `max_message_size` or [`MAX_MESSAGE`](super::MAX_MESSAGE), or of too many frames.
    MessageTooBig,
    /// A command longer than is allowed at this point. Holds its length.
    CommandTooBig(u64),
    /// The command, or message, has no place at this point: during the handshake, or a name that is not known after it.
    UnexpectedCommand,
    /// A command whose name or body does not follow its grammar.
    MalformedCommand,
    /// An ERROR command that does not follow its grammar.
    MalformedError,
    /// A READY command whose list of properties does not follow its grammar.
    MalformedReady,
    /// A property that is not allowed: given twice, or an identity that is too long or begins with a zero octet.
    InvalidMetadata,
    /// The peer's socket type is no counterpart of ours. `None`: a type that ZMTP does not have.
    IncompatibleSocketType(Option<SocketType>),
    /// The peer sent an ERROR command. Holds its reason: at most 255 bytes, not necessarily text.
    PeerError(Box<[u8]>),
    /// The handshake was not over within `handshake_interval`.
    HandshakeTimeout,
    /// No traffic within `heartbeat_timeout` after a PING.
    HeartbeatTimeout,
    /// No traffic within the time to live that the peer's PING named.
    TimeToLiveExpired,
}

impl ProtocolError {
    /// The code that zeromq.js gives the error of `handshake:error:protocol`, e.g. `ERR_ZMTP_MECHANISM_MISMATCH`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.names().0
    }

    /// The value of libzmq's `ZMQ_PROTOCOL_ERROR_*` for the same (zmq.h).
    #[must_use]
    pub fn number(&self) -> u32 {
        self.names().1
    }

    /// Whether this is a deadline that passed, and so no fault in what the peer said (libzmq's `timeout_error`).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::HandshakeTimeout | Self::HeartbeatTimeout | Self::TimeToLiveExpired)
    }

    /// The ZAP status code in the peer's ERROR: 300, 400 or 500. It makes the error one of authentication
    /// (`handshake:error:auth`) instead of protocol.
    #[must_use]
    pub fn auth_status(&self) -> Option<u16> {
        match self {
            Self::PeerError(reason) => match &**reason {
                b"300" => Some(300),
                b"400" => Some(400),
                b"500" => Some(500),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether connecting again with the same credentials may help. RFC 37: an ERROR command is fatal, everything else
    /// is taken as temporary.
    #[must_use]
    pub fn may_reconnect(&self) -> bool {
        !matches!(self, Self::PeerError(_))
    }

    fn names(&self) -> (&'static str, u32) {
        match self {
            Self::UnexpectedCommand => ("ERR_ZMTP_UNEXPECTED_COMMAND", 0x1000_0001),
            Self::MalformedCommand | Self::CommandTooBig(_) => ("ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED", 0x1000_0011),
            Self::MalformedError => ("ERR_ZMTP_MALFORMED_COMMAND_ERROR", 0x1000_0015),
            Self::MalformedReady => ("ERR_ZMTP_MALFORMED_COMMAND_READY", 0x1000_0016),
            Self::InvalidMetadata | Self::IncompatibleSocketType(_) => ("ERR_ZMTP_INVALID_METADATA", 0x1000_0018),
            Self::MechanismMismatch(_) => ("ERR_ZMTP_MECHANISM_MISMATCH", 0x1100_0002),
            _ => ("ERR_ZMTP_UNSPECIFIED", 0x1000_0000),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotZmtp => f.write_str("The peer does not speak ZMTP 3"),
            Self::UnsupportedVersion(0) => f.write_str("The peer speaks ZMTP 1.0; 3.0 or later is needed"),
            Self::UnsupportedVersion(_) => f.write_str("The peer speaks ZMTP 2.0; 3.0 or later is needed"),
            Self::MechanismMismatch(name) => {
                let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
                write!(f, "The peer demands the security mechanism \"{}\"", name.escape_ascii())
            }
            Self::InvalidFlags(flags) => write!(f, "Frame with invalid flags 0x{flags:02x}"),
            Self::MessageTooBig => f.write_str("Message too long"),
            Self::CommandTooBig(size) => write!(f, "Command of {size} bytes is too long"),
            Self::UnexpectedCommand => f.write_str("Unexpected command"),
            Self::MalformedCommand => f.write_str("Malformed command"),
            Self::MalformedError => f.write_str("Malformed ERROR command"),
            Self::MalformedReady => f.write_str("Malformed READY command"),
            Self::InvalidMetadata => f.write_str("Invalid metadata in the READY command"),
            Self::IncompatibleSocketType(Some(kind)) => {
                write!(f, "Socket type {kind} of the peer is not compatible")
            }
            Self::IncompatibleSocketType(None) => f.write_str("Unknown socket type of the peer"),
            Self::PeerError(reason) => write!(f, "The peer refused the connection: \"{}\"", reason.escape_ascii()),
            Self::HandshakeTimeout => f.write_str("The handshake took too long"),
            Self::HeartbeatTimeout => f.write_str("The peer did not answer the heartbeat"),
            Self::TimeToLiveExpired => f.write_str("The peer was silent for longer than the time to live it named"),
        }
    }
}

impl Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_zeromq_js_and_zmq_h() {
        let cases = [
            (ProtocolError::NotZmtp, "ERR_ZMTP_UNSPECIFIED", 0x1000_0000),
            (ProtocolError::UnexpectedCommand, "ERR_ZMTP_UNEXPECTED_COMMAND", 0x1000_0001),
            (ProtocolError::MalformedCommand, "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED", 0x1000_0011),
            (ProtocolError::MalformedError, "ERR_ZMTP_MALFORMED_COMMAND_ERROR", 0x1000_0015),
            (ProtocolError::MalformedReady, "ERR_ZMTP_MALFORMED_COMMAND_READY", 0x1000_0016),
            (ProtocolError::InvalidMetadata, "ERR_ZMTP_INVALID_METADATA", 0x1000_0018),
            (ProtocolError::MechanismMismatch([0; 20]), "ERR_ZMTP_MECHANISM_MISMATCH", 0x1100_0002),
        ];
        for (error, code, number) in cases {
            assert_eq!((error.code(), error.number()), (code, number), "{error}");
        }
    }

    #[test]
    fn a_reason_from_the_peer_cannot_break_out_of_the_text() {
        let error = ProtocolError::PeerError(b"bad\"\n\xff\x1b[31m".as_slice().into());
        assert_eq!(error.to_string(), r#"The peer refused the connection: "bad\"\n\xff\x1b[31m""#);
        let mut name = [0; 20];
        name[..5].copy_from_slice(b"CURVE");
        assert!(ProtocolError::MechanismMismatch(name).to_string().ends_with("\"CURVE\""));
    }

    #[test]
    fn only_zap_codes_are_an_authentication_error() {
        let of = |reason: &[u8]| ProtocolError::PeerError(reason.into()).auth_status();
        assert_eq!((of(b"300"), of(b"400"), of(b"500")), (Some(300), Some(400), Some(500)));
        assert_eq!((of(b"200"), of(b"4000"), of(b""), of(b"no")), (None, None, None, None));
        assert!(!ProtocolError::PeerError(Box::default()).may_reconnect());
        assert!(ProtocolError::HeartbeatTimeout.may_reconnect());
    }
}
