//! What requests are called, and what becomes of them.

use std::time::{Duration, Instant};

/// Names a request of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id {
    pub(super) shard: u32,
    pub(super) index: u32,
    pub(super) ticket: u64,
}

/// What became of a request when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The caller has it.
    Held {
        /// Its name, for releasing.
        id: Id,
        /// Someone died who had it before.
        after_death: bool,
    },
    /// Others have it, or asked before.
    Waiting {
        /// Its name, for waiting and cancelling.
        id: Id,
        /// Process ids of those before.
        ahead: Vec<u32>,
    },
    /// Others have it, and the caller did not want to wait.
    Unavailable,
    /// The caller had it for a moment, until another took it: only of what blocks.
    Stolen,
    /// The word was not what the caller thought: only of [`Table::wait`](super::Table::wait).
    NotEqual,
    /// No room for another request.
    Full,
    /// Others think that the semaphore has so many permits.
    LimitDiffers(u32),
    /// The table was locked by a process that did not go on until the time given: stopped in the middle.
    Busy,
}

/// What a request is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It waits.
    Waiting,
    /// The caller has it.
    Held {
        /// Someone died who had it before.
        after_death: bool,
    },
    /// Another took it away.
    Stolen,
    /// The wait was notified.
    Notified,
    /// No such request: released, or damaged by whoever scribbles on shared memory.
    Gone,
}

/// How long to wait for the part of the table that another process changes just now. It takes less than a microsecond, unless
/// that process is stopped in the middle, or gets no CPU.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// As long as it takes.
    Endless,
    /// Until then.
    Until(Instant),
    /// As an event loop can wait: so long, and not at all while that part is known to be kept.
    Loop(Duration),
}

impl From<Option<Instant>> for Patience {
    fn from(deadline: Option<Instant>) -> Self {
        deadline.map_or(Self::Endless, Self::Until)
    }
}
