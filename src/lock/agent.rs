//! The requests of one JS thread: entered without blocking it, and followed from its reactor.
//!
//! Three things make it look at its requests: its bell, the end of a process before it (pidfd), and, while something waits,
//! a timer that repairs what both may miss: a grant whose ring was never sent because its sender was killed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::follow::Watched;
use super::outcome::{Answer, Id, Outcome, Patience};
use super::shard::Ask;
use super::table::{BRIEF, Table};
use super::word::Word;
use crate::reactor::{Hold, Interest, Reactor, Source, TimerId, Token};

/// The thread is kept by a part of the table that another process changes just now, but not for long.
pub(super) const SOON: Patience = Patience::Loop(BRIEF);

/// What the thread is told of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has what it asked for.
    Held {
        /// Someone died who had it before.
        after_death: bool,
    },
    /// Another took it.
    Stolen,
    /// A wait was notified.
    Notified,
    /// A wait took too long.
    TimedOut,
    /// It could not be entered after all.
    Failed(Outcome),
}

/// What to ask for.
#[derive(Clone, Debug)]
pub enum What {
    /// A lock, or permits of a semaphore.
    Lock {
        /// Its name in UTF-8.
        name: Vec<u8>,
        /// The rest. Bell and blocking are filled in here.
        ask: Ask,
    },
    /// A notification of a word.
    Wait(Word),
}

/// One thread's requests. The reactor keeps it; ends with it, and so do the requests.
pub struct Agent {
    pub(super) table: RefCell<Arc<Table>>,
    pub(super) bell: Bell,
    pub(super) reactor: Weak<Reactor>,
    pub(super) token: Cell<Option<Token>>,
    pub(super) sink: Box<dyn Fn(u32, Event)>,
    pub(super) requests: RefCell<HashMap<u32, Request>>,
    /// How many of them wait.
    pub(super) waiting: Cell<usize>,
    hold: Hold,
    pub(super) timer: Cell<Option<(Instant, TimerId)>>,
    pub(super) watched: RefCell<HashMap<u32, Watched>>,
}

pub(super) struct Request {
    pub(super) what: What,
    /// Where it is entered.
    pub(super) table: Arc<Table>,
    /// `None`: the table was busy so far.
    pub(super) id: Option<Id>,
    pub(super) waits: bool,
    /// Released while the table was busy, or a thread blocks for it: a turn of the reactor ends it.
    pub(super) ended: bool,
    /// If it was granted, whoever asked does not know: see [`Table::decline`].
    pub(super) untold: bool,
    pub(super) timer: Option<TimerId>,
    /// Of a thread that blocks; `None`: without an end.
    pub(super) deadline: Option<Instant>,
}

impl Agent {
    /// An agent whose events go to `sink`, in turns of `reactor`.
    ///
    /// # Errors
    /// When there is no descriptor for the bell.
    pub fn start(reactor: &Rc<Reactor>, table: Arc<Table>, sink: Box<dyn Fn(u32, Event)>) -> io::Result<Weak<Self>> {
        let agent = Rc::new(Self {
            table: RefCell::new(table),
            bell: Bell::new()?,
            reactor: Rc::downgrade(reactor),
            token: Cell::new(None),
            sink,
            requests: RefCell::default(),
            waiting: Cell::new(0),
            hold: Hold::new(reactor),
            timer: Cell::new(None),
            watched: RefCell::default(),
        });
        let source: Rc<dyn Source> = Rc::<Self>::clone(&agent);
        let token = match agent.bell.fd() {
            Some(fd) => reactor.register(fd, Interest::READABLE, source)?,
            None => reactor.enroll(source)?,
        };
        agent.token.set(Some(token));
        Ok(Rc::downgrade(&agent))
    }

    /// The table. Another one once the file of the former was removed: what is asked for from then on, all ask for there.
    pub fn table(&self) -> Arc<Table> {
        let mut table = self.table.borrow_mut();
        if !table.is_linked()
            && let Ok(new) = Table::shared()
        {
            *table = new;
        }
        Arc::clone(&table)
    }

    /// What stands for this thread in lists.
    pub fn id(&self) -> u64 {
        self.bell.id()
    }

    /// Makes a request named `handle`. If it waits, events follow; of one that is refused, nothing is left.
    ///
    /// What [`Outcome::Busy`] would be is a request that waits.
    pub fn request(self: &Rc<Self>, handle: u32, what: What, timeout: Option<Duration>) -> Outcome {
        let table = self.table();
        let outcome = what.enter(&table, self.bell.id(), SOON);
        let (id, waits) = match &outcome {
            Outcome::Held { id, .. } => (Some(*id), false),
            Outcome::Waiting { id, ahead } => {
                self.watch(ahead);
                (Some(*id), true)
            }
            Outcome::Busy => (None, true),
            _ => return outcome,
        };
        let timer = timeout.filter(|_| waits).and_then(|timeout| self.time_out(handle, timeout));
        self.requests.borrow_mut().insert(handle, Request { id, waits, timer, ..Request::new(what, table) });
        if waits {
            self.count(1);
        }
        outcome
    }

    /// Gives back or gives up. `false`: it had been stolen, or there is no such request.
    pub fn end(self: &Rc<Self>, handle: u32) -> bool {
        self.take(handle).is_some_and(|request| self.end_of(handle, request))
    }

    /// The same for what was granted, but whoever asked wants no more, and has not heard of it.
    pub fn decline(self: &Rc<Self>, handle: u32) -> bool {
        self.take(handle).is_some_and(|request| self.end_of(handle, Request { untold: true, ..request }))
    }

    /// Gives up if it still waits. `false`: it was granted before, and the event is on its way.
    pub fn cancel(self: &Rc<Self>, handle: u32) -> bool {
        let entered =
            self.requests.borrow().get(&handle).and_then(|request| Some((Arc::clone(&request.table), request.id?)));
        match entered.map(|(table, id)| table.cancel(id, SOON)) {
            Some(Some(Answer::Held { .. } | Answer::Notified)) => return false,
            None | Some(Some(Answer::Waiting)) => drop(self.take(handle)),
            // Stolen before this thread looked: its record is still there. Or the table is busy.
            Some(_) => drop(self.decline(handle)),
        }
        true
    }

    /// Whether it is held at the moment: not once it was stolen, also if the event is still on its way.
    pub fn holds(&self, handle: u32) -> bool {
        let held = |request: &Request| request.id.map(|id| request.table.look(id));
        matches!(self.requests.borrow().get(&handle).and_then(held), Some(Answer::Held { .. }))
    }

    /// Ends a request that is in the list no more; later, where the table is busy.
    pub(super) fn end_of(&self, handle: u32, request: Request) -> bool {
        let Some(id) = request.id else { return true };
        if let Some(answer) = request.take_out(id) {
            return matches!(answer, Answer::Held { .. } | Answer::Waiting);
        }
        self.end_in_a_turn(handle, request);
        true
    }

    /// Leaves it to the next turn of the reactor, unless it is taken before.
    pub(super) fn end_in_a_turn(&self, handle: u32, request: Request) {
        self.requests.borrow_mut().insert(handle, Request { ended: true, waits: true, ..request });
        self.count(1);
    }

    pub(super) fn take(&self, handle: u32) -> Option<Request> {
        let request = self.requests.borrow_mut().remove(&handle)?;
        if request.waits {
            self.count(-1);
        }
        if let (Some(timer), Some(reactor)) = (request.timer, self.reactor.upgrade()) {
            reactor.clear_timer(timer);
        }
        Some(request)
    }

    /// Something waits: the process lives for it, and the timer runs.
    pub(super) fn count(&self, change: isize) {
        let waiting = self.waiting.get().saturating_add_signed(change);
        self.waiting.set(waiting);
        self.hold.set(waiting > 0);
        if waiting == 0 {
            self.forget_watched();
            if let (Some((_, timer)), Some(reactor)) = (self.timer.take(), self.reactor.upgrade()) {
                reactor.clear_timer(timer);
            }
        } else {
            self.arm();
        }
    }

    fn time_out(self: &Rc<Self>, handle: u32, timeout: Duration) -> Option<TimerId> {
        let agent = Rc::downgrade(self);
        let task = move || {
            let Some(agent) = agent.upgrade() else { return };
            if agent.cancel(handle) {
                (agent.sink)(handle, Event::TimedOut);
            }
        };
        // Later than clocks go: never.
        let at = Instant::now().checked_add(timeout)?;
        Some(self.reactor.upgrade()?.set_timer(at, task))
    }
}

impl Request {
    pub(super) fn new(what: What, table: Arc<Table>) -> Self {
        Self { what, table, id: None, waits: false, ended: false, untold: false, timer: None, deadline: None }
    }

    /// Leaves a table whose file was removed, if it waits there: nobody else looks there any more. `true`: it is to be entered anew.
    pub(super) fn move_to(&mut self, table: &Arc<Table>) -> bool {
        if !Arc::ptr_eq(&self.table, table)
            && let Some(id) = self.id
            && self.table.cancel(id, SOON) == Some(Answer::Waiting)
        {
            self.id = None;
            return true;
        }
        false
    }

    /// `None`: the table is busy.
    pub(super) fn take_out(&self, id: Id) -> Option<Answer> {
        if self.untold { self.table.decline(id, SOON) } else { self.table.end(id, SOON) }
    }
}

impl What {
    /// Where its key lies in a table: what is in the same part is kept by the same processes.
    pub(super) fn shard(&self) -> usize {
        match self {
            Self::Lock { name, .. } => Table::shard_of(name),
            Self::Wait(word) => Table::shard_of(&word.key()),
        }
    }

    pub(super) fn enter(&self, table: &Table, agent: u64, patience: Patience) -> Outcome {
        match self {
            Self::Lock { name, ask } => table.request(name, &Ask { agent, ..*ask }, patience),
            Self::Wait(word) => table.wait(&word.key(), agent, patience, &|| word.is_as_expected()),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for request in self.requests.get_mut().values() {
            if let Some(id) = request.id {
                request.table.abandon(id);
            }
        }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("waiting", &self.waiting.get()).finish_non_exhaustive()
    }
}
