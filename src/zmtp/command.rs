//! Commands: the length of a name, the name, then its data (RFC 37, "Commands").

use super::ProtocolError;

pub(super) const READY: &[u8] = b"READY";
pub(super) const ERROR: &[u8] = b"ERROR";
const PING: &[u8] = b"PING";
const PONG: &[u8] = b"PONG";
const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
const CANCEL: &[u8] = b"CANCEL";
const JOIN: &[u8] = b"JOIN";
const LEAVE: &[u8] = b"LEAVE";

/// The longest context of a PING; PONG echoes it.
const MAX_CONTEXT: usize = 16;

/// A command of the traffic, read in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// `ttl` is in tenths of a second; `context` is cut to what a PONG may hold, as libzmq does.
    Ping {
        ttl: u16,
        context: &'a [u8],
    },
    Subscribe(&'a [u8]),
    Cancel(&'a [u8]),
    /// Holds the reason.
    Error(&'a [u8]),
    /// Nothing to do: PONG, which is a sign of life as any bytes are; JOIN and LEAVE, for draft types only.
    Ignored,
}

impl<'a> Command<'a> {
    /// Reads the body of a command frame. A name that RFC 37 does not have after the handshake is an error: libzmq ignores
    /// it, but sends none itself, so who does speaks something else.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let (name, data) = split(body)?;
        Ok(match name {
            PING => {
                let (ttl, context) = data.split_first_chunk().ok_or(ProtocolError::MalformedCommand)?;
                Self::Ping { ttl: u16::from_be_bytes(*ttl), context: &context[..context.len().min(MAX_CONTEXT)] }
            }
            SUBSCRIBE => Self::Subscribe(data),
            CANCEL => Self::Cancel(data),
            ERROR => Self::Error(error_reason(data)?),
            PONG | JOIN | LEAVE => Self::Ignored,
            _ => return Err(ProtocolError::UnexpectedCommand),
        })
    }
}

/// Splits the body of a command frame into name and data.
pub(super) fn split(body: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let (&len, rest) = body.split_first().ok_or(ProtocolError::MalformedCommand)?;
    match rest.split_at_checked(usize::from(len)) {
        Some((name, data)) if !name.is_empty() => Ok((name, data)),
        _ => Err(ProtocolError::MalformedCommand),
    }
}

/// The reason in the data of an ERROR. What follows it is ignored, as in libzmq.
pub(super) fn error_reason(data: &[u8]) -> Result<&[u8], ProtocolError> {
    let (&len, rest) = data.split_first().ok_or(ProtocolError::MalformedError)?;
    rest.get(..usize::from(len)).ok_or(ProtocolError::MalformedError)
}

/// The body of the command `name`, a constant of at most 255 bytes.
pub(super) fn encode(name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + name.len() + data.len());
    body.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    body.extend_from_slice(name);
    body.extend_from_slice(data);
    body
}

/// PING; `ttl` is in tenths of a second. Its context is empty, as libzmq's is: no answer is told from another.
pub(super) fn ping(ttl: u16) -> Vec<u8> {
    encode(PING, &ttl.to_be_bytes())
}

/// PONG, with the context of the PING it answers.
pub(super) fn pong(context: &[u8]) -> Vec<u8> {
    encode(PONG, context)
}

/// SUBSCRIBE.
pub(super) fn subscribe(topic: &[u8]) -> Vec<u8> {
    encode(SUBSCRIBE, topic)
}

/// CANCEL.
pub(super) fn cancel(topic: &[u8]) -> Vec<u8> {
    encode(CANCEL, topic)
}

/// ERROR; the reason is cut at 255 bytes.
pub(super) fn error(reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(255)];
    let mut data = vec![u8::try_from(reason.len()).unwrap_or(u8::MAX)];
    data.extend_from_slice(reason);
    encode(ERROR, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_was_written() {
        assert_eq!(ping(0x0102), b"\x04PING\x01\x02");
        assert_eq!(pong(b"abc"), b"\x04PONGabc");
        assert_eq!(Command::decode(&pong(b"abc")), Ok(Command::Ignored));
        assert_eq!(Command::decode(&ping(600)), Ok(Command::Ping { ttl: 600, context: b"" }));
        assert_eq!(Command::decode(&subscribe(b"")), Ok(Command::Subscribe(b"")));
        let topic = [1; 300];
        assert_eq!(Command::decode(&cancel(&topic)), Ok(Command::Cancel(&topic)));
        assert_eq!(Command::decode(&error("no")), Ok(Command::Error(b"no")));
        let long = "x".repeat(300);
        assert_eq!(Command::decode(&error(&long)), Ok(Command::Error(&long.as_bytes()[..255])));
    }

    /// libzmq computes `size - 7` and underflows.
    #[test]
    fn a_ping_without_a_whole_ttl_is_malformed() {
        for body in [&b"\x04PING"[..], b"\x04PING\x01"] {
            assert_eq!(Command::decode(body), Err(ProtocolError::MalformedCommand));
        }
    }

    #[test]
    fn a_context_is_cut_at_16_bytes() {
        let context = |len: usize| {
            let body = [&b"\x04PING\0\0"[..], &[b'c'; 99][..len]].concat();
            match Command::decode(&body) {
                Ok(Command::Ping { context, .. }) => context.len(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([context(0), context(16), context(17), context(99)], [0, 16, 16, 16]);
    }

    #[test]
    fn names_must_fit_and_be_known() {
        for body in [&b""[..], b"\0", b"\0PING", b"\x05PING", b"\xffPING"] {
            assert_eq!(Command::decode(body), Err(ProtocolError::MalformedCommand));
        }
        for body in [&b"\x01x"[..], b"\x04ping", b"\x05READY", b"\x05HELLO", b"\x08WHATEVER"] {
            assert_eq!(Command::decode(body), Err(ProtocolError::UnexpectedCommand));
        }
        for body in [&b"\x04JOINgroup"[..], b"\x05LEAVEgroup"] {
            assert_eq!(Command::decode(body), Ok(Command::Ignored));
        }
    }

    #[test]
    fn the_reason_of_an_error_must_fit() {
        assert_eq!(Command::decode(b"\x05ERROR"), Err(ProtocolError::MalformedError));
        assert_eq!(Command::decode(b"\x05ERROR\x02x"), Err(ProtocolError::MalformedError));
        assert_eq!(Command::decode(b"\x05ERROR\0"), Ok(Command::Error(b"")));
    }
}
