//! Frames: one octet of flags, a length of one or eight octets, a body (RFC 37, "Framing").

use super::ProtocolError;

/// Flag: more frames of the same message follow.
pub const MORE: u8 = 0x01;
/// Flag: the frame is a command.
pub const COMMAND: u8 = 0x04;
/// The longest header: flags and a length of eight octets.
pub const MAX_HEADER: usize = 9;

const LONG: u8 = 0x02;
const MAX_SIZE: u64 = u64::MAX >> 1;

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether more frames of the same message follow.
    pub more: bool,
    /// Whether the frame is a command.
    pub command: bool,
    /// Bytes of the header itself: 2 or 9.
    pub len: usize,
    /// Bytes of the body as declared, up to 2^63-1: a claim of the peer, never a size to allocate.
    pub size: u64,
}

/// A whole frame, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) more: bool,
    pub(super) command: bool,
    pub(super) body: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(super) fn command(body: &'a [u8]) -> Self {
        Self { more: false, command: true, body }
    }

    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flags = (u8::from(self.more) * MORE) | (u8::from(self.command) * COMMAND);
        encode_frame(flags, self.body, out);
    }
}

/// Reads the header at the start of `input`; `None` when it is not whole yet. Bad flags are refused at the first byte.
///
/// # Errors
/// [`ProtocolError::InvalidFlags`]; [`ProtocolError::MessageTooBig`] for a length above 2^63-1.
#[inline]
pub fn decode_header(input: &[u8]) -> Result<Option<Header>, ProtocolError> {
    let Some(&flags) = input.first() else {
        return Ok(None);
    };
    // All that is not among these six: reserved bits, and COMMAND with MORE.
    if flags == MORE | COMMAND || flags > LONG | COMMAND {
        return Err(ProtocolError::InvalidFlags(flags));
    }
    let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
    let (len, size) = if flags & LONG == 0 {
        let Some(&size) = input.get(1) else {
            return Ok(None);
        };
        (2, u64::from(size))
    } else {
        let Some(size) = input[1..].first_chunk() else {
            return Ok(None);
        };
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(ProtocolError::MessageTooBig);
        }
        (MAX_HEADER, size)
    };
    Ok(Some(Header { more, command, len, size }))
}

/// Writes the header of a frame with a body of `size` bytes into `header` and returns its length, 2 or 9. `flags` is
/// 0, [`MORE`] or [`COMMAND`]. For callers who hand header and body to `writev` apart.
#[inline]
pub fn encode_header(flags: u8, size: usize, header: &mut [u8; MAX_HEADER]) -> usize {
    if let Ok(short) = u8::try_from(size) {
        header[0] = flags;
        header[1] = short;
        2
    } else {
        header[0] = flags | LONG;
        header[1..].copy_from_slice(&(size as u64).to_be_bytes());
        MAX_HEADER
    }
}

/// Appends one frame to `out`. `flags` is 0, [`MORE`] or [`COMMAND`].
#[inline]
pub fn encode_frame(flags: u8, body: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER + body.len());
    append_header(flags, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends a whole message to `out`, a frame for each part. No parts: nothing.
#[inline]
pub fn encode_message<P: AsRef<[u8]>>(parts: &[P], out: &mut Vec<u8>) {
    if let Some((last, rest)) = parts.split_last() {
        for part in rest {
            encode_frame(MORE, part.as_ref(), out);
        }
        encode_frame(0, last.as_ref(), out);
    }
}

#[inline]
fn append_header(flags: u8, size: usize, out: &mut Vec<u8>) {
    // Slices of a known length, so that each is a store and not a call.
    if let Ok(short) = u8::try_from(size) {
        out.extend_from_slice(&[flags, short]);
    } else {
        out.push(flags | LONG);
        out.extend_from_slice(&(size as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_short_up_to_255_bytes_and_long_above() {
        for (flags, size, expected) in [
            (0, 0, &[0, 0][..]),
            (MORE, 255, &[1, 255]),
            (COMMAND, 7, &[4, 7]),
            (0, 256, &[2, 0, 0, 0, 0, 0, 0, 1, 0]),
            (MORE, 65_536, &[3, 0, 0, 0, 0, 0, 1, 0, 0]),
            (COMMAND, 256, &[6, 0, 0, 0, 0, 0, 0, 1, 0]),
        ] {
            let mut header = [0; MAX_HEADER];
            let len = encode_header(flags, size, &mut header);
            assert_eq!(&header[..len], expected);
            let mut appended = Vec::new();
            append_header(flags, size, &mut appended);
            assert_eq!(appended, expected);
            let decoded = decode_header(expected).unwrap().unwrap();
            assert_eq!((decoded.len, decoded.size), (len, size as u64));
            assert_eq!((decoded.more, decoded.command), (flags == MORE, flags == COMMAND));
            for cut in 0..len {
                assert_eq!(decode_header(&expected[..cut]), Ok(None));
            }
        }
    }

    #[test]
    fn reserved_bits_and_command_with_more_are_refused_at_the_first_byte() {
        for flags in 0..=255 {
            let allowed = [0, 1, 2, 3, 4, 6].contains(&flags);
            assert_eq!(decode_header(&[flags]).is_ok(), allowed, "flags {flags}");
            if !allowed {
                assert_eq!(decode_header(&[flags, 0]), Err(ProtocolError::InvalidFlags(flags)));
            }
        }
    }

    #[test]
    fn lengths_end_at_2_63_minus_1() {
        let header = |size: u64| {
            let mut bytes = vec![LONG];
            bytes.extend_from_slice(&size.to_be_bytes());
            decode_header(&bytes)
        };
        assert_eq!(header(MAX_SIZE).unwrap().unwrap().size, MAX_SIZE);
        assert_eq!(header(MAX_SIZE + 1), Err(ProtocolError::MessageTooBig));
        assert_eq!(header(u64::MAX), Err(ProtocolError::MessageTooBig));
    }

    #[test]
    fn a_message_has_more_on_all_frames_but_the_last() {
        let mut out = Vec::new();
        encode_message(&["a", "", "bc"], &mut out);
        assert_eq!(out, b"\x01\x01a\x01\x00\x00\x02bc");
        encode_message::<&str>(&[], &mut out);
        assert_eq!(out.len(), 9);
    }
}
