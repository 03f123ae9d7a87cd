//! The requests of one JS thread: entered without blocking it, and followed from its reactor.
//!
//! Three things make it look at its requests: its bell, the end of a process before it (pidfd), and, while something waits,
//! a timer that repairs what both may miss: a grant whose ring was never sent because its sender was killed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bell::{Bell, watch};
use super::table::{Answer, Id, Outcome, Table};
use super::{Ask, Mode};
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, TimerId, Token};
use crate::shm::Segment;

/// How long the thread may be kept by a table that another process changes just now. Longer: that process is stopped.
const PATIENCE: Duration = Duration::from_millis(20);
/// The timer's pace.
const LOOK: Duration = Duration::from_millis(100);
/// Its pace while the table is kept by a stopped process, or where there are no bells.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// Processes whose end is listened for at a time; for others the timer serves.
const WATCHED: usize = 64;

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

/// A word of shared memory, and what it is thought to be.
#[derive(Clone, Debug)]
pub struct Word {
    /// Where.
    pub segment: Arc<Segment>,
    /// Bytes from the begin of its data.
    pub offset: usize,
    /// Its thought value; the lower 32 bits of a narrow one.
    pub expected: u64,
    /// 64 bits, not 32.
    pub wide: bool,
}

/// One thread's requests. The reactor keeps it; ends with it, and so do the requests.
pub struct Agent {
    table: Arc<Table>,
    bell: Bell,
    reactor: Weak<Reactor>,
    token: Cell<Option<Token>>,
    sink: Box<dyn Fn(u32, Event)>,
    requests: RefCell<HashMap<u32, Request>>,
    /// How many of them wait.
    waiting: Cell<usize>,
    hold: Hold,
    timer: Cell<Option<(Instant, TimerId)>>,
    watched: RefCell<HashMap<u32, (OwnedFd, Token)>>,
}

struct Request {
    what: What,
    /// `None`: the table was busy so far.
    id: Option<Id>,
    waits: bool,
    /// Released while the table was busy.
    ended: bool,
    timer: Option<TimerId>,
}

impl Agent {
    /// An agent whose events go to `sink`, in turns of `reactor`.
    ///
    /// # Errors
    /// When there is no descriptor for the bell.
    pub fn start(reactor: &Rc<Reactor>, table: Arc<Table>, sink: Box<dyn Fn(u32, Event)>) -> io::Result<Weak<Self>> {
        let agent = Rc::new(Self {
            table,
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

    /// The table.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What stands for this thread in lists.
    pub fn id(&self) -> u64 {
        self.bell.id()
    }

    /// Makes a request named `handle`. If it waits, events follow; of one that is refused, nothing is left.
    ///
    /// What [`Outcome::Busy`] would be is a request that waits.
    pub fn request(self: &Rc<Self>, handle: u32, what: What, timeout: Option<Duration>) -> Outcome {
        let outcome = self.enter(&what, self.bell.id(), soon());
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
        self.requests.borrow_mut().insert(handle, Request { what, id, waits, ended: false, timer });
        if waits {
            self.count(1);
        }
        outcome
    }

    /// Makes a request and blocks the thread until it is granted, or `deadline` has passed ([`Outcome::Unavailable`]).
    pub fn block(&self, handle: u32, what: What, deadline: Option<Instant>) -> Outcome {
        let (id, after_death) = match self.enter(&what, self.bell.id() - 1, deadline) {
            Outcome::Held { id, after_death } => (id, after_death),
            Outcome::Waiting { id, .. } => match self.table.block(id, deadline) {
                Answer::Held { after_death } => (id, after_death),
                Answer::Notified => {
                    self.table.end(id, None);
                    return Outcome::Held { id, after_death: false };
                }
                // Granted in the last moment counts.
                _ => match self.table.cancel(id, None) {
                    Some(Answer::Held { after_death }) => (id, after_death),
                    Some(Answer::Notified) => {
                        self.table.end(id, None);
                        return Outcome::Held { id, after_death: false };
                    }
                    _ => return Outcome::Unavailable,
                },
            },
            Outcome::Busy => return Outcome::Unavailable,
            other => return other,
        };
        let request = Request { what, id: Some(id), waits: false, ended: false, timer: None };
        self.requests.borrow_mut().insert(handle, request);
        Outcome::Held { id, after_death }
    }

    /// Gives back or gives up. `false`: it had been stolen, or there is no such request.
    pub fn end(self: &Rc<Self>, handle: u32) -> bool {
        let Some(mut request) = self.take(handle) else { return false };
        let Some(id) = request.id else { return true };
        if let Some(answer) = self.table.end(id, soon()) {
            return matches!(answer, Answer::Held { .. } | Answer::Waiting);
        }
        request.ended = true;
        request.waits = true;
        self.requests.borrow_mut().insert(handle, request);
        self.count(1);
        true
    }

    /// Gives up if it still waits. `false`: it was granted before, and the event is on its way.
    pub fn cancel(self: &Rc<Self>, handle: u32) -> bool {
        let id = self.requests.borrow().get(&handle).and_then(|request| request.id);
        match id.map(|id| self.table.cancel(id, soon())) {
            Some(Some(Answer::Held { .. } | Answer::Notified)) => false,
            Some(None) => self.end(handle),
            _ => {
                self.take(handle);
                true
            }
        }
    }

    fn enter(&self, what: &What, agent: u64, until: Option<Instant>) -> Outcome {
        match what {
            What::Lock { name, ask } => self.table.request(name, &Ask { agent, ..*ask }, until),
            What::Wait(word) => self.table.wait(&word.key(), agent, until, &|| word.is_as_expected()),
        }
    }

    fn take(&self, handle: u32) -> Option<Request> {
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
    fn count(&self, change: isize) {
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

    fn arm(&self) {
        let Some(token) = self.token.get() else { return };
        let Some(reactor) = self.reactor.upgrade() else { return };
        let busy = self.requests.borrow().values().any(|request| request.id.is_none() || request.ended);
        let pace = if busy || self.bell.fd().is_none() { LOOK_SOON } else { LOOK };
        let at = Instant::now() + pace;
        if let Some((armed, timer)) = self.timer.get() {
            if armed <= at {
                return;
            }
            reactor.clear_timer(timer);
        }
        let weak = Rc::downgrade(&reactor);
        let timer = reactor.set_timer(at, move || {
            if let Some(reactor) = weak.upgrade() {
                // A source that runs holds no borrow: the same way in as the bell's.
                reactor.again(token, Readiness { notified: true, ..Readiness::default() });
            }
        });
        self.timer.set(Some((at, timer)));
    }

    fn time_out(self: &Rc<Self>, handle: u32, timeout: Duration) -> Option<TimerId> {
        let agent = Rc::downgrade(self);
        let task = move || {
            let Some(agent) = agent.upgrade() else { return };
            if agent.cancel(handle) {
                (agent.sink)(handle, Event::TimedOut);
            }
        };
        Some(self.reactor.upgrade()?.set_timer(Instant::now() + timeout, task))
    }

    /// Listens for the end of those before us.
    fn watch(self: &Rc<Self>, pids: &[u32]) {
        let Some(reactor) = self.reactor.upgrade() else { return };
        for pid in pids {
            let room = self.watched.borrow().len() < WATCHED && !self.watched.borrow().contains_key(pid);
            if let Some(fd) = watch(*pid).filter(|_| room) {
                let source = Rc::new(End { agent: Rc::downgrade(self), pid: *pid });
                if let Ok(token) = reactor.register(fd.as_fd(), Interest::READABLE, source) {
                    self.watched.borrow_mut().insert(*pid, (fd, token));
                }
            }
        }
    }

    fn forget_watched(&self) {
        let watched = std::mem::take(&mut *self.watched.borrow_mut());
        if let Some(reactor) = self.reactor.upgrade() {
            for (fd, token) in watched.into_values() {
                reactor.deregister(token, fd.as_fd());
            }
        }
    }

    /// Looks at all requests, and tells what became of them.
    fn look(self: &Rc<Self>, after_the_dead: bool) {
        self.enter_late();
        if after_the_dead {
            self.look_after_the_dead();
        }
        let mut news = Vec::new();
        for (handle, request) in &mut *self.requests.borrow_mut() {
            let Some(id) = request.id.filter(|_| !request.ended) else { continue };
            let event = match self.table.look(id) {
                Answer::Held { after_death } if request.waits => Event::Held { after_death },
                Answer::Stolen => Event::Stolen,
                Answer::Notified => Event::Notified,
                // Someone scribbled over it: as good as stolen.
                Answer::Gone => Event::Stolen,
                Answer::Held { .. } | Answer::Waiting => continue,
            };
            news.push((*handle, event));
        }
        // In the order of asking, as the handles are.
        news.sort_by_key(|(handle, _)| *handle);
        for (handle, event) in news {
            if self.settle(handle, &event) {
                (self.sink)(handle, event);
            }
        }
    }

    /// Does what belongs to an event. `false`: the request ended meanwhile.
    fn settle(self: &Rc<Self>, handle: u32, event: &Event) -> bool {
        if !matches!(event, Event::Held { .. }) {
            let known = self.requests.borrow().contains_key(&handle);
            self.end(handle);
            return known;
        }
        let mut requests = self.requests.borrow_mut();
        let Some(request) = requests.get_mut(&handle) else { return false };
        request.waits = false;
        drop(requests);
        self.count(-1);
        true
    }

    /// Does what could not be done because a stopped process kept the table.
    fn enter_late(self: &Rc<Self>) {
        let late: Vec<u32> = {
            let requests = self.requests.borrow();
            let late = requests.iter().filter(|(_, request)| request.id.is_none() || request.ended);
            let mut late: Vec<u32> = late.map(|(handle, _)| *handle).collect();
            late.sort_unstable();
            late
        };
        for handle in late {
            let Some(request) = self.requests.borrow().get(&handle).map(|r| (r.what.clone(), r.id, r.ended)) else {
                continue;
            };
            match request {
                (_, Some(id), true) => match self.table.end(id, soon()) {
                    Some(_) => drop(self.take(handle)),
                    None => return,
                },
                (what, None, _) => match self.enter(&what, self.bell.id(), soon()) {
                    Outcome::Busy => return,
                    Outcome::Held { id, .. } | Outcome::Waiting { id, .. } => {
                        if let Some(request) = self.requests.borrow_mut().get_mut(&handle) {
                            request.id = Some(id);
                        }
                    }
                    refused => {
                        drop(self.take(handle));
                        (self.sink)(handle, Event::Failed(refused));
                    }
                },
                _ => {}
            }
        }
    }

    /// One look per name: it serves all who wait for it.
    fn look_after_the_dead(&self) {
        let mut seen = HashSet::new();
        let mut ids = Vec::new();
        for request in self.requests.borrow().values().filter(|request| request.waits && !request.ended) {
            if let (Some(id), What::Lock { name, ask }) = (request.id, &request.what)
                && seen.insert((ask.mode == Mode::Permits, name.clone()))
            {
                ids.push(id);
            }
        }
        for id in ids {
            self.table.check(id, soon());
        }
    }
}

impl Source for Agent {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        self.bell.silence();
        if readiness.notified {
            self.timer.set(None);
        }
        self.look(readiness.notified);
        if self.waiting.get() > 0 {
            self.arm();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for request in self.requests.get_mut().values() {
            if let Some(id) = request.id {
                self.table.abandon(id);
            }
        }
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("waiting", &self.waiting.get()).finish_non_exhaustive()
    }
}

/// Hears of the end of a process.
struct End {
    agent: Weak<Agent>,
    pid: u32,
}

impl Source for End {
    fn ready(self: Rc<Self>, _readiness: Readiness) {
        let Some(agent) = self.agent.upgrade() else { return };
        let watched = agent.watched.borrow_mut().remove(&self.pid);
        if let (Some((fd, token)), Some(reactor)) = (watched, agent.reactor.upgrade()) {
            reactor.deregister(token, fd.as_fd());
        }
        agent.look(true);
    }
}

impl Word {
    /// The same word in every process.
    #[must_use]
    pub fn key(&self) -> [u8; 24] {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&self.segment.id().to_ne_bytes());
        key[16..].copy_from_slice(&(self.offset as u64).to_ne_bytes());
        key
    }

    pub(super) fn is_as_expected(&self) -> bool {
        use std::sync::atomic::Ordering::SeqCst;
        let region = self.segment.region();
        if self.wide {
            return region.atomic_u64(self.offset).is_some_and(|word| word.load(SeqCst) == self.expected);
        }
        region.atomic_u32(self.offset).is_some_and(|word| u64::from(word.load(SeqCst)) == self.expected)
    }
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + PATIENCE)
}
