//! One connection to a peer: bytes between a stream and a pipe, by way of the protocol.

mod incoming;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use incoming::Incoming;

use super::connecter::Connecter;
use super::inner::Inner;
use super::pipe::PipeKey;
use crate::net::{Room, Stream, StreamSink};
use crate::reactor::TimerId;
use crate::zmtp::{self, ProtocolError};

/// A stream and the protocol's state on it.
pub(super) struct Connection {
    me: Weak<Self>,
    inner: Weak<Inner>,
    /// What events call it.
    pub(super) address: String,
    pub(super) origin: Origin,
    stream: RefCell<Option<Rc<Stream>>>,
    protocol: RefCell<zmtp::Connection>,
    /// The pipe, once there is one.
    pub(super) key: Cell<Option<PipeKey>>,
    /// Bytes read that are not done with.
    carry: RefCell<Vec<u8>>,
    /// How many must be there to go on.
    need: Cell<usize>,
    /// The pipe takes no more, so nothing is read.
    stalled: Cell<bool>,
    timer: Cell<Option<(Instant, TimerId)>>,
}

/// Who made the connection.
pub(super) enum Origin {
    /// One of our listeners, by its number.
    Accepted(u64),
    /// We did, and will again.
    Connected(Weak<Connecter>),
}

/// Why a connection ended.
pub(super) enum Reason {
    /// The peer closed.
    End,
    System,
    Protocol(ProtocolError),
}

/// Bytes read at once. One buffer per thread: what is left of it afterwards is copied, and is little.
const SCRATCH: usize = 128 * 1024;

thread_local! {
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

impl Connection {
    pub(super) fn new(inner: &Rc<Inner>, address: String, origin: Origin, key: Option<PipeKey>) -> Rc<Self> {
        let config = inner.state.borrow().core.options.config(inner.kind);
        Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            inner: Rc::downgrade(inner),
            address,
            origin,
            stream: RefCell::default(),
            protocol: RefCell::new(zmtp::Connection::new(&config, inner.now())),
            key: Cell::new(key),
            carry: RefCell::default(),
            need: Cell::new(0),
            stalled: Cell::new(false),
            timer: Cell::new(None),
        })
    }

    /// Gives the connection its stream; a connected one begins with the greeting.
    pub(super) fn adopt(&self, stream: Rc<Stream>) {
        stream.set_ref(false); // What keeps the process alive is a pending operation, not a connection.
        *self.stream.borrow_mut() = Some(stream);
    }

    /// The transport stands.
    pub(super) fn begin(&self) {
        let stream = self.stream.borrow().clone();
        if let Some(stream) = stream {
            self.flush();
            stream.resume();
            self.arm();
        }
    }

    /// Writes what the protocol and the pipe have, as far as the kernel takes it.
    pub(super) fn flush(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        loop {
            match self.write_once(&inner) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.fail(Reason::System),
            }
        }
    }

    /// Goes on with what was read before the pipe was full.
    pub(super) fn unstall(&self) {
        if !self.stalled.replace(false) {
            return;
        }
        let carry = std::mem::take(&mut *self.carry.borrow_mut());
        let used = self.receive(&carry);
        self.keep(carry, used);
        let stream = self.stream.borrow().clone();
        if let Some(stream) = stream.filter(|_| !self.stalled.get()) {
            stream.resume();
        }
    }

    /// Tells the peer that we subscribe, or cancel.
    pub(super) fn subscribe(&self, topics: &[Vec<u8>], on: bool) {
        let mut out = Vec::new();
        let mut protocol = self.protocol.borrow_mut();
        for topic in topics {
            if on { protocol.subscribe(topic, &mut out) } else { protocol.cancel(topic, &mut out) }
        }
        protocol.outbox().append(&mut out);
        drop(protocol);
        self.flush();
    }

    /// For socket options.
    pub(super) fn with_stream(&self, call: impl FnOnce(BorrowedFd<'_>)) {
        if let Some(stream) = &*self.stream.borrow() {
            // A stream that is closed already has no options to set.
            let _ = stream.with_fd(|fd| {
                call(fd);
                Ok(())
            });
        }
    }

    /// Closes without a word to the socket.
    pub(super) fn close(&self) {
        if let (Some((_, timer)), Some(inner)) = (self.timer.take(), self.inner.upgrade()) {
            inner.reactor.clear_timer(timer);
        }
        let stream = self.stream.borrow_mut().take();
        if let Some(stream) = stream {
            stream.close();
        }
    }

    /// Ends the connection; the socket decides what becomes of the pipe.
    fn fail(&self, reason: Reason) {
        let was_open = self.stream.borrow().is_some();
        if was_open && matches!(reason, Reason::Protocol(_)) {
            // An ERROR command may stand there; whoever reads it learns why.
            let outbox = std::mem::take(self.protocol.borrow_mut().outbox());
            if let Some(stream) = &*self.stream.borrow() {
                // Best effort: the connection ends in any case.
                let _ = stream.try_write(&[IoSlice::new(&outbox)]);
            }
        }
        self.close();
        if let (true, Some(inner), Some(me)) = (was_open, self.inner.upgrade(), self.me.upgrade()) {
            inner.connection_lost(&me, reason);
        }
    }

    /// One `writev`; tells whether there may be more to write.
    fn write_once(&self, inner: &Inner) -> io::Result<bool> {
        let stream = self.stream.borrow();
        let Some(stream) = &*stream else { return Ok(false) };
        let mut protocol = self.protocol.borrow_mut();
        let control = protocol.outbox();
        let state = inner.state.borrow();
        let out = self.key.get().map(|key| &state.core.pipes[key]).filter(|pipe| pipe.up).map(|pipe| &pipe.out);
        let in_message = out.is_some_and(|out| out.in_message());
        let mut slices = Vec::new();
        let mut control_bytes = 0;
        if !in_message && !control.is_empty() {
            slices.push(IoSlice::new(control));
            control_bytes = control.len();
        }
        if let Some(out) = out {
            out.slices(&mut slices, in_message && !control.is_empty());
        }
        if slices.is_empty() {
            return Ok(false);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = stream.try_write(&slices)?;
        drop(slices);
        drop(state);
        control.drain(..taken.min(control_bytes));
        if let (Some(key), true) = (self.key.get(), taken > control_bytes) {
            inner.wrote(key, taken - control_bytes);
        }
        Ok(taken == total)
    }

    /// Hands `input` to the protocol; tells how much of it is done with.
    fn receive(&self, input: &[u8]) -> usize {
        let Some(inner) = self.inner.upgrade() else { return input.len() };
        let mut state = inner.state.borrow_mut();
        let mut sink = Incoming { state: &mut state, connection: self, fresh: false, refused: false };
        let result = self.protocol.borrow_mut().receive(input, inner.now(), &mut sink);
        let Incoming { fresh, refused, .. } = sink;
        if let Some(key) = self.key.get() {
            state.core.activate(key);
        }
        let subscriptions = if fresh { state.pattern.subscriptions() } else { Vec::new() };
        drop(state);
        inner.schedule();
        if fresh && !refused {
            inner.connection_ready(self);
            self.subscribe(&subscriptions, true);
        }
        match result {
            _ if refused => {
                self.fail(Reason::End);
                input.len()
            }
            Ok(received) => {
                self.need.set(received.need);
                if received.need == 0 {
                    self.stall(&inner);
                }
                if !self.protocol.borrow_mut().outbox().is_empty() {
                    self.flush();
                }
                self.arm();
                received.consumed
            }
            Err(error) => {
                self.fail(Reason::Protocol(error));
                input.len()
            }
        }
    }

    /// The pipe is full: what comes stays in the kernel, and the peer comes to a halt when that is full, too.
    fn stall(&self, inner: &Inner) {
        self.stalled.set(true);
        if let Some(stream) = &*self.stream.borrow() {
            stream.pause();
        }
        if let Some(key) = self.key.get() {
            inner.state.borrow_mut().stalled.push(key);
        }
    }

    /// Keeps what is not done with.
    fn keep(&self, mut bytes: Vec<u8>, used: usize) {
        if used < bytes.len() && self.stream.borrow().is_some() {
            bytes.drain(..used);
            *self.carry.borrow_mut() = bytes;
        }
    }

    /// Sees to it that the protocol gets its tick.
    fn arm(&self) {
        let (Some(inner), Some(due)) = (self.inner.upgrade(), self.protocol.borrow().poll_timeout()) else { return };
        let at = inner.epoch + Duration::from_millis(due);
        match self.timer.get() {
            // It fires too early and finds nothing to do: cheaper than setting a timer at every read.
            Some((armed, _)) if armed <= at => return,
            Some((_, timer)) => inner.reactor.clear_timer(timer),
            None => {}
        }
        let me = Weak::clone(&self.me);
        let timer = inner.reactor.set_timer(at, move || {
            if let Some(me) = me.upgrade() {
                me.timer.set(None);
                me.tick();
            }
        });
        self.timer.set(Some((at, timer)));
    }

    fn tick(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        // Times are cut to milliseconds, so a timer on the dot may be one too early.
        let result = self.protocol.borrow_mut().tick(inner.now() + 1);
        match result {
            Ok(()) => {
                self.flush();
                self.arm();
            }
            Err(error) => self.fail(Reason::Protocol(error)),
        }
    }
}

impl StreamSink for Connection {
    fn lend(&self, _hint: usize, read: &mut dyn FnMut(Room<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let mut carry = self.carry.borrow_mut();
        let have = carry.len();
        if self.need.get() > SCRATCH {
            // A long frame: read to where it stays, and grow by what has come, never by what was announced.
            let room = (self.need.get() - have).min(have.max(SCRATCH));
            carry.resize(have + room, 0);
            let got = read((&mut carry[have..]).into());
            carry.truncate(have + got.as_ref().copied().unwrap_or(0));
            return got;
        }
        let mut scratch = BUFFER.take().unwrap_or_else(|| vec![0; 2 * SCRATCH].into());
        scratch[..have].copy_from_slice(&carry);
        let got = read((&mut scratch[have..have + SCRATCH]).into());
        BUFFER.set(Some(scratch));
        got
    }

    fn data(&self, length: usize) {
        let mut carry = std::mem::take(&mut *self.carry.borrow_mut());
        if self.need.get() > SCRATCH {
            let used = if carry.len() < self.need.get() { 0 } else { self.receive(&carry) };
            return self.keep(carry, used);
        }
        let Some(scratch) = BUFFER.take() else { return };
        let input = &scratch[..carry.len() + length];
        let used = self.receive(input);
        if used < input.len() && self.stream.borrow().is_some() {
            carry.clear();
            carry.extend_from_slice(&input[used..]);
            *self.carry.borrow_mut() = carry;
        }
        BUFFER.set(Some(scratch));
    }

    fn end(&self) {
        self.fail(Reason::End);
    }

    fn connected(&self, result: io::Result<()>) {
        match (result, &self.origin) {
            (Ok(()), Origin::Connected(connecter)) => {
                if let Some(connecter) = connecter.upgrade() {
                    connecter.connected();
                }
                self.begin();
            }
            (Ok(()), Origin::Accepted(_)) => {}
            (Err(_), _) => self.fail(Reason::System),
        }
    }

    fn drain(&self) {
        self.flush();
    }

    fn error(&self, _syscall: &'static str, _error: io::Error) {
        self.fail(Reason::System);
    }
}
