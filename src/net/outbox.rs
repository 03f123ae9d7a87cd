//! What a stream could not write at once, in order.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Chunks smaller than this are joined, so that many small writes leave in few parts.
const JOINED: usize = 16 * 1024;
/// Parts of one write: more gain nothing, as the socket's buffer is full before.
const PARTS: usize = 64;

/// Bytes that wait for room. It has no bound of its own: who writes looks at [`Outbox::len`].
#[derive(Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that have left already.
    gone: usize,
    len: usize,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        match self.chunks.back_mut() {
            Some(last) if last.len() + bytes.len() <= JOINED => last.extend_from_slice(bytes),
            _ => self.chunks.push_back(bytes.to_vec()),
        }
    }

    /// Takes ownership: nothing is copied.
    pub(super) fn push_owned(&mut self, bytes: Vec<u8>) {
        if bytes.len() < JOINED {
            return self.push(&bytes);
        }
        self.len += bytes.len();
        self.chunks.push_back(bytes);
    }

    /// The first parts, for one `writev`.
    pub(super) fn parts(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let gone = self.gone;
        self.chunks.iter().take(PARTS).enumerate().map(move |(index, chunk)| {
            let start = if index == 0 { gone } else { 0 };
            IoSlice::new(&chunk[start..])
        })
    }

    /// The first `count` bytes have left.
    pub(super) fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(first) = self.chunks.front() {
            let rest = first.len() - self.gone;
            if count < rest {
                self.gone += count;
                return;
            }
            count -= rest;
            self.gone = 0;
            self.chunks.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(outbox: &Outbox) -> Vec<u8> {
        outbox.parts().flat_map(|part| part.to_vec()).collect()
    }

    #[test]
    fn what_left_in_part_goes_on_where_it_stopped() {
        let mut outbox = Outbox::default();
        outbox.push(b"hello ");
        outbox.push_owned(vec![b'x'; JOINED]);
        outbox.push(b"end");
        assert_eq!(outbox.len(), 6 + JOINED + 3);
        outbox.advance(2);
        assert!(all(&outbox).starts_with(b"llo xx"));
        outbox.advance(4 + JOINED);
        assert_eq!(all(&outbox), b"end");
        outbox.advance(3);
        assert!(outbox.is_empty());
        assert_eq!(outbox.parts().count(), 0);
    }
}
