//! Waiting with the thread blocked.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::outcome::{Answer, Id};
use super::table::Table;
use crate::shm::futex;

/// How long to sleep before looking after those before: one of them may have been killed.
const SLICE: Duration = Duration::from_millis(20);
/// Looks at the word before sleeping. Some microseconds: what is held so shortly costs no system call.
const SPINS: u32 = 200;

impl Table {
    /// Blocks the thread until the request is no longer waiting, or `deadline`; the answer may be [`Answer::Waiting`] then.
    ///
    /// A death among those before is noticed within 20 ms.
    #[must_use]
    pub fn block(&self, id: Id, deadline: Option<Instant>) -> Answer {
        for _ in 0..SPINS {
            let answer = self.look(id);
            if answer != Answer::Waiting {
                return answer;
            }
            std::hint::spin_loop();
        }
        loop {
            let word = self.state_word(id);
            let seen = word.load(Ordering::Acquire);
            let answer = self.look(id);
            if answer != Answer::Waiting {
                return answer;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Answer::Waiting;
            }
            futex::wait(word, seen, left.unwrap_or(SLICE).min(SLICE));
            if self.look(id) == Answer::Waiting {
                self.check(id, deadline);
            }
        }
    }
}
