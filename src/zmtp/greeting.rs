//! The greeting: 64 bytes that each side sends first (RFC 37, "Formal Grammar").
//!
//! We send all of it at once, the RFC's "demand" case: there is no older protocol we would fall back to, so there is
//! nothing to wait for.

use super::ProtocolError;

/// Bytes of a greeting.
pub const GREETING_SIZE: usize = 64;

// signature (10): 0xFF, 8 of padding, 0x7F; version (2); mechanism (20); as-server (1); filler (31)
const SIGNATURE_END: usize = 9;
const MAJOR: usize = 10;
const MINOR: usize = 11;
const MECHANISM: usize = 12;
const AS_SERVER: usize = 32;

/// The name of a mechanism, padded with zeros.
pub(super) type MechanismName = [u8; 20];

/// What a peer's greeting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Whether the peer speaks 3.1 or later, and so knows PING, SUBSCRIBE and CANCEL.
    pub(super) is_3_1: bool,
    pub(super) mechanism: MechanismName,
}

/// Our greeting.
pub(super) fn encode(mechanism: MechanismName, as_server: bool) -> [u8; GREETING_SIZE] {
    let mut greeting = [0; GREETING_SIZE];
    greeting[0] = 0xFF;
    // Not significant in ZMTP 3; what libzmq sends without an identity: the length of an empty 1.0 identity frame.
    greeting[SIGNATURE_END - 1] = 1;
    greeting[SIGNATURE_END] = 0x7F;
    greeting[MAJOR] = 3;
    greeting[MINOR] = 1;
    greeting[MECHANISM..AS_SERVER].copy_from_slice(&mechanism);
    greeting[AS_SERVER] = u8::from(as_server);
    greeting
}

/// Reads the greeting at the start of `input`; `None` while it may still become one. Refuses as early as it can: at the
/// first byte that no ZMTP 3 greeting has.
pub(super) fn decode(input: &[u8]) -> Result<Option<Greeting>, ProtocolError> {
    let byte = |at: usize| input.get(at).copied();
    if byte(0).is_some_and(|first| first != 0xFF) || byte(SIGNATURE_END).is_some_and(|last| last != 0x7F) {
        return Err(ProtocolError::NotZmtp);
    }
    if let Some(major) = byte(MAJOR)
        && major < 3
    {
        return Err(ProtocolError::UnsupportedVersion(major));
    }
    let Some(greeting) = input.first_chunk::<GREETING_SIZE>() else {
        return Ok(None);
    };
    let mut mechanism = [0; 20];
    mechanism.copy_from_slice(&greeting[MECHANISM..AS_SERVER]);
    Ok(Some(Greeting { is_3_1: greeting[MAJOR] > 3 || greeting[MINOR] > 0, mechanism }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: MechanismName = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    fn with(changes: &[(usize, u8)]) -> [u8; GREETING_SIZE] {
        let mut greeting = encode(NULL, false);
        for &(at, byte) in changes {
            greeting[at] = byte;
        }
        greeting
    }

    #[test]
    fn ours_is_as_the_rfc_draws_it() {
        let mut expected = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL".to_vec();
        expected.resize(64, 0);
        assert_eq!(encode(NULL, false)[..], expected);
        expected[32] = 1;
        assert_eq!(encode(NULL, true)[..], expected);
    }

    #[test]
    fn versions_from_3_0_up_are_taken() {
        for (major, minor, is_3_1) in [(3, 0, false), (3, 1, true), (3, 9, true), (4, 0, true), (255, 255, true)] {
            let greeting = with(&[(MAJOR, major), (MINOR, minor)]);
            assert_eq!(decode(&greeting).unwrap().unwrap().is_3_1, is_3_1);
        }
    }

    #[test]
    fn a_part_of_a_greeting_is_neither_taken_nor_refused() {
        let greeting = encode(NULL, false);
        for cut in 0..GREETING_SIZE {
            assert_eq!(decode(&greeting[..cut]), Ok(None), "{cut} bytes");
        }
    }

    #[test]
    fn padding_and_filler_mean_nothing() {
        let greeting = with(&[(1, 9), (8, 255), (33, 1), (63, 255)]);
        assert_eq!(decode(&greeting).unwrap().unwrap().mechanism, NULL);
    }

    #[test]
    fn others_are_refused_at_the_first_byte_that_tells() {
        assert_eq!(decode(b"G"), Err(ProtocolError::NotZmtp));
        assert_eq!(decode(b"\x01\0"), Err(ProtocolError::NotZmtp));
        assert_eq!(decode(&with(&[(9, 0)])[..10]), Err(ProtocolError::NotZmtp));
        for major in 0..3 {
            assert_eq!(decode(&with(&[(MAJOR, major)])[..11]), Err(ProtocolError::UnsupportedVersion(major)));
        }
    }
}
