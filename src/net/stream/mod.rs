//! One connected (or connecting) descriptor: read as it comes (`read.rs`), write at once or as soon as there is room (`write.rs`).

mod read;
mod write;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use crate::net::address::{self, Address};
use crate::net::outbox::Outbox;
use crate::net::room::Room;
use crate::net::sys_unix;
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, Token};

/// What kind of descriptor it is: how it is written to and how its sending side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP or a Unix socket (`socketpair` too).
    Socket,
    /// The end of a pipe or FIFO. Ending the sending side closes the descriptor.
    Pipe,
}

/// What is told of a stream. Calls come on the reactor's thread, with no borrow held: a sink may call the stream.
pub trait StreamSink {
    /// Lends memory for one read: calls `read` once, with `hint` bytes of memory or what is at hand (not empty), and
    /// answers what it answered. Nothing else may be called from here.
    fn lend(&self, hint: usize, read: &mut dyn FnMut(Room<'_>) -> io::Result<usize>) -> io::Result<usize>;
    /// `length` bytes (never 0) have been read into the memory lent last.
    fn data(&self, length: usize);
    /// The peer will send no more. Writing may go on.
    fn end(&self);
    /// A connect has ended. After an error the stream is of no use; close it.
    fn connected(&self, result: io::Result<()>);
    /// Everything queued has left, or there is room again after [`Stream::try_write`] took less than it was given.
    fn drain(&self);
    /// `syscall` (`read`, `write`, `shutdown`, `epoll_ctl`) failed. The other direction may still work; close it when done.
    fn error(&self, syscall: &'static str, error: io::Error);
}

/// A non-blocking descriptor on a reactor. Closed by [`Stream::close`] or with its last reference.
pub struct Stream {
    me: Weak<Self>,
    reactor: Rc<Reactor>,
    kind: Kind,
    fd: RefCell<Option<OwnedFd>>,
    token: Cell<Option<Token>>,
    sink: RefCell<Option<Rc<dyn StreamSink>>>,
    outbox: RefCell<Outbox>,
    hold: Hold,
    referenced: Cell<bool>,
    connecting: Cell<bool>,
    /// The user wants data.
    reading: Cell<bool>,
    /// A read loop is on the stack: what resumes inside it goes on there.
    in_read: Cell<bool>,
    /// The last thing the kernel said: there may be something to read.
    readable: Cell<bool>,
    /// The peer has ended or the descriptor is broken: no short read ends the reading.
    peer_ended: Cell<bool>,
    ended: Cell<bool>,
    next_read: Cell<usize>,
    asked_again: Cell<bool>,
    /// A write found no room.
    blocked: Cell<bool>,
    shutting: Cell<bool>,
}

impl Stream {
    /// Takes over an open descriptor. Nothing is read before [`Stream::resume`].
    ///
    /// # Errors
    /// What `fcntl` and `epoll_ctl` say; `EPERM`: a plain file cannot be watched.
    pub fn new(reactor: &Rc<Reactor>, fd: OwnedFd, kind: Kind, sink: Rc<dyn StreamSink>) -> io::Result<Rc<Self>> {
        sys_unix::prepare(fd.as_fd(), kind)?;
        Self::start(reactor, fd, kind, sink, false)
    }

    /// Begins to connect. [`StreamSink::connected`] follows in a later turn, also where it succeeds at once.
    ///
    /// # Errors
    /// What `socket`, `bind` and `connect` say at once (`ECONNREFUSED` and `ENOENT` on a Unix path).
    pub fn connect(
        reactor: &Rc<Reactor>,
        to: &Address,
        local: Option<&Address>,
        sink: Rc<dyn StreamSink>,
    ) -> io::Result<Rc<Self>> {
        let fd = address::connect(to, local)?;
        let stream = Self::start(reactor, fd, Kind::Socket, sink, true)?;
        stream.update_hold();
        Ok(stream)
    }

    fn start(
        reactor: &Rc<Reactor>,
        fd: OwnedFd,
        kind: Kind,
        sink: Rc<dyn StreamSink>,
        connecting: bool,
    ) -> io::Result<Rc<Self>> {
        let stream = Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            reactor: Rc::clone(reactor),
            kind,
            fd: RefCell::new(None),
            token: Cell::new(None),
            sink: RefCell::new(Some(sink)),
            outbox: RefCell::default(),
            hold: Hold::new(reactor),
            referenced: Cell::new(true),
            connecting: Cell::new(connecting),
            reading: Cell::new(false),
            in_read: Cell::new(false),
            readable: Cell::new(false),
            peer_ended: Cell::new(false),
            ended: Cell::new(false),
            next_read: Cell::new(read::FIRST),
            asked_again: Cell::new(false),
            blocked: Cell::new(false),
            shutting: Cell::new(false),
        });
        let interest = if connecting { BOTH } else { Interest::READABLE };
        let source = Rc::<Self>::clone(&stream);
        stream.token.set(Some(reactor.register(fd.as_fd(), interest, source)?));
        *stream.fd.borrow_mut() = Some(fd);
        Ok(stream)
    }

    /// Data is wanted from now on. It is delivered in a turn, never inside this call.
    pub fn resume(&self) {
        if self.reading.replace(true) {
            return;
        }
        if self.readable.get() && !self.in_read.get() {
            self.ask_again();
        }
        self.update_hold();
    }

    /// No data is wanted for now: it stays in the kernel, and the peer comes to a halt when that is full.
    pub fn pause(&self) {
        self.reading.set(false);
        self.update_hold();
    }

    /// Closes the descriptor and drops the sink; nothing is called any more. What is queued is thrown away.
    pub fn close(&self) {
        drop(self.leave());
    }

    /// Closes a TCP connection with RST: the peer sees `ECONNRESET`.
    ///
    /// # Errors
    /// What `setsockopt` says; it is closed all the same.
    pub fn reset(&self) -> io::Result<()> {
        self.leave().map_or(Ok(()), sys_unix::close_with_reset)
    }

    /// Takes the descriptor out of the reactor, open and non-blocking: for handing it on.
    pub fn leave(&self) -> Option<OwnedFd> {
        let fd = self.fd.borrow_mut().take();
        if let (Some(token), Some(fd)) = (self.token.take(), &fd) {
            self.reactor.deregister(token, fd.as_fd());
        }
        self.reading.set(false);
        self.connecting.set(false);
        self.blocked.set(false);
        self.outbox.borrow_mut().clear();
        self.hold.set(false);
        let sink = self.sink.borrow_mut().take();
        drop(sink); // Outside the borrow: this may be the last reference.
        fd
    }

    /// Does this stream keep the loop alive while it reads, writes or connects? It does at first.
    pub fn set_ref(&self, referenced: bool) {
        self.referenced.set(referenced);
        self.update_hold();
    }

    /// Open still?
    pub fn is_open(&self) -> bool {
        self.token.get().is_some()
    }

    /// The number of the descriptor, while it is open.
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.fd.borrow().as_ref().map(AsRawFd::as_raw_fd)
    }

    /// For socket options and addresses.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] on a closed stream, and those of `call`.
    pub fn with_fd<T>(&self, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match &*self.fd.borrow() {
            Some(fd) => call(fd.as_fd()),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the stream is closed")),
        }
    }

    fn finish_connect(&self) {
        let result = self.with_fd(sys_unix::take_error);
        self.connecting.set(false);
        if result.is_ok() {
            self.watch(Interest::READABLE);
            self.blocked.set(false);
        }
        self.tell(|sink| sink.connected(result));
        if self.is_open() && (!self.outbox.borrow().is_empty() || self.shutting.get()) {
            self.flush();
        }
        self.update_hold();
    }

    fn watch(&self, interest: Interest) {
        let Some(token) = self.token.get() else { return };
        if let Err(error) = self.with_fd(|fd| self.reactor.reregister(token, fd, interest)) {
            // Later: whoever is writing just now may have borrowed what his sink needs.
            let me = Weak::clone(&self.me);
            self.reactor.defer(move || {
                if let Some(me) = me.upgrade() {
                    me.tell(|sink| sink.error("epoll_ctl", error));
                }
            });
        }
    }

    fn update_hold(&self) {
        let busy = self.connecting.get() || self.reading.get() || self.blocked.get();
        self.hold.set(busy && self.referenced.get() && self.is_open());
    }

    fn sink(&self) -> Option<Rc<dyn StreamSink>> {
        self.sink.borrow().clone()
    }

    fn tell(&self, call: impl FnOnce(&dyn StreamSink)) {
        if let Some(sink) = self.sink() {
            call(&*sink);
        }
    }
}

impl Source for Stream {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        self.asked_again.set(false);
        if readiness.readable || readiness.closed {
            self.readable.set(true);
        }
        if readiness.closed {
            self.peer_ended.set(true);
        }
        if self.connecting.get() {
            if !readiness.writable && !readiness.closed {
                return;
            }
            self.finish_connect();
        }
        self.read();
        if readiness.writable && self.blocked.get() {
            self.flush();
        }
    }

    fn abandon(self: Rc<Self>) {
        self.close(); // The sink holds the stream.
    }

    fn directly_readable(self: Rc<Self>) -> bool {
        if !self.reading.get() || self.connecting.get() || self.ended.get() {
            return false;
        }
        self.readable.set(true);
        let found = self.read_once() > 0;
        if self.readable.get() {
            self.ask_again();
        }
        self.update_hold();
        found
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("fd", &self.raw_fd()).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Room is watched for only while it is waited for: a Unix socket reports it at every read of its peer.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
