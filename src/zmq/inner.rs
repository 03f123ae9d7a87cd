//! What a socket consists of, and its turn: hand over, write, let go.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::binding::Binding;
use super::connecter::Connecter;
use super::connection::{Connection, Origin, Reason};
use super::event::Event;
use super::frames::{Frames, frames, messages};
use super::inproc::{Bell, End, Inbox, Party};
use super::patterns::{Pattern, as_subscription, push_subscription};
use super::pipe::{Core, Link, PipeKey};
use super::resolve::Lookup;
use super::socket::Handler;
use super::{Context, Error};
use crate::reactor::{Hold, Reactor, Readiness, Source, Token};
use crate::zmtp::SocketType;

/// One socket. Lives on until its last message has left, or its linger time is over.
pub(super) struct Inner {
    pub(super) me: Weak<Self>,
    pub(super) reactor: Rc<Reactor>,
    pub(super) context: Arc<Context>,
    pub(super) kind: SocketType,
    pub(super) epoch: Instant,
    pub(super) state: RefCell<State>,
    pub(super) handler: RefCell<Option<Rc<dyn Handler>>>,
    /// Where other threads ring.
    pub(super) token: Cell<Option<Token>>,
    /// A closed socket keeps the loop alive until it has sent everything.
    pub(super) lingering: Hold,
    scheduled: Cell<bool>,
}

pub(super) struct State {
    pub(super) core: Core,
    pub(super) pattern: Box<dyn Pattern>,
    pub(super) bindings: Vec<Rc<Binding>>,
    pub(super) connecters: Vec<Rc<Connecter>>,
    /// Accepted, and still shaking hands.
    pub(super) guests: Vec<Rc<Connection>>,
    /// Inproc names: ours, with who comes there; and those we connected to.
    pub(super) inproc_bound: Vec<(String, Arc<Inbox>)>,
    pub(super) inproc_connected: Vec<(String, PipeKey)>,
    pub(super) lookups: Vec<(Lookup, Weak<Connecter>)>,
    /// Whose messages were handed over, and how many of each; in order.
    runs: VecDeque<(PipeKey, u64, usize)>,
    /// Pipes that are full, so that their connections have stopped reading.
    pub(super) stalled: Vec<PipeKey>,
    /// Pipes that are ending.
    pub(super) leaving: Vec<(PipeKey, u64)>,
    /// Messages that were taken when there was room, and whose pipe has gone since.
    pub(super) backlog: Vec<u8>,
    /// The user was told that there is no room.
    pub(super) starving: bool,
    pub(super) observed: bool,
    events: Vec<Event>,
    pub(super) last_endpoint: Option<String>,
    pub(super) next_binding: u64,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(core: Core, pattern: Box<dyn Pattern>) -> Self {
        Self {
            core,
            pattern,
            bindings: Vec::new(),
            connecters: Vec::new(),
            guests: Vec::new(),
            inproc_bound: Vec::new(),
            inproc_connected: Vec::new(),
            lookups: Vec::new(),
            runs: VecDeque::new(),
            stalled: Vec::new(),
            leaving: Vec::new(),
            backlog: Vec::new(),
            starving: false,
            observed: false,
            events: Vec::new(),
            last_endpoint: None,
            next_binding: 0,
            closed: false,
        }
    }

    /// Room for messages of the user.
    pub(super) fn room(&mut self) -> usize {
        let room = if self.backlog.is_empty() { self.pattern.room(&self.core) } else { 0 };
        self.starving = room == 0;
        room
    }

    pub(super) fn has(&self, key: PipeKey, serial: u64) -> bool {
        self.core.pipes.get(key).is_some_and(|pipe| pipe.serial == serial)
    }

    /// The pipe takes no more messages, and goes when it is empty.
    pub(super) fn end(&mut self, key: PipeKey) {
        let pipe = &mut self.core.pipes[key];
        pipe.ending = true;
        let entry = (key, pipe.serial);
        if !self.leaving.contains(&entry) {
            self.leaving.push(entry);
        }
    }
}

impl Inner {
    pub(super) fn new(reactor: &Rc<Reactor>, context: &Arc<Context>, kind: SocketType, state: State) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            reactor: Rc::clone(reactor),
            context: Arc::clone(context),
            kind,
            epoch: Instant::now(),
            state: RefCell::new(state),
            handler: RefCell::default(),
            token: Cell::new(None),
            lingering: Hold::new(reactor),
            scheduled: Cell::new(false),
        })
    }

    /// Milliseconds since the socket was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The socket's turn comes soon.
    pub(super) fn schedule(&self) {
        if self.scheduled.replace(true) {
            return;
        }
        if let Some(me) = self.me.upgrade() {
            self.reactor.defer(move || me.run());
        }
    }

    pub(super) fn note(&self, event: Event) {
        let mut state = self.state.borrow_mut();
        if state.observed {
            state.events.push(event);
            drop(state);
            self.schedule();
        }
    }

    pub(super) fn bell(&self) -> Result<Bell, Error> {
        let token = self.token.get().ok_or(Error::Closed)?;
        Ok(Bell { remote: self.reactor.remote(), token })
    }

    pub(super) fn party(&self) -> Result<Party, Error> {
        let bell = self.bell()?;
        let state = self.state.borrow();
        let options = &state.core.options;
        Ok(Party {
            bell,
            identity: options.identity.as_ref().map(|id| id.as_bytes().into()),
            send_hwm: options.send_hwm,
            receive_hwm: options.receive_hwm,
        })
    }

    /// The kernel has taken so many bytes of a pipe's messages.
    pub(super) fn wrote(&self, key: PipeKey, bytes: usize) {
        let mut state = self.state.borrow_mut();
        let pipe = &mut state.core.pipes[key];
        let done = pipe.out.wrote(bytes);
        let wake = pipe.retiring || (done > 0 && (state.starving || !state.backlog.is_empty()));
        drop(state);
        if wake {
            self.schedule();
        }
    }

    /// Writes what the patterns have queued.
    pub(super) fn flush(&self) {
        let keys = self.state.borrow_mut().core.clean();
        for key in keys {
            let mut state = self.state.borrow_mut();
            let Some(pipe) = state.core.pipes.get_mut(key) else { continue };
            match &pipe.link {
                Link::None => {}
                Link::Inproc(end) => {
                    let (chunks, count) = pipe.out.take_all();
                    end.send(chunks, count);
                }
                Link::Wire(connection) => {
                    let connection = Rc::clone(connection);
                    drop(state);
                    connection.flush();
                }
            }
        }
    }

    /// The user has taken so many messages of those handed over.
    pub(super) fn consumed(&self, mut count: usize) {
        let mut state = self.state.borrow_mut();
        while count > 0
            && let Some((key, serial, left)) = state.runs.front_mut()
        {
            let taken = count.min(*left);
            *left -= taken;
            count -= taken;
            let (key, serial, empty) = (*key, *serial, *left == 0);
            if empty {
                state.runs.pop_front();
            }
            if state.has(key, serial) {
                let pipe = &mut state.core.pipes[key];
                pipe.outstanding -= taken;
                if let Link::Inproc(end) = &pipe.link {
                    end.consumed(taken);
                }
            }
        }
        let wake = !state.stalled.is_empty();
        drop(state);
        if wake {
            self.schedule();
        }
    }

    /// A handshake is over.
    pub(super) fn connection_ready(&self, connection: &Connection) {
        self.state.borrow_mut().guests.retain(|guest| !std::ptr::eq(&raw const **guest, connection));
        if let Origin::Connected(connecter) = &connection.origin
            && let Some(connecter) = connecter.upgrade()
        {
            connecter.succeeded();
        }
        self.note(Event::Handshake(connection.address.clone()));
        connection.flush();
    }

    /// A connection is gone. Its pipe waits for the next one, or ends.
    pub(super) fn connection_lost(&self, connection: &Rc<Connection>, reason: Reason) {
        let mut state = self.state.borrow_mut();
        state.guests.retain(|guest| !Rc::ptr_eq(guest, connection));
        let connecter = match &connection.origin {
            Origin::Connected(connecter) => connecter.upgrade(),
            Origin::Accepted(_) => None,
        };
        let was_up = self.pipe_lost(&mut state, connection);
        drop(state);
        let address = connection.address.clone();
        let may_retry = !matches!(&reason, Reason::Protocol(error) if !error.may_reconnect());
        match reason {
            _ if was_up => self.note(Event::Disconnect(address)),
            Reason::Protocol(error) => self.note(Event::HandshakeError(address, Some(error))),
            _ if connecter.as_ref().is_some_and(|connecter| connecter.is_connecting()) => {
                self.note(Event::Close(address));
            }
            _ => self.note(Event::HandshakeError(address, None)),
        }
        if let Some(connecter) = connecter {
            if may_retry && connecter.retry() {
                return self.schedule();
            }
            connecter.stop();
            let mut state = self.state.borrow_mut();
            if state.core.pipes.contains(connecter.key) {
                state.end(connecter.key);
            }
        }
        self.schedule();
    }

    fn pipe_lost(&self, state: &mut State, connection: &Connection) -> bool {
        let Some(key) = connection.key.get() else { return false };
        let State { core, pattern, .. } = state;
        let Some(pipe) = core.pipes.get_mut(key) else { return false };
        let was_up = std::mem::replace(&mut pipe.up, false);
        pipe.inbox.drop_partial();
        pipe.out.rewind();
        pipe.link = Link::None;
        if was_up {
            pattern.lost(core, key);
            core.activate(key);
        }
        if matches!(connection.origin, Origin::Accepted(_)) {
            core.pipes[key].retiring = false;
            state.end(key);
        }
        was_up
    }

    /// The socket's turn.
    fn run(&self) {
        self.scheduled.set(false);
        self.resume_stalled();
        let mut batch = Frames::default();
        let mut state = self.state.borrow_mut();
        self.collect(&mut state, &mut batch);
        self.retry_backlog(&mut state);
        drop(state);
        self.flush();
        self.let_go();
        let mut state = self.state.borrow_mut();
        let was_starving = state.starving;
        let room = state.room();
        let events = std::mem::take(&mut state.events);
        drop(state);
        let handler = self.handler.borrow().clone();
        let Some(handler) = handler else { return };
        // First, so that what waits to be sent leaves before the user answers, or closes, because of what has come.
        if was_starving && room > 0 {
            handler.writable(room);
        }
        if batch.messages() > 0 {
            handler.received(&mut batch);
        }
        for event in &events {
            handler.event(event);
        }
    }

    fn collect(&self, state: &mut State, batch: &mut Frames) {
        let State { core, pattern, runs, .. } = state;
        while let Some((key, count)) = pattern.take(core, batch) {
            if count == 0 {
                continue;
            }
            let pipe = &mut core.pipes[key];
            pipe.outstanding += count;
            match runs.back_mut() {
                Some((last, serial, sum)) if *last == key && *serial == pipe.serial => *sum += count,
                _ => runs.push_back((key, pipe.serial, count)),
            }
        }
    }

    fn resume_stalled(&self) {
        let mut state = self.state.borrow_mut();
        let stalled = std::mem::take(&mut state.stalled);
        let mut resumed = Vec::new();
        for key in stalled {
            match state.core.pipes.get(key).map(|pipe| &pipe.link) {
                Some(Link::Wire(_)) if state.core.is_full(key) => state.stalled.push(key),
                Some(Link::Wire(connection)) => resumed.push(Rc::clone(connection)),
                _ => {}
            }
        }
        drop(state);
        for connection in resumed {
            connection.unstall();
        }
    }

    fn retry_backlog(&self, state: &mut State) {
        if state.backlog.is_empty() {
            return;
        }
        let backlog = std::mem::take(&mut state.backlog);
        let sent = state.pattern.send(&mut state.core, &backlog).unwrap_or(0);
        state.backlog = backlog[sent..].to_vec();
    }

    /// Removes pipes that have ended and are empty.
    fn let_go(&self) {
        let mut state = self.state.borrow_mut();
        let leaving = std::mem::take(&mut state.leaving);
        let mut gone = Vec::new();
        for (key, serial) in leaving {
            if !state.has(key, serial) {
                continue;
            }
            let State { core, pattern, .. } = &mut *state;
            let pipe = &mut core.pipes[key];
            if pipe.retiring && pipe.is_flushed() {
                pipe.retiring = false;
            }
            if pipe.retiring || pipe.inbox.messages() > 0 {
                state.leaving.push((key, serial));
                continue;
            }
            if pipe.up {
                pipe.up = false;
                pattern.lost(core, key);
                core.activate(key);
                if core.pipes[key].inbox.messages() > 0 {
                    state.leaving.push((key, serial));
                    self.schedule();
                    continue;
                }
            }
            pattern.detached(core, key);
            gone.push(core.remove(key));
            state.inproc_connected.retain(|(_, one)| *one != key);
            let (stopped, kept) = std::mem::take(&mut state.connecters).into_iter().partition(|one| one.key == key);
            state.connecters = kept;
            drop(state);
            let stopped: Vec<Rc<Connecter>> = stopped;
            for connecter in stopped {
                connecter.stop();
            }
            state = self.state.borrow_mut();
        }
        let is_done = state.closed && state.core.pipes.is_empty();
        drop(state);
        for pipe in gone {
            if let Link::Wire(connection) = &pipe.link {
                connection.close();
            }
        }
        if is_done {
            self.finish();
        }
    }

    /// Nothing is left of the socket.
    pub(super) fn finish(&self) {
        if let Some(token) = self.token.take() {
            self.reactor.dismiss(token);
            self.context.leave();
        }
        self.lingering.set(false);
    }

    /// What other sockets of the context have done to us.
    fn answer_bell(&self) {
        let mut state = self.state.borrow_mut();
        let mut links = Vec::new();
        for (_, inbox) in &state.inproc_bound {
            links.extend(inbox.take());
        }
        for end in links {
            self.meet(&mut state, end);
        }
        let keys: Vec<PipeKey> = state
            .core
            .pipes
            .iter()
            .filter(|(_, pipe)| matches!(pipe.link, Link::Inproc(_)))
            .map(|(key, _)| key)
            .collect();
        let mut fresh = Vec::new();
        for key in keys {
            if self.pull(&mut state, key) {
                fresh.push(key);
            }
        }
        let topics = if fresh.is_empty() { Vec::new() } else { state.pattern.subscriptions() };
        for key in fresh {
            for topic in &topics {
                push_subscription(&mut state.core, key, topic, true);
            }
        }
        let found: Vec<_> = state.lookups.iter().map(|(lookup, who)| (lookup.take(), Weak::clone(who))).collect();
        let mut answers = found.iter();
        state.lookups.retain(|_| answers.next().is_some_and(|(answer, _)| answer.is_none()));
        drop(state);
        for (answer, who) in found {
            if let (Some(answer), Some(connecter)) = (answer, who.upgrade()) {
                connecter.found(answer);
            }
        }
        self.schedule();
    }

    /// A link of somebody who connected to our name.
    fn meet(&self, state: &mut State, end: End) {
        let key = state.core.add(Link::Inproc(end));
        if !state.pattern.attached(&mut state.core, key) {
            state.end(key);
        }
    }

    /// Takes in what came over a link; tells whether its other side has just become known.
    fn pull(&self, state: &mut State, key: PipeKey) -> bool {
        let State { core, pattern, .. } = state;
        let pipe = &mut core.pipes[key];
        let Link::Inproc(end) = &pipe.link else { return false };
        let (chunks, peer) = (end.receive(), end.peer());
        let mut fresh = false;
        let mut welcome = !pipe.ending;
        if let (false, true, Some(peer)) = (pipe.up, welcome, peer) {
            pipe.up = true;
            fresh = true;
            if pipe.identity.is_none() {
                pipe.identity = peer.identity;
            }
            welcome = pattern.ready(core, key);
        }
        let Some(chunks) = chunks else {
            if !core.pipes[key].ending {
                core.pipes[key].up = false;
                pattern.lost(core, key);
                core.activate(key);
                core.pipes[key].retiring = false;
                state.end(key);
            }
            return false;
        };
        let publishes = matches!(self.kind, SocketType::Pub | SocketType::XPub);
        for message in chunks.iter().flat_map(|chunk| messages(chunk)) {
            match as_subscription(message).filter(|_| publishes) {
                Some((topic, on)) => {
                    welcome &= pattern.subscribed(core, key, topic, on);
                    if let Link::Inproc(end) = &core.pipes[key].link {
                        end.consumed(1);
                    }
                }
                None if core.pipes[key].ending => {}
                None => {
                    for (body, more) in frames(message) {
                        core.pipes[key].inbox.push(body, more);
                    }
                }
            }
        }
        if core.options.conflate {
            while core.pipes[key].inbox.messages() > 1 {
                core.pipes[key].inbox.skip_message();
            }
        }
        core.activate(key);
        if !welcome && !core.pipes[key].ending {
            core.pipes[key].up = false;
            pattern.lost(core, key);
            state.end(key);
        }
        fresh && welcome
    }

    /// Ends a pipe after what it has to send, if `linger` gives it the time.
    pub(super) fn retire(&self, key: PipeKey, linger: Option<Duration>) {
        let mut state = self.state.borrow_mut();
        let Some(pipe) = state.core.pipes.get_mut(key) else { return };
        pipe.retiring = linger != Some(Duration::ZERO) && !pipe.is_flushed();
        let (serial, waits) = (pipe.serial, pipe.retiring);
        state.end(key);
        drop(state);
        self.schedule();
        if let (true, Some(linger)) = (waits, linger) {
            let me = Weak::clone(&self.me);
            self.reactor.set_timer(Instant::now() + linger, move || {
                if let Some(me) = me.upgrade() {
                    me.cut(key, serial);
                }
            });
        }
    }

    /// The time to send the rest is over.
    fn cut(&self, key: PipeKey, serial: u64) {
        let mut state = self.state.borrow_mut();
        if state.has(key, serial) {
            state.core.pipes[key].retiring = false;
            drop(state);
            self.schedule();
        }
    }
}

impl Source for Inner {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.notified {
            self.answer_bell();
        }
    }
}
