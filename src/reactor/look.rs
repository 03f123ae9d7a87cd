//! Looking in place of sleeping: a source that waits for a word of shared memory may ask for rounds of the loop that do not
//! sleep, for some microseconds. All other sources and timers have their turn in each of these rounds.

use super::{Reactor, Readiness, Token};

impl Reactor {
    /// Calls `ready` of this source, `notified`, in the loop's next round, which does not sleep before that. `false`: it must
    /// sleep, because another source of this thread looks already, or because rounds of this driver cost too much.
    pub fn look_soon(&self, token: Token) -> bool {
        if self.looker.get().is_some_and(|looker| looker != token) {
            return false;
        }
        if self.with_driver(|driver| driver.has_quick_rounds()) != Some(true) {
            return false;
        }
        self.looker.set(Some(token));
        self.again(token, Readiness { notified: true, ..Readiness::default() });
        true
    }

    /// This source looks no more: others may.
    pub fn end_look(&self, token: Token) {
        if self.looker.get() == Some(token) {
            self.looker.set(None);
        }
    }

    /// A turn for what asked for it and what is due, called by a driver whose loop asks the poll in the same round.
    pub(super) fn quick_turn(&self) {
        self.take_turn(|_, _| {});
    }
}
