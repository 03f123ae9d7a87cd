//! What a socket consists of, and its turn: hand over, write, let go.

mod links;
mod turn;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use super::binding::Binding;
use super::connecter::Connecter;
use super::connection::{Connection, Origin, Reason};
use super::event::Event;
use super::frames::Frames;
use super::inproc::{Bell, Inbox, Party};
use super::patterns::Pattern;
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
    /// Handed over, and not taken: the user's side was out of memory.
    refused: Frames,
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
            refused: Frames::default(),
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
        let error = if let Reason::Protocol(error) = reason { Some(error) } else { None };
        if !was_up && error.is_none() && connecter.as_ref().is_some_and(|connecter| connecter.is_connecting()) {
            self.note(Event::Close(address));
        } else {
            // A failed handshake is a disconnect too, as in libzmq.
            if !was_up {
                self.note(Event::HandshakeError(address.clone(), error));
            }
            self.note(Event::Disconnect(address));
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
}

impl Source for Inner {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.notified {
            self.answer_bell();
        }
    }
}
