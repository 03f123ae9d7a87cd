//! What the spawner answers: a place that one thread fills and another looks into, or waits for.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};

use super::sys::Lifeline;

/// A process that runs.
#[derive(Debug)]
pub(super) struct Spawned {
    /// Its number. It may not be used to signal: it can be another process's by then.
    pub(super) pid: i32,
    /// What becomes readable at its end.
    pub(super) lifeline: Lifeline,
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    slot: Mutex<Slot>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Awaited,
    Arrived(io::Result<Spawned>),
    Taken,
    /// Nobody will look.
    Abandoned,
}

impl Answer {
    /// Gives the answer; it comes back if nobody will look for it.
    pub(super) fn give(&self, result: io::Result<Spawned>) -> Option<io::Result<Spawned>> {
        let mut slot = self.lock();
        if matches!(*slot, Slot::Abandoned) {
            return Some(result);
        }
        *slot = Slot::Arrived(result);
        drop(slot);
        self.arrived.notify_all();
        None
    }

    /// Waits for the answer. `None` if it was taken before.
    pub(super) fn wait(&self) -> Option<io::Result<Spawned>> {
        let waiting = |slot: &mut Slot| matches!(slot, Slot::Awaited);
        let mut slot = self.arrived.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        take(&mut slot)
    }

    /// Says that nobody will look; an answer that is there comes back.
    pub(super) fn abandon(&self) -> Option<io::Result<Spawned>> {
        let mut slot = self.lock();
        let found = take(&mut slot);
        *slot = Slot::Abandoned;
        found
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(slot: &mut Slot) -> Option<io::Result<Spawned>> {
    match std::mem::replace(slot, Slot::Taken) {
        Slot::Arrived(result) => Some(result),
        other => {
            *slot = other;
            None
        }
    }
}
