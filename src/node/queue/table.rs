//! What a lease's messages are, for JavaScript.

use std::cell::Cell;
use std::sync::Arc;

use super::number;
use crate::node::chunk::Chunk;
use crate::queue::Delivery;

/// Messages in the table, at most: a lease ends at 1024, or up to one record later.
const ROWS: usize = 1024 + 64;
/// Words of a row: offset, length, tag, 1 if it was delivered before.
const ROW: usize = 4;

/// What a lease's messages are, for JavaScript.
pub(super) struct Table {
    pub(super) rows: Arc<Chunk>,
    pub(super) ids: Arc<Chunk>,
    count: Cell<usize>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { rows: Chunk::new((1 + ROWS) * ROW * 4), ids: Chunk::new(ROWS * 8), count: Cell::default() }
    }

    /// Adds a message whose body is at `offset`; one too many is left out.
    pub(super) fn push(&self, delivery: &Delivery, offset: usize) {
        let row = self.count.get();
        if row == ROWS {
            return;
        }
        self.count.set(row + 1);
        let words = [offset, delivery.length, delivery.tag.into(), delivery.again.into()];
        for (column, word) in words.into_iter().enumerate() {
            self.rows.put((1 + row) * ROW + column, u32::try_from(word).unwrap_or(u32::MAX));
        }
        self.ids.put(row, number(delivery.id));
    }

    /// Says how many there are, and begins anew at the next push.
    pub(super) fn end(&self) -> u32 {
        let count = u32::try_from(self.count.take()).unwrap_or(0);
        self.rows.put(0, count);
        count
    }
}
