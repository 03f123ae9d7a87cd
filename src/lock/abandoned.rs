//! What threads and processes leave in the table: after their end, or because a stopped process keeps their part of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::outcome::{Answer, Id, Patience};
use super::record::{Key, SHARDS, State, owner_word};
use super::shard::Locked;
use super::table::{BRIEF, Table, words};
use crate::shm::{Participant, Region};

/// Requests that have ended, but could not be taken out yet: a stopped process keeps their part of the table.
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    left: Mutex<Left>,
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct Left {
    ids: Vec<(Id, End)>,
    /// A thread tries again.
    tried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    InOrder,
    /// Nobody knows whether it was granted.
    Untold,
    /// The next one is told.
    ByDeath,
}

impl Table {
    /// Ends a request of a thread that ends: what it held counts as left by a death. Where a stopped process keeps that part of
    /// the table, it is done within 20 ms of its going on.
    pub fn abandon(self: &Arc<Self>, id: Id) {
        self.leave(id, End::ByDeath);
    }

    /// Gives back what is held, or takes a request back; where a stopped process keeps that part of the table, as [`Self::abandon`].
    pub(super) fn forget(self: &Arc<Self>, id: Id) {
        self.leave(id, End::InOrder);
    }

    /// As [`Self::decline`]; where a stopped process keeps that part of the table, as [`Self::abandon`].
    pub(super) fn forget_untold(self: &Arc<Self>, id: Id) {
        self.leave(id, End::Untold);
    }

    fn leave(self: &Arc<Self>, id: Id, end: End) {
        if self.with(id.shard as usize, Patience::Loop(BRIEF), |locked| self.take_out(id, end, locked)).is_some() {
            return;
        }
        let mut left = self.abandoned.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.ids.push((id, end));
        self.abandoned.any.store(true, Ordering::Relaxed);
        if !left.tried {
            let table = Arc::downgrade(self);
            // Without a thread, whoever of this process gets to that part of the table next does it.
            let thread = std::thread::Builder::new().name("interproc-locks".into()).spawn(move || try_again(&table));
            left.tried = thread.is_ok();
        }
    }

    fn take_out(&self, id: Id, end: End, locked: &Locked<'_, Self>) {
        if self.look(id) == Answer::Gone {
            return;
        }
        let record = self.record(id);
        let (key, mode) = (Key::new(&record.key()), record.mode());
        match end {
            End::InOrder => locked.remove(id.index),
            End::Untold => locked.decline(id.index),
            End::ByDeath => locked.bury(id.index),
        }
        if let (Some(key), Some(mode)) = (key, mode) {
            locked.settle(&key, mode);
        }
    }

    /// `true`: nothing is left.
    fn take_out_all(&self) -> bool {
        let left = || self.abandoned.left.lock().unwrap_or_else(PoisonError::into_inner);
        let shards: Vec<u32> = left().ids.iter().map(|(id, _)| id.shard).collect();
        for shard in shards {
            // With the mutex comes what is left there.
            let _ = self.with(shard as usize, Some(Instant::now()), |_| ());
        }
        let mut left = left();
        left.tried = !left.ids.is_empty();
        !left.tried
    }
}

impl Abandoned {
    /// Takes out what lies in the part of the table that is locked now.
    pub(super) fn take_out(&self, table: &Table, shard: usize, locked: &Locked<'_, Table>) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, end) in left.ids.extract_if(.., |(id, _)| id.shard as usize == shard) {
            table.take_out(id, end, locked);
        }
        self.any.store(!left.ids.is_empty(), Ordering::Relaxed);
    }
}

/// Whether a lock was left by a death that nobody was told of yet. The last user, `own`, leaves in order: what it held is no such lock.
pub(super) fn remembers(region: Region<'_>, own: Participant) -> bool {
    let me = owner_word(own);
    let used = (0..SHARDS).map(|shard| words(region, shard)).filter(|words| words.ticket.load(Ordering::Relaxed) != 0);
    used.flat_map(|words| &words.records).any(|record| {
        (record.state().is_held() || record.state() == State::Died) && record.owner.load(Ordering::Relaxed) != me
    })
}

/// Until nothing is left, or nobody has the table any more: the process has left it then, and others see that.
fn try_again(table: &Weak<Table>) {
    loop {
        std::thread::sleep(BRIEF);
        if table.upgrade().is_none_or(|table| table.take_out_all()) {
            return;
        }
    }
}
