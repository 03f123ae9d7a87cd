//! Waiting with the thread blocked.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::agent::{Agent, Request, SOON, What};
use super::outcome::{Answer, Id, Outcome, Patience};
use super::table::{BRIEF, Table};
use crate::shm::futex;

/// How long a JS thread is blocked at a time: V8 ends a thread (`worker.terminate()`, `process.exit()`) between two calls only.
const TURN: Duration = Duration::from_millis(100);

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

    /// The same, until others do not find this table any more at the latest.
    pub(super) fn block_while_linked(&self, id: Id, deadline: Option<Instant>) -> Answer {
        loop {
            let turn = Instant::now() + TURN;
            let until = deadline.map_or(turn, |deadline| deadline.min(turn));
            let answer = self.block(id, Some(until));
            if answer != Answer::Waiting || deadline == Some(until) || !self.is_linked() {
                return answer;
            }
        }
    }
}

impl Agent {
    /// Makes a request and blocks the thread until it is granted, or `deadline` has passed ([`Outcome::Unavailable`]), for 100 ms at most:
    /// [`Outcome::Waiting`] and [`Outcome::Busy`] mean that it keeps its place, and is to be gone on with by [`Agent::block_on`] at once. If a
    /// turn of the reactor comes first, whoever blocked was ended, and so is the request.
    pub fn block(self: &Rc<Self>, handle: u32, what: What, deadline: Option<Instant>) -> Outcome {
        self.block_for(handle, Request { deadline, ..Request::new(what, self.table()) })
    }

    /// Blocks the thread for a request again.
    pub fn block_on(self: &Rc<Self>, handle: u32) -> Outcome {
        let Some(mut request) = self.take(handle) else { return Outcome::Unavailable };
        (request.ended, request.untold, request.waits) = (false, false, false);
        let (table, before) = (self.table(), request.id);
        let moved = request.move_to(&table);
        if request.id.is_none() {
            request.table = table;
        }
        match (self.block_for(handle, request), before) {
            // Whoever changed the word has notified: maybe while it was in no table.
            (Outcome::NotEqual, Some(id)) if moved => Outcome::Held { id, after_death: false },
            (outcome, _) => outcome,
        }
    }

    fn block_for(self: &Rc<Self>, handle: u32, mut request: Request) -> Outcome {
        let now = Instant::now();
        let (turn, deadline) = (now + TURN, request.deadline);
        let (until, last) = deadline.filter(|deadline| *deadline <= turn).map_or((turn, false), |end| (end, true));
        if request.id.is_none() {
            // Who does not want to wait for others still has to wait for the table.
            let patience = Patience::Until(until.max(now + BRIEF));
            match request.what.enter(&request.table, self.bell.id() - 1, patience) {
                Outcome::Held { id, .. } | Outcome::Waiting { id, .. } => request.id = Some(id),
                Outcome::Busy if last => return Outcome::Unavailable,
                Outcome::Busy => {
                    self.end_in_a_turn(handle, Request { untold: true, ..request });
                    return Outcome::Busy;
                }
                refused => return refused,
            }
        }
        let Some(id) = request.id else { return Outcome::Unavailable };
        let answer = match request.table.block(id, Some(until)) {
            Answer::Waiting if !last => {
                self.end_in_a_turn(handle, Request { untold: true, ..request });
                return Outcome::Waiting { id, ahead: Vec::new() };
            }
            // Granted in the last moment counts.
            Answer::Waiting => request.table.cancel(id, SOON).unwrap_or(Answer::Waiting),
            answer => answer,
        };
        match answer {
            Answer::Held { after_death } => {
                self.requests.borrow_mut().insert(handle, request);
                Outcome::Held { id, after_death }
            }
            Answer::Notified => {
                self.end_of(handle, request);
                Outcome::Held { id, after_death: false }
            }
            Answer::Stolen | Answer::Gone => {
                self.end_of(handle, request);
                Outcome::Stolen
            }
            Answer::Waiting => {
                // Cancelled as a rule; but not where a stopped process keeps the table.
                self.end_of(handle, Request { untold: true, ..request });
                Outcome::Unavailable
            }
        }
    }
}
