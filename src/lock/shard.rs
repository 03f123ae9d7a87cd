//! A shard with its mutex held: entering requests and taking them out. Whose turn it is, is in `grant`; where they lie, in `chains`.
//!
//! At every store the process may be killed. The state word of a record decides: what is not `Free` counts. All else (chains,
//! free list, numbers) is rebuilt by [`Locked::repair`] when the mutex comes from a dead owner.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::mutex::{Got, World};
use super::record::{Key, Mode, RECORDS, State, Words, put32, put64};

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
    pub(super) words: &'a Words,
    pub(super) world: &'a W,
    ring: &'a dyn Fn(u64),
    pub(super) wakes: RefCell<Vec<Wake>>,
    /// A chain led nowhere: someone scribbled.
    pub(super) damaged: Cell<bool>,
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
        if ask.mode == Mode::Wait && !self.has_room_for_a_wait() {
            return None;
        }
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

    /// A quarter of the records is for locks and permits alone: they are not refused because of waits.
    fn has_room_for_a_wait(&self) -> bool {
        let is_room = || (self.words.waiters.load(Ordering::Relaxed) as usize) < RECORDS - RECORDS / 4;
        if !is_room() {
            self.reap_all();
        }
        is_room()
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
