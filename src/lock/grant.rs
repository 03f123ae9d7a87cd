//! Whose turn it is: granting in the order of asking, stealing, notifying, and what becomes of the requests of the dead.

use std::sync::atomic::Ordering;

use super::mutex::World;
use super::record::{Key, Mode, State};
use super::shard::Locked;

impl<W: World> Locked<'_, W> {
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

    /// Takes it from all who have it; they hear of it.
    pub(super) fn rob(&self, key: &Key, thief: u32) {
        let mut died = false;
        for (index, record) in self.kin(key, Mode::Exclusive) {
            if record.state().is_held() {
                // Whoever was told has not put it in order yet.
                died |= record.state() == State::HeldAfterDeath;
                record.set_state(State::Stolen);
                self.wakes.borrow_mut().push((record.agent.load(Ordering::Relaxed), index));
            }
        }
        died |= self.kin(key, Mode::Exclusive).any(|(_, record)| record.state() == State::Died);
        // Before all who wait.
        self.words.records[thief as usize].set_state(if died { State::HeldAfterDeath } else { State::Held });
        for (index, _) in self.kin(key, Mode::Exclusive).filter(|(_, record)| record.state() == State::Died) {
            self.remove(index);
        }
    }

    /// Takes out what its owner never came to know that it had: of a death that it was to hear of, the next one hears.
    pub(super) fn decline(&self, index: u32) {
        if self.words.records[index as usize].state() == State::HeldAfterDeath {
            self.bury(index);
        } else {
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
}
