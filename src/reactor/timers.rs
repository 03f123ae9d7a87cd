//! Timers in the order they are due.

use std::collections::BTreeMap;
use std::time::Instant;

/// Names one timer, so that it can be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId(Instant, u64);

type Task = Box<dyn FnOnce()>;

#[derive(Default)]
pub(super) struct Timers {
    tasks: BTreeMap<TimerId, Task>,
    last: u64,
}

impl Timers {
    pub(super) fn insert(&mut self, deadline: Instant, task: Task) -> TimerId {
        self.last += 1;
        let id = TimerId(deadline, self.last);
        self.tasks.insert(id, task);
        id
    }

    /// A name that no timer has.
    pub(super) fn spent(deadline: Instant) -> TimerId {
        TimerId(deadline, 0)
    }

    pub(super) fn remove(&mut self, id: TimerId) -> Option<Task> {
        self.tasks.remove(&id)
    }

    /// The first task whose time has come, taken out.
    pub(super) fn due(&mut self, now: Instant) -> Option<Task> {
        let first = self.tasks.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.tasks.first_key_value().map(|(id, _)| id.0)
    }
}
