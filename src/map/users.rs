//! Those who share a map or a page of counters, as their mutex asks after them.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::lock::{World, owner_of};
use crate::shm::{Segment, futex};

/// The participants of a segment.
#[derive(Debug)]
pub(super) struct Users<'a>(pub(super) &'a Segment);

impl World for Users<'_> {
    fn is_alive(&self, owner: u64) -> bool {
        // Only the kernel's word counts: if it does not answer, the owner is not declared dead.
        owner_of(owner).is_some_and(|owner| self.0.is_alive(owner).unwrap_or(true))
    }

    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration) {
        futex::wait(word, expected, limit);
    }

    fn wake(&self, word: &AtomicU32) {
        futex::wake(word);
    }

    fn pause(&self) {
        std::hint::spin_loop();
    }
}
