//! How an agent hears of its requests: by its bell, by the end of a process before it, and by a timer.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agent::{Agent, Event, SOON, What};
use super::bell::watch;
use super::outcome::{Answer, Outcome};
use super::record::Mode;
use crate::reactor::{Interest, Readiness, Source, Token};

/// The timer's pace.
const LOOK: Duration = Duration::from_millis(100);
/// Its pace while a stopped process keeps a part of the table, or where there are no bells.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// Processes whose end is listened for at a time; for others the timer serves.
const WATCHED: usize = 64;

/// A process that is listened for.
pub(super) type Watched = (OwnedFd, Token);

impl Agent {
    pub(super) fn arm(&self) {
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

    /// Listens for the end of those before us.
    pub(super) fn watch(self: &Rc<Self>, pids: &[u32]) {
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

    pub(super) fn forget_watched(&self) {
        let watched = std::mem::take(&mut *self.watched.borrow_mut());
        if let Some(reactor) = self.reactor.upgrade() {
            for (fd, token) in watched.into_values() {
                reactor.deregister(token, fd.as_fd());
            }
        }
    }

    /// Looks at all requests, and tells what became of them.
    fn look(self: &Rc<Self>, after_the_dead: bool) {
        if after_the_dead {
            self.move_over();
        }
        self.enter_late();
        if after_the_dead {
            self.look_after_the_dead();
        }
        let mut news = Vec::new();
        for (handle, request) in &mut *self.requests.borrow_mut() {
            let Some(id) = request.id.filter(|_| !request.ended) else { continue };
            let event = match request.table.look(id) {
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

    /// Enters anew what waits in a table whose file was removed.
    fn move_over(&self) {
        let table = self.table();
        for request in self.requests.borrow_mut().values_mut().filter(|request| request.waits && !request.ended) {
            request.move_to(&table);
        }
    }

    /// Does what could not be done because a stopped process kept the table.
    fn enter_late(self: &Rc<Self>) {
        let mut late: Vec<u32> = {
            let requests = self.requests.borrow();
            let late = requests.iter().filter(|(_, request)| request.id.is_none() || request.ended);
            late.map(|(handle, _)| *handle).collect()
        };
        late.sort_unstable();
        // What comes behind something that is kept is kept too.
        let mut kept = HashSet::new();
        for handle in late {
            let found = self.requests.borrow().get(&handle).map(|r| (r.what.clone(), r.id, r.ended));
            let Some((what, id, ended)) = found else { continue };
            if kept.contains(&what.shard()) {
                continue;
            }
            match id {
                Some(id) if ended => {
                    let answer = self.requests.borrow().get(&handle).and_then(|request| request.take_out(id));
                    match answer {
                        Some(_) => drop(self.take(handle)),
                        None => drop(kept.insert(what.shard())),
                    }
                }
                None if ended => drop(self.take(handle)),
                Some(_) => {}
                None => self.enter_again(handle, &what, &mut kept),
            }
        }
    }

    fn enter_again(self: &Rc<Self>, handle: u32, what: &What, kept: &mut HashSet<usize>) {
        let table = self.table();
        match what.enter(&table, self.bell.id(), SOON) {
            Outcome::Busy => drop(kept.insert(what.shard())),
            Outcome::Held { id, .. } | Outcome::Waiting { id, .. } => {
                if let Some(request) = self.requests.borrow_mut().get_mut(&handle) {
                    request.table = table;
                    request.id = Some(id);
                }
            }
            refused => {
                drop(self.take(handle));
                (self.sink)(handle, Event::Failed(refused));
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
                ids.push((Arc::clone(&request.table), id));
            }
        }
        for (table, id) in ids {
            table.check(id, SOON);
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
