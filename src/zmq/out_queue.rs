//! Messages that wait for a peer to take them, as they stand on the wire.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::wire::message_size;

/// Whole messages, encoded, of which the first may be written in part. A message stays until its last byte is written:
/// when a connection breaks, its successor gets the message from its beginning.
#[derive(Debug, Default)]
pub(super) struct OutQueue {
    chunks: VecDeque<Vec<u8>>,
    /// Where the first message begins in the first chunk.
    start: usize,
    /// Bytes of each message.
    sizes: VecDeque<usize>,
    /// Bytes of the first message that are written.
    written: usize,
}

/// What one allocation holds; a longer message has its own.
const CHUNK: usize = 64 * 1024;
/// Pieces handed to one `writev`.
const SLICES: usize = 64;

impl OutQueue {
    /// Messages that are not wholly written.
    pub(super) fn messages(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Is the first message written in part? Then nothing else may be written before its rest.
    pub(super) fn in_message(&self) -> bool {
        self.written > 0
    }

    /// Adds one message, given in pieces.
    pub(super) fn push(&mut self, pieces: &[&[u8]]) {
        let size = pieces.iter().map(|piece| piece.len()).sum();
        let chunk = self.chunk_for(size);
        for piece in pieces {
            chunk.extend_from_slice(piece);
        }
        self.sizes.push_back(size);
    }

    /// Adds up to `count` messages of `wire`; tells how many, and their bytes.
    pub(super) fn push_run(&mut self, wire: &[u8], count: usize) -> (usize, usize) {
        let (mut taken, mut end) = (0, 0);
        while taken < count
            && let Some(size) = message_size(&wire[end..])
        {
            self.sizes.push_back(size);
            taken += 1;
            end += size;
        }
        if end > 0 {
            self.chunk_for(end).extend_from_slice(&wire[..end]);
        }
        (taken, end)
    }

    /// What to write next; with `rest_of_first`, only the rest of the first message.
    pub(super) fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>, rest_of_first: bool) {
        let mut skip = self.start + self.written;
        let mut left = match self.sizes.front() {
            Some(size) if rest_of_first => size - self.written,
            _ => usize::MAX,
        };
        for chunk in self.chunks.iter().take(SLICES) {
            let from = skip.min(chunk.len());
            skip -= from;
            let piece = &chunk[from..];
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            if !piece.is_empty() {
                out.push(IoSlice::new(piece));
            }
        }
    }

    /// So many bytes were written; tells how many messages are done.
    pub(super) fn wrote(&mut self, bytes: usize) -> usize {
        self.written += bytes;
        let before = self.sizes.len();
        while let Some(&size) = self.sizes.front() {
            if self.written < size {
                break;
            }
            self.written -= size;
            self.start += size;
            self.sizes.pop_front();
        }
        while let Some(mut first) = self.chunks.pop_front() {
            if self.start < first.len() {
                self.chunks.push_front(first);
                break;
            }
            self.start -= first.len();
            if self.chunks.is_empty() && first.capacity() <= CHUNK {
                first.clear(); // Kept for what comes next.
                self.chunks.push_front(first);
                break;
            }
        }
        before - self.sizes.len()
    }

    /// The connection broke: the first message is to be written from its beginning.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
    }

    /// Throws away what is not yet begun, so that only the newest message is kept (`conflate`).
    pub(super) fn keep_begun(&mut self) {
        if self.in_message() {
            let size = self.sizes[0];
            let mut bytes: Vec<u8> = Vec::with_capacity(size);
            let mut slices = Vec::new();
            let written = std::mem::take(&mut self.written);
            self.slices(&mut slices, true);
            for slice in slices {
                bytes.extend_from_slice(&slice);
            }
            *self = Self { chunks: [bytes].into(), start: 0, sizes: [size].into(), written };
        } else {
            *self = Self::default();
        }
    }

    /// Everything, for a peer in the same process: whole messages in chunks, and how many.
    pub(super) fn take_all(&mut self) -> (VecDeque<Vec<u8>>, usize) {
        debug_assert!(self.start == 0 && self.written == 0, "nothing of it goes byte by byte");
        let messages = self.sizes.len();
        self.sizes.clear();
        (std::mem::take(&mut self.chunks), messages)
    }

    fn chunk_for(&mut self, size: usize) -> &mut Vec<u8> {
        let fits = self.chunks.back().is_some_and(|chunk| chunk.capacity() - chunk.len() >= size);
        if !fits {
            self.chunks.push_back(Vec::with_capacity(size.max(CHUNK)));
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zmtp::encode_message;

    fn wire(bodies: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            encode_message(&[body], &mut out);
        }
        out
    }

    fn rest(queue: &OutQueue, first: bool) -> Vec<u8> {
        let mut slices = Vec::new();
        queue.slices(&mut slices, first);
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn a_message_is_done_with_its_last_byte_and_begins_again_after_a_break() {
        let mut queue = OutQueue::default();
        let bytes = wire(&["abc", "defg"]);
        assert_eq!(queue.push_run(&bytes, 9), (2, 11));
        assert_eq!(queue.wrote(4), 0);
        assert!(queue.in_message());
        assert_eq!(rest(&queue, true), b"c");
        assert_eq!(rest(&queue, false), &bytes[4..]);
        queue.rewind();
        assert_eq!(rest(&queue, false), bytes);
        assert_eq!(queue.wrote(7), 1);
        queue.rewind();
        assert_eq!(rest(&queue, false), &bytes[5..]);
        assert_eq!(queue.wrote(6), 1);
        assert!(queue.is_empty());
    }

    #[test]
    fn long_messages_stand_in_chunks_of_their_own() {
        let mut queue = OutQueue::default();
        let long = vec![1; 3 * CHUNK];
        queue.push(&[b"a"]);
        queue.push(&[&long[..10], &long[10..]]);
        queue.push(&[b"b"]);
        assert_eq!(queue.messages(), 3);
        let mut slices = Vec::new();
        queue.slices(&mut slices, false);
        assert_eq!(slices.iter().map(|slice| slice.len()).sum::<usize>(), 2 + long.len());
        drop(slices);
        assert_eq!(queue.wrote(2 + long.len()), 3);
        assert!(queue.is_empty() && !queue.in_message());
    }

    #[test]
    fn conflation_keeps_the_message_that_is_being_written() {
        let mut queue = OutQueue::default();
        queue.push_run(&wire(&["abc", "d", "e"]), 3);
        queue.wrote(1);
        queue.keep_begun();
        queue.push_run(&wire(&["f"]), 1);
        assert_eq!(rest(&queue, false), b"\x03abc\0\x01f");
        queue.wrote(4);
        queue.keep_begun();
        assert!(queue.is_empty());
    }

    #[test]
    fn a_run_is_taken_up_to_the_count_and_without_a_torn_end() {
        let mut queue = OutQueue::default();
        let mut bytes = wire(&["a", "b", "c"]);
        bytes.extend_from_slice(&[0, 9]);
        assert_eq!(queue.push_run(&bytes, 2), (2, 6));
        assert_eq!(queue.push_run(&bytes[6..], 9), (1, 3));
    }
}
