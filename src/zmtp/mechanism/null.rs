//! NULL: no authentication, no encryption; each side sends READY (RFC 37, "The NULL Security Mechanism"). It has no state.

use crate::zmtp::ProtocolError;
use crate::zmtp::command::{self, ERROR, READY};
use crate::zmtp::frame::{COMMAND, encode_frame};

pub(super) const NAME: &[u8] = b"NULL";

/// Both sides send READY at once, as libzmq does: waiting for the other's would only add a round trip.
pub(super) fn start(metadata: &[u8], outbox: &mut Vec<u8>) {
    encode_frame(COMMAND, &command::encode(READY, metadata), outbox);
}

/// The one command of the peer: READY, whose metadata is returned, or ERROR.
pub(super) fn handshake(body: &[u8]) -> Result<&[u8], ProtocolError> {
    match command::split(body)? {
        (READY, metadata) => Ok(metadata),
        (ERROR, data) => Err(ProtocolError::PeerError(command::error_reason(data)?.into())),
        _ => Err(ProtocolError::UnexpectedCommand),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_hands_over_the_metadata() {
        let mut outbox = Vec::new();
        start(b"data", &mut outbox);
        assert_eq!(outbox, b"\x04\x0a\x05READYdata");
        assert_eq!(handshake(&outbox[2..]), Ok(&b"data"[..]));
    }

    #[test]
    fn error_is_the_end_and_anything_else_unexpected() {
        assert_eq!(handshake(b"\x05ERROR\x03400"), Err(ProtocolError::PeerError(b"400".as_slice().into())));
        assert_eq!(handshake(b"\x05ERROR"), Err(ProtocolError::MalformedError));
        assert_eq!(handshake(b"\x05ERROR\x04400"), Err(ProtocolError::MalformedError));
        for body in [&b"\x05HELLO"[..], b"\x04PING\0\0", b"\x05ready", b"\x06READY\0"] {
            assert_eq!(handshake(body), Err(ProtocolError::UnexpectedCommand));
        }
        for body in [&b""[..], b"\0", b"\x06READY"] {
            assert_eq!(handshake(body), Err(ProtocolError::MalformedCommand));
        }
    }
}
