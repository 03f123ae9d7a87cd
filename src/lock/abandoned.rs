//! What threads and processes leave that ended without giving back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::outcome::{Answer, Id, Patience};
use super::record::{Key, SHARDS, State, owner_word};
use super::shard::Locked;
use super::table::{BRIEF, Table, words};
use crate::shm::{Participant, Region};

/// Requests of ended threads that could not be taken out yet: a stopped process keeps their part of the table.
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    ids: Mutex<Vec<Id>>,
    any: AtomicBool,
}

impl Table {
    /// Ends a request of a thread that ends: what it held counts as left by a death. Where a stopped process keeps the table, it is
    /// done as soon as this process gets to the same part of it.
    pub fn abandon(&self, id: Id) {
        if self.with(id.shard as usize, Patience::Loop(BRIEF), |locked| self.bury(id, locked)).is_none() {
            self.abandoned.ids.lock().unwrap_or_else(PoisonError::into_inner).push(id);
            self.abandoned.any.store(true, Ordering::Relaxed);
        }
    }

    fn bury(&self, id: Id, locked: &Locked<'_, Self>) {
        if self.look(id) == Answer::Gone {
            return;
        }
        let record = self.record(id);
        let (key, mode) = (Key::new(&record.key()), record.mode());
        locked.bury(id.index);
        if let (Some(key), Some(mode)) = (key, mode) {
            locked.settle(&key, mode);
        }
    }
}

impl Abandoned {
    /// Takes out what lies in the part of the table that is locked now.
    pub(super) fn bury(&self, table: &Table, shard: usize, locked: &Locked<'_, Table>) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids.extract_if(.., |id| id.shard as usize == shard) {
            table.bury(id, locked);
        }
        self.any.store(!ids.is_empty(), Ordering::Relaxed);
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
