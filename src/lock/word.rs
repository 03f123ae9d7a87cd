//! Words of shared memory that threads wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::shm::Segment;

/// A word of shared memory, and what it is thought to be.
#[derive(Clone, Debug)]
pub struct Word {
    /// Where.
    pub segment: Arc<Segment>,
    /// Bytes from the begin of its data.
    pub offset: usize,
    /// Its thought value; the lower 32 bits of a narrow one.
    pub expected: u64,
    /// 64 bits, not 32.
    pub wide: bool,
}

impl Word {
    /// The same word in every process.
    #[must_use]
    pub fn key(&self) -> [u8; 24] {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&self.segment.id().to_ne_bytes());
        key[16..].copy_from_slice(&(self.offset as u64).to_ne_bytes());
        key
    }

    pub(super) fn is_as_expected(&self) -> bool {
        let region = self.segment.region();
        if self.wide {
            return region.atomic_u64(self.offset).is_some_and(|word| word.load(SeqCst) == self.expected);
        }
        region.atomic_u32(self.offset).is_some_and(|word| u64::from(word.load(SeqCst)) == self.expected)
    }
}
