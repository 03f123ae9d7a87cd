//! A socket, as its user has it.

use std::rc::Rc;
use std::sync::Arc;

use super::binding::Binding;
use super::connecter::Connecter;
use super::connection::Connection;
use super::endpoint::{Endpoint, Host, IpcPath};
use super::event::Event;
use super::frames::Frames;
use super::inner::{Inner, State};
use super::patterns::{self, push_subscription};
use super::pipe::{Core, Link, PipeKey};
use super::{Context, Error, Options};
use crate::reactor::Reactor;
use crate::zmtp::SocketType;

/// What is told of a socket: on its thread, within a turn, with no borrow held.
pub trait Handler {
    /// Messages have come. Say [`Socket::consumed`] for them as the user takes them: until then they count against the
    /// high-water mark. What is left in `batch` is handed over again soon, before anything that came after it.
    fn received(&self, batch: &mut Frames);
    /// There is room for so many messages again.
    fn writable(&self, room: usize);
    /// For monitors; only after [`Socket::observe`].
    fn event(&self, event: &Event);
}

/// A ZeroMQ socket on a reactor. Dropping it is closing it.
pub struct Socket {
    inner: Rc<Inner>,
}

impl Socket {
    /// A socket of `kind` with `options`.
    ///
    /// # Errors
    /// [`Error::TooManySockets`]; [`Error::Invalid`] for a kind that we do not have.
    pub fn new(
        reactor: &Rc<Reactor>,
        context: &Arc<Context>,
        kind: SocketType,
        options: Options,
        handler: Rc<dyn Handler>,
    ) -> Result<Self, Error> {
        let pattern = patterns::make(kind).ok_or(Error::Invalid)?;
        context.enter()?;
        let inner = Inner::new(reactor, context, kind, State::new(Core::new(options), pattern));
        *inner.handler.borrow_mut() = Some(handler);
        match reactor.enroll(Rc::<Inner>::clone(&inner)) {
            Ok(token) => inner.token.set(Some(token)),
            Err(error) => {
                context.leave();
                return Err(error.into());
            }
        }
        Ok(Self { inner })
    }

    /// Reads or changes the options.
    pub fn options<T>(&self, call: impl FnOnce(&mut Options) -> T) -> T {
        let mut state = self.inner.state.borrow_mut();
        let result = call(&mut state.core.options);
        let State { core, .. } = &mut *state;
        // As in libzmq since 4.2: the marks also hold for pipes that are there.
        for (_, pipe) in &mut core.pipes {
            pipe.send_hwm = core.options.send_hwm;
            pipe.receive_hwm = core.options.receive_hwm;
        }
        drop(state);
        self.inner.schedule();
        result
    }

    /// Takes connections at an endpoint; tells where, with the port or path that was chosen for `*`.
    ///
    /// # Errors
    /// Those of [`Endpoint::parse`]; [`Error::NoDevice`] for a host name; what `bind` says (`EADDRINUSE`, `EACCES`).
    pub fn bind(&self, address: &str) -> Result<String, Error> {
        self.check_open()?;
        let endpoint = Endpoint::parse(address)?;
        let bound = if let Endpoint::Inproc(name) = &endpoint {
            let inbox = self.inner.context.inproc.bind(name, &self.inner.party()?)?;
            self.inner.state.borrow_mut().inproc_bound.push((name.clone(), inbox));
            address.to_owned()
        } else {
            let binding = Binding::start(&self.inner, &endpoint, address)?;
            let bound = binding.address.clone();
            self.inner.state.borrow_mut().bindings.push(binding);
            bound
        };
        self.inner.state.borrow_mut().last_endpoint = Some(bound.clone());
        Ok(bound)
    }

    /// Ends what `bind` began, and the connections that came that way.
    ///
    /// # Errors
    /// Those of [`Endpoint::parse`]; [`Error::NoEndpoint`].
    pub fn unbind(&self, address: &str) -> Result<(), Error> {
        self.check_open()?;
        let endpoint = Endpoint::parse(address)?;
        let mut state = self.inner.state.borrow_mut();
        if let Endpoint::Inproc(name) = &endpoint {
            let place = state.inproc_bound.iter().position(|(one, _)| one == name).ok_or(Error::NoEndpoint)?;
            state.inproc_bound.remove(place);
            self.inner.context.inproc.unbind(name);
            return Ok(());
        }
        let found = state.bindings.iter().position(|one| one.text == address || one.address == address);
        let binding = state.bindings.remove(found.ok_or(Error::NoEndpoint)?);
        let linger = state.core.options.linger;
        let came: Vec<PipeKey> =
            state.core.pipes.iter().filter(|(_, pipe)| pipe.binding == Some(binding.id)).map(|(key, _)| key).collect();
        drop(state);
        binding.stop();
        for key in came {
            self.inner.retire(key, linger);
        }
        Ok(())
    }

    /// Connects, and again whenever the connection breaks. The pipe is there at once: messages may be sent.
    ///
    /// # Errors
    /// Those of [`Endpoint::parse`]; [`Error::Invalid`] for `*`.
    pub fn connect(&self, address: &str) -> Result<(), Error> {
        self.check_open()?;
        let endpoint = Endpoint::parse(address)?;
        if matches!(&endpoint, Endpoint::Tcp(Host::Any, _) | Endpoint::Tcp(_, 0) | Endpoint::Ipc(IpcPath::Any)) {
            return Err(Error::Invalid);
        }
        let link = match &endpoint {
            Endpoint::Inproc(name) => Link::Inproc(self.inner.context.inproc.connect(name, self.inner.party()?)),
            _ => Link::None,
        };
        let mut state = self.inner.state.borrow_mut();
        let State { core, pattern, .. } = &mut *state;
        let key = core.add(link);
        core.pipes[key].identity = core.options.connect_identity.take();
        let welcome = pattern.attached(core, key);
        state.last_endpoint = Some(address.to_owned());
        if !welcome {
            state.end(key);
        }
        if let Endpoint::Inproc(name) = endpoint {
            state.inproc_connected.push((name, key));
            drop(state);
            self.inner.bell()?.ring();
        } else {
            drop(state);
            let connecter = Connecter::start(&self.inner, endpoint, address.to_owned(), key)?;
            self.inner.state.borrow_mut().connecters.push(connecter);
        }
        self.inner.schedule();
        Ok(())
    }

    /// Ends what `connect` began; what is queued for that peer is sent within the linger time.
    ///
    /// # Errors
    /// Those of [`Endpoint::parse`]; [`Error::NoEndpoint`].
    pub fn disconnect(&self, address: &str) -> Result<(), Error> {
        self.check_open()?;
        let endpoint = Endpoint::parse(address)?;
        let state = self.inner.state.borrow();
        let live = |key: &PipeKey| state.core.pipes.get(*key).is_some_and(|pipe| !pipe.ending);
        let key = match &endpoint {
            Endpoint::Inproc(name) => {
                state.inproc_connected.iter().find(|(one, key)| one == name && live(key)).map(|(_, key)| *key)
            }
            _ => state.connecters.iter().find(|one| one.text == address && live(&one.key)).map(|one| one.key),
        };
        let linger = state.core.options.linger;
        drop(state);
        self.inner.retire(key.ok_or(Error::NoEndpoint)?, linger);
        Ok(())
    }

    /// Where the socket was bound or connected last.
    pub fn last_endpoint(&self) -> Option<String> {
        self.inner.state.borrow().last_endpoint.clone()
    }

    /// How many messages may be sent now. After 0, [`Handler::writable`] tells of the next room.
    pub fn room(&self) -> usize {
        self.inner.state.borrow_mut().room()
    }

    /// Sends one message, encoded; tells how many more may be sent.
    ///
    /// # Errors
    /// [`Error::Again`], [`Error::State`], [`Error::Unreachable`]: nothing was sent. [`Error::Invalid`]: never here.
    pub fn send(&self, message: &[u8]) -> Result<usize, Error> {
        self.check_open()?;
        let mut state = self.inner.state.borrow_mut();
        let State { core, pattern, .. } = &mut *state;
        match pattern.send(core, message) {
            Ok(_) => {}
            Err(error) => {
                state.starving = true;
                return Err(error);
            }
        }
        drop(state);
        self.inner.flush();
        self.after_send()
    }

    /// Sends the messages of an encoded run, not more than there was [room](Self::room) for; tells how many more may be
    /// sent. If a peer has gone meanwhile, so that they do not all fit, the rest waits here: nothing is lost.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::Invalid`] for a socket that does not send.
    pub fn send_run(&self, wire: &[u8]) -> Result<usize, Error> {
        self.check_open()?;
        let mut state = self.inner.state.borrow_mut();
        let mut rest = wire;
        while state.backlog.is_empty() && !rest.is_empty() {
            let State { core, pattern, .. } = &mut *state;
            match pattern.send(core, rest) {
                Ok(0) | Err(Error::Again) => break,
                Ok(sent) => rest = &rest[sent..],
                Err(error) => return Err(error),
            }
        }
        state.backlog.extend_from_slice(rest);
        drop(state);
        self.inner.flush();
        self.after_send()
    }

    /// The user has taken so many messages of those that the handler got.
    pub fn consumed(&self, messages: usize) {
        self.inner.consumed(messages);
    }

    /// SUB: messages that begin with `topic` are wanted, or no longer. Counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other types, or with too many topics.
    pub fn subscribe(&self, topic: &[u8], on: bool) -> Result<(), Error> {
        self.check_open()?;
        let mut state = self.inner.state.borrow_mut();
        if !state.pattern.subscribe(topic, on)? {
            return Ok(());
        }
        let mut connections: Vec<Rc<Connection>> = Vec::new();
        let keys: Vec<PipeKey> = state.core.pipes.iter().filter(|(_, pipe)| pipe.up).map(|(key, _)| key).collect();
        for key in keys {
            match &state.core.pipes[key].link {
                Link::Wire(connection) => connections.push(Rc::clone(connection)),
                Link::Inproc(_) => push_subscription(&mut state.core, key, topic, on),
                Link::None => {}
            }
        }
        drop(state);
        for connection in connections {
            connection.subscribe(&[topic.to_vec()], on);
        }
        self.inner.flush();
        Ok(())
    }

    /// Monitors are told what happens, from now on.
    pub fn observe(&self, on: bool) {
        self.inner.state.borrow_mut().observed = on;
    }

    /// Is there nothing that waits to be sent?
    pub fn is_flushed(&self) -> bool {
        let state = self.inner.state.borrow();
        state.backlog.is_empty() && state.core.pipes.iter().all(|(_, pipe)| pipe.is_flushed())
    }

    /// Is there a peer, or one that we connect to, for whom messages may wait?
    pub fn has_pipes(&self) -> bool {
        !self.inner.state.borrow().core.pipes.is_empty()
    }

    /// Closes. What is queued is still sent, for as long as `linger` says; that keeps the loop alive.
    pub fn close(&self) {
        let inner = &self.inner;
        let mut state = inner.state.borrow_mut();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let linger = state.core.options.linger;
        let bindings = std::mem::take(&mut state.bindings);
        let guests = std::mem::take(&mut state.guests);
        let names = std::mem::take(&mut state.inproc_bound);
        let keys: Vec<PipeKey> = state.core.pipes.iter().map(|(key, _)| key).collect();
        for &key in &keys {
            state.core.pipes[key].inbox.clear();
        }
        drop(state);
        let handler = inner.handler.borrow_mut().take();
        drop(handler);
        for (name, _) in names {
            inner.context.inproc.unbind(&name);
        }
        for binding in bindings {
            binding.stop();
        }
        for guest in guests {
            guest.close();
        }
        for key in keys {
            inner.retire(key, linger);
        }
        inner.lingering.set(true);
        inner.schedule();
    }

    /// Closed, and with something left to send?
    pub fn is_lingering(&self) -> bool {
        self.inner.lingering.is_on()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.inner.state.borrow().closed { Err(Error::Closed) } else { Ok(()) }
    }

    /// REP and REQ may take the next message now.
    fn after_send(&self) -> Result<usize, Error> {
        let mut state = self.inner.state.borrow_mut();
        let wake = state.core.next_active().is_some() || !state.leaving.is_empty();
        let room = state.room();
        drop(state);
        if wake {
            self.inner.schedule();
        }
        Ok(room)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("kind", &self.inner.kind).finish_non_exhaustive()
    }
}
