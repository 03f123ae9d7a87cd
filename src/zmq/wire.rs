//! Messages to send, as they stand on the wire: a run of ZMTP frames.

use crate::zmtp::{MORE, decode_header};

/// Splits ZMTP frames to send into messages. What does not end with a whole message is left out.
pub fn messages(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (message, rest) = wire.split_at(message_size(wire)?);
        wire = rest;
        Some(message)
    })
}

/// Splits ZMTP frames into bodies, each with whether more follow.
pub fn frames(mut wire: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    std::iter::from_fn(move || {
        let header = decode_header(wire).ok()??;
        let end = header.len.checked_add(usize::try_from(header.size).ok()?)?;
        let body = wire.get(header.len..end)?;
        wire = &wire[end..];
        Some((body, header.more))
    })
}

/// Bytes of the first message in `wire`; `None` if it is not whole.
#[inline]
pub(super) fn message_size(wire: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        // Frames of up to 255 bytes are what a batch is made of.
        if let [flags @ (0 | MORE), size, ..] = wire[end..] {
            end += 2 + usize::from(size);
            if end > wire.len() {
                return None;
            }
            if flags == 0 {
                return Some(end);
            }
            continue;
        }
        let header = decode_header(&wire[end..]).ok()??;
        end = end.checked_add(header.len)?.checked_add(usize::try_from(header.size).ok()?)?;
        if end > wire.len() {
            return None;
        }
        if !header.more {
            return Some(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zmtp::encode_message;

    #[test]
    fn a_run_on_the_wire_is_split_at_messages() {
        let mut wire = Vec::new();
        encode_message(&["a", "b"], &mut wire);
        encode_message(&["x".repeat(300)], &mut wire);
        wire.extend_from_slice(&[1, 3]);
        let all: Vec<_> = messages(&wire).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(frames(all[0]).collect::<Vec<_>>(), [(&b"a"[..], true), (b"b", false)]);
        assert_eq!(frames(all[1]).next().unwrap().0.len(), 300);
    }
}
