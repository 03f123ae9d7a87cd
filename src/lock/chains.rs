//! Short cuts through a shard: the chains that find the records of a key, and the list of free records. What they say is never more than
//! what the records' states say: [`Locked::repair`] builds them anew from those.

use std::sync::atomic::{AtomicU32, Ordering};

use super::mutex::World;
use super::record::{BUCKETS, Key, Mode, RECORDS, Record, State, put32, put64};
use super::shard::Locked;

impl<'a, W: World> Locked<'a, W> {
    /// The records of all living requests.
    pub(super) fn records(&self) -> impl Iterator<Item = (u32, &'a Record)> {
        (0..).zip(&self.words.records).filter(|(_, record)| record.state() != State::Free)
    }

    /// The requests of a key, oldest first. The one just given may be removed.
    pub(super) fn kin<'k>(&'k self, key: &'k Key, mode: Mode) -> impl Iterator<Item = (u32, &'a Record)> + 'k {
        let mut next = self.bucket(key.hash).load(Ordering::Relaxed);
        let mut steps = 0;
        let links = std::iter::from_fn(move || {
            let index = next.checked_sub(1)?;
            steps += 1;
            let Some(record) = self.words.records.get(index as usize).filter(|_| steps <= RECORDS) else {
                self.damaged.set(true);
                return None;
            };
            next = record.next.load(Ordering::Relaxed);
            Some((index, record))
        });
        links.filter(move |(_, record)| record.state() != State::Free && record.has_key(mode, key))
    }

    pub(super) fn append(&self, index: u32) {
        let record = &self.words.records[index as usize];
        put32(&record.next, 0, Ordering::Relaxed);
        let mut link = self.bucket(record.hash.load(Ordering::Relaxed));
        for _ in 0..RECORDS {
            let Some(next) = link.load(Ordering::Relaxed).checked_sub(1) else {
                put32(link, index + 1, Ordering::Relaxed);
                return;
            };
            let Some(record) = self.words.records.get(next as usize) else { break };
            link = &record.next;
        }
        self.damaged.set(true);
    }

    pub(super) fn unlink(&self, index: u32) {
        let record = &self.words.records[index as usize];
        let mut link = self.bucket(record.hash.load(Ordering::Relaxed));
        for _ in 0..RECORDS {
            let Some(next) = link.load(Ordering::Relaxed).checked_sub(1) else { break };
            if next == index {
                put32(link, record.next.load(Ordering::Relaxed), Ordering::Relaxed);
                return;
            }
            let Some(record) = self.words.records.get(next as usize) else { break };
            link = &record.next;
        }
        self.damaged.set(true);
    }

    pub(super) fn take_free(&self) -> Option<u32> {
        if self.words.free.load(Ordering::Relaxed) == 0 {
            self.reap_all();
            self.forget_oldest_death();
        }
        let index = self.words.free.load(Ordering::Relaxed).checked_sub(1)?;
        let record = self.words.records.get(index as usize).filter(|record| record.state() == State::Free);
        let Some(record) = record else {
            self.damaged.set(true);
            return None;
        };
        put32(&self.words.free, record.next.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(index)
    }

    pub(super) fn give_free(&self, index: u32) {
        put32(&self.words.records[index as usize].next, self.words.free.load(Ordering::Relaxed), Ordering::Relaxed);
        put32(&self.words.free, index + 1, Ordering::Relaxed);
    }

    /// There must be an end to remembering, when the room is needed.
    pub(super) fn forget_oldest_death(&self) {
        if self.words.free.load(Ordering::Relaxed) == 0 {
            let dead = self.records().filter(|(_, record)| record.state() == State::Died);
            if let Some((index, _)) = dead.min_by_key(|(index, _)| self.ticket_of(*index)) {
                self.remove(index);
            }
        }
    }

    pub(super) fn bucket(&self, hash: u64) -> &'a AtomicU32 {
        &self.words.buckets[usize::from(hash.to_le_bytes()[1]) % BUCKETS]
    }

    pub(super) fn ticket_of(&self, index: u32) -> u64 {
        self.words.records[index as usize].ticket.load(Ordering::Relaxed)
    }

    /// Rebuilds everything from the records' states, and grants what was not granted in the end.
    pub(super) fn repair(&self) {
        let mut order: Vec<u32> = Vec::new();
        for bucket in &self.words.buckets {
            put32(bucket, 0, Ordering::Relaxed);
        }
        put32(&self.words.free, 0, Ordering::Relaxed);
        let indices: Vec<u32> = (0..).zip(&self.words.records).map(|(index, _)| index).collect();
        for index in indices.into_iter().rev() {
            let record = &self.words.records[index as usize];
            let sound = record.mode().is_some() && Key::new(&record.key()).is_some();
            if record.state() != State::Free && sound {
                order.push(index);
            } else {
                record.set_state(State::Free);
                self.give_free(index);
            }
        }
        order.sort_by_key(|index| self.ticket_of(*index));
        let newest = order.last().map_or(0, |index| self.ticket_of(*index));
        let ticket = self.words.ticket.load(Ordering::Relaxed).max(newest);
        let mut waiters = 0;
        for index in &order {
            self.append(*index);
            waiters += u32::from(self.words.records[*index as usize].mode() == Some(Mode::Wait));
        }
        put32(&self.words.waiters, waiters, Ordering::SeqCst);
        for index in order {
            let record = &self.words.records[index as usize];
            if record.state() == State::Waiting
                && let (Some(key), Some(mode)) = (Key::new(&record.key()), record.mode())
            {
                self.settle(&key, mode);
            }
        }
        // Last: a ticket of 0 means that a shard is as it was made.
        put64(&self.words.ticket, ticket.max(1));
    }
}
