//! What is done to a shard with its mutex held: entering requests, granting them in order, taking them out, repairing.
//!
//! At every store the process may be killed. The state word of a record decides: what is not `Free` counts. All else (chains,
//! free list, numbers) is rebuilt by [`Locked::repair`] when the mutex comes from a dead owner.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::mutex::{Got, World};
use super::record::{BUCKETS, Key, Mode, RECORDS, Record, State, Words, put32, put64};

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What is asked for.
    pub mode: Mode,
    /// Permits; 1 for everything but [`Mode::Permits`].
    pub count: u32,
    /// Permits that the semaphore has in all.
    pub limit: u32,
    /// The bell to ring, an odd number; one less: that thread, but it will block. 0: a thread without a bell.
    pub agent: u64,
    /// Now or not at all.
    pub if_available: bool,
    /// Takes it from whoever has it.
    pub steal: bool,
}

/// What became of a request when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    Held { after_death: bool },
    Waiting,
    Unavailable,
    Full,
    LimitDiffers(u32),
}

/// Who must hear that its record changed: bell (or 0) and record.
pub(super) type Wake = (u64, u32);

/// A shard whose mutex is held; dropping gives it back, then wakes.
pub(super) struct Locked<'a, W: World> {
    words: &'a Words,
    world: &'a W,
    ring: &'a dyn Fn(u64),
    wakes: RefCell<Vec<Wake>>,
    /// A chain led nowhere: someone scribbled.
    damaged: Cell<bool>,
}

impl<'a, W: World> Locked<'a, W> {
    /// Takes the mutex for `me`. `None`: not until `until`.
    pub(super) fn new(
        words: &'a Words,
        me: u64,
        world: &'a W,
        ring: &'a dyn Fn(u64),
        until: Option<Instant>,
    ) -> Option<Self> {
        let got = words.mutex.lock(me, world, until)?;
        let locked = Self { words, world, ring, wakes: RefCell::default(), damaged: Cell::new(false) };
        if got == Got::Dead || words.ticket.load(Ordering::Relaxed) == 0 {
            locked.repair();
        }
        Some(locked)
    }

    /// Enters a request, and grants it if its turn has come. The record's index goes along with what waits or holds.
    pub(super) fn enter(&self, key: &Key, ask: &Ask, owner: (u64, u32)) -> (u32, Entered) {
        if let Some(limit) = self.other_limit(key, ask) {
            return (0, Entered::LimitDiffers(limit));
        }
        let Some(index) = self.insert(key, ask, owner) else { return (0, Entered::Full) };
        if ask.steal {
            self.rob(key, index);
        }
        let record = &self.words.records[index as usize];
        self.settle(key, ask.mode);
        if record.state() == State::Waiting && self.reap(key, ask.mode) {
            self.settle(key, ask.mode);
        }
        // Who asks is not to be woken.
        self.wakes.borrow_mut().retain(|(_, other)| *other != index);
        match record.state() {
            State::Held => (index, Entered::Held { after_death: false }),
            State::HeldAfterDeath => (index, Entered::Held { after_death: true }),
            _ if ask.if_available => {
                self.remove(index);
                (index, Entered::Unavailable)
            }
            _ => (index, Entered::Waiting),
        }
    }

    /// Enters a waiter that is not granted anything: [`Locked::notify`] finds it.
    pub(super) fn insert(&self, key: &Key, ask: &Ask, (owner, pid): (u64, u32)) -> Option<u32> {
        let index = self.take_free()?;
        let record = &self.words.records[index as usize];
        let ticket = self.words.ticket.load(Ordering::Relaxed).wrapping_add(1);
        put64(&self.words.ticket, ticket);
        put64(&record.ticket, ticket);
        put64(&record.owner, owner);
        put64(&record.agent, ask.agent);
        put32(&record.pid, pid, Ordering::Relaxed);
        put32(&record.count, ask.count, Ordering::Relaxed);
        put32(&record.limit, ask.limit, Ordering::Relaxed);
        record.write_key(ask.mode, key);
        if ask.mode == Mode::Wait {
            let waiters = self.words.waiters.load(Ordering::Relaxed).saturating_add(1);
            // SYNC: pairs with the load in `Table::notify`: it sees this, or the waiter's look at the word comes after the change.
            put32(&self.words.waiters, waiters, Ordering::SeqCst);
        }
        record.set_state(State::Waiting);
        self.append(index);
        Some(index)
    }

    /// Takes a record out, whatever it is. Then [`Locked::settle`].
    pub(super) fn remove(&self, index: u32) {
        let record = &self.words.records[index as usize];
        let waits = record.mode() == Some(Mode::Wait);
        record.set_state(State::Free);
        self.unlink(index);
        if waits {
            let waiters = self.words.waiters.load(Ordering::Relaxed).saturating_sub(1);
            put32(&self.words.waiters, waiters, Ordering::Relaxed);
        }
        self.give_free(index);
    }

    /// Grants whatever can be granted of this key, in the order of asking.
    pub(super) fn settle(&self, key: &Key, mode: Mode) {
        if mode == Mode::Wait {
            return;
        }
        let (mut holders, mut alone, mut died) = (0_u64, false, false);
        for (_, record) in self.kin(key, mode) {
            match record.state() {
                state if state.is_held() => {
                    holders += u64::from(record.count.load(Ordering::Relaxed));
                    alone |= record.mode() == Some(Mode::Exclusive);
                }
                State::Died => died = true,
                _ => {}
            }
        }
        let mut granted = false;
        for (index, record) in self.kin(key, mode).filter(|(_, record)| record.state() == State::Waiting) {
            let count = u64::from(record.count.load(Ordering::Relaxed));
            let fits = match record.mode() {
                Some(Mode::Shared) => !alone,
                Some(Mode::Permits) => holders + count <= u64::from(record.limit.load(Ordering::Relaxed)),
                _ => holders == 0,
            };
            if !fits {
                break;
            }
            record.set_state(if died { State::HeldAfterDeath } else { State::Held });
            self.wakes.borrow_mut().push((record.agent.load(Ordering::Relaxed), index));
            holders += count;
            alone |= record.mode() == Some(Mode::Exclusive);
            granted = true;
        }
        if granted && died {
            for (index, _) in self.kin(key, mode).filter(|(_, record)| record.state() == State::Died) {
                self.remove(index);
            }
        }
    }

    /// Takes out what the dead asked for, and marks what they had. `true`: there was something.
    pub(super) fn reap(&self, key: &Key, mode: Mode) -> bool {
        let mut found = false;
        let mut last = (0, true);
        for (index, record) in self.kin(key, mode) {
            let owner = record.owner.load(Ordering::Relaxed);
            if owner != last.0 {
                last = (owner, self.world.is_alive(owner));
            }
            if !last.1 && record.state() != State::Died {
                self.bury(index);
                found = true;
            }
        }
        found
    }

    /// As [`Locked::reap`], for all keys, and grants what that makes room for.
    pub(super) fn reap_all(&self) {
        let mut last = (0, true);
        for (index, record) in self.records().filter(|(_, record)| record.state() != State::Died) {
            let owner = record.owner.load(Ordering::Relaxed);
            if owner != last.0 {
                last = (owner, self.world.is_alive(owner));
            }
            if !last.1 {
                let (key, mode) = (Key::new(&record.key()), record.mode());
                self.bury(index);
                if let (Some(key), Some(mode)) = (key, mode) {
                    self.settle(&key, mode);
                }
            }
        }
    }

    /// Notifies up to `limit` living waiters in the order of their coming. Gives their number.
    pub(super) fn notify(&self, key: &Key, limit: u32) -> u32 {
        self.reap(key, Mode::Wait);
        let mut count = 0;
        for (index, record) in self.kin(key, Mode::Wait).filter(|(_, record)| record.state() == State::Waiting) {
            if count == limit {
                break;
            }
            record.set_state(State::Notified);
            self.wakes.borrow_mut().push((record.agent.load(Ordering::Relaxed), index));
            count += 1;
        }
        count
    }

    /// The processes whose requests come before this one: their owner words and process ids.
    pub(super) fn ahead(&self, key: &Key, mode: Mode, index: u32) -> Vec<(u64, u32)> {
        let mut owners: Vec<(u64, u32)> = Vec::new();
        for (_, record) in self.kin(key, mode).take_while(|(other, _)| *other != index) {
            let owner = record.owner.load(Ordering::Relaxed);
            if !owners.iter().any(|(known, _)| *known == owner) && record.state() != State::Died {
                owners.push((owner, record.pid.load(Ordering::Relaxed)));
            }
        }
        owners
    }

    /// The records of all living requests.
    pub(super) fn records(&self) -> impl Iterator<Item = (u32, &'a Record)> {
        (0..).zip(&self.words.records).filter(|(_, record)| record.state() != State::Free)
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

    /// What another user of the semaphore, who is alive, takes for its number of permits, if that is not what `ask` says.
    fn other_limit(&self, key: &Key, ask: &Ask) -> Option<u32> {
        if ask.mode != Mode::Permits {
            return None;
        }
        let limits = |locked: &Self| {
            locked
                .kin(key, ask.mode)
                .filter(|(_, record)| record.state() != State::Died)
                .map(|(_, record)| record.limit.load(Ordering::Relaxed))
                .find(|limit| *limit != ask.limit)
        };
        limits(self)?;
        self.reap(key, ask.mode);
        limits(self)
    }

    /// Takes it from all who have it; they hear of it.
    fn rob(&self, key: &Key, thief: u32) {
        for (index, record) in self.kin(key, Mode::Exclusive) {
            if record.state().is_held() {
                record.set_state(State::Stolen);
                self.wakes.borrow_mut().push((record.agent.load(Ordering::Relaxed), index));
            }
        }
        let died = self.kin(key, Mode::Exclusive).any(|(_, record)| record.state() == State::Died);
        // Before all who wait.
        self.words.records[thief as usize].set_state(if died { State::HeldAfterDeath } else { State::Held });
        for (index, _) in self.kin(key, Mode::Exclusive).filter(|(_, record)| record.state() == State::Died) {
            self.remove(index);
        }
    }

    /// What someone who is gone had, the next one shall know of; what it asked for, nobody wants.
    pub(super) fn bury(&self, index: u32) {
        let record = &self.words.records[index as usize];
        if record.state().is_held() {
            record.set_state(State::Died);
        } else {
            self.remove(index);
        }
    }

    /// The requests of a key, oldest first. The one just given may be removed.
    fn kin<'k>(&'k self, key: &'k Key, mode: Mode) -> impl Iterator<Item = (u32, &'a Record)> + 'k {
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

    fn append(&self, index: u32) {
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

    fn unlink(&self, index: u32) {
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

    fn take_free(&self) -> Option<u32> {
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

    fn give_free(&self, index: u32) {
        put32(&self.words.records[index as usize].next, self.words.free.load(Ordering::Relaxed), Ordering::Relaxed);
        put32(&self.words.free, index + 1, Ordering::Relaxed);
    }

    /// There must be an end to remembering, when the room is needed.
    fn forget_oldest_death(&self) {
        if self.words.free.load(Ordering::Relaxed) == 0 {
            let dead = self.records().filter(|(_, record)| record.state() == State::Died);
            if let Some((index, _)) = dead.min_by_key(|(index, _)| self.ticket_of(*index)) {
                self.remove(index);
            }
        }
    }

    fn bucket(&self, hash: u64) -> &'a AtomicU32 {
        &self.words.buckets[usize::from(hash.to_le_bytes()[1]) % BUCKETS]
    }

    fn ticket_of(&self, index: u32) -> u64 {
        self.words.records[index as usize].ticket.load(Ordering::Relaxed)
    }
}

impl<W: World> Drop for Locked<'_, W> {
    fn drop(&mut self) {
        if self.damaged.replace(false) || std::thread::panicking() {
            self.repair();
        }
        #[cfg(test)]
        super::crash_tests::step();
        self.words.mutex.unlock(self.world);
        for (agent, index) in self.wakes.take() {
            #[cfg(test)]
            super::crash_tests::step();
            let record = &self.words.records[index as usize];
            if agent & 1 == 0 {
                self.world.wake(&record.state);
            }
            // Who blocked for a lock went on with it, and is not asleep when it is stolen.
            if agent & 1 == 1 || agent != 0 && record.state() == State::Stolen {
                (self.ring)(agent | 1);
            }
        }
    }
}
