//! What a lease's messages are, for JavaScript.

use std::cell::Cell;
use std::sync::Arc;

use super::number;
use crate::node::chunk::Chunk;
use crate::queue::Delivery;

/// Messages in the table, at most: a lease ends at 1024, or up to one record later.
const ROWS: usize = 1024 + 64;
/// Words of a row: offset, length, tag, more: bit 0 says that it was delivered before, the others are the upper halves of
/// the offset (from bit 1) and the length (from bit 16).
const ROW: usize = 4;

/// What the messages' memory is: the same as that of the lease before.
pub(in crate::node) const UNCHANGED: u32 = 0;
/// Another one, which later leases may use too.
pub(in crate::node) const RENEWED: u32 = 1;
/// Another one, for this lease alone.
pub(in crate::node) const OWN: u32 = 2;

/// What a lease's messages are, for JavaScript. The first row: number of messages, which memory.
pub(in crate::node) struct Table {
    pub(in crate::node) rows: Arc<Chunk>,
    pub(in crate::node) ids: Arc<Chunk>,
    count: Cell<usize>,
}

impl Table {
    pub(in crate::node) fn new() -> Self {
        Self { rows: Chunk::new((1 + ROWS) * ROW * 4), ids: Chunk::new(ROWS * 8), count: Cell::default() }
    }

    /// Adds a message whose body is at `offset`; one too many is left out.
    pub(in crate::node) fn push(&self, delivery: &Delivery, offset: usize) {
        let row = self.count.get();
        if row == ROWS {
            return;
        }
        self.count.set(row + 1);
        let more = u32::from(delivery.again) | high(offset) << 1 | high(delivery.length) << 16;
        self.rows.put(1 + row, [low(offset), low(delivery.length), delivery.tag.into(), more]);
        self.ids.put(row, number(delivery.id));
    }

    /// Says how many there are, and begins anew at the next push. Their number.
    pub(in crate::node) fn end(&self, memory: u32) -> i32 {
        let count = self.count.take();
        self.rows.put(0, [low(count), memory]);
        i32::try_from(count).unwrap_or(i32::MAX)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is kept apart")]
fn low(number: usize) -> u32 {
    number as u32
}

/// At most 15: rings and messages are of up to 64 GiB.
fn high(number: usize) -> u32 {
    u32::try_from(number as u64 >> 32).unwrap_or(0)
}
