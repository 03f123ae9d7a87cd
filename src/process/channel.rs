//! The channel of `fork`: a Unix stream socket on which descriptors travel beside the bytes (`SCM_RIGHTS`, unix(7)).
//!
//! What the bytes mean is not known here: Node's two wires are cut into messages in JavaScript, where `JSON.parse` and the
//! structured-clone reader are.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, Token};

/// Who hears of a channel, on its reactor's thread.
pub trait ChannelSink {
    /// `bytes` (never none) have been read; these descriptors came with the first of them.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`]: there is no memory to keep them in. The channel reads no more.
    fn data(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()>;
    /// The other side has closed the channel.
    fn end(&self);
    /// There is room again, after [`Channel::write`] took less than all.
    fn drain(&self);
    /// Reading failed.
    fn error(&self, error: io::Error);
}

/// One end of a channel. Closed by [`Channel::close`] or with its last reference.
pub struct Channel {
    reactor: Rc<Reactor>,
    fd: RefCell<Option<OwnedFd>>,
    token: Cell<Option<Token>>,
    sink: RefCell<Option<Rc<dyn ChannelSink>>>,
    hold: Hold,
    reading: Cell<bool>,
    readable: Cell<bool>,
    blocked: Cell<bool>,
}

/// Bytes read at once, and the most that is read in one turn.
const READ: usize = 64 * 1024;
const READ_PER_TURN: usize = 1024 * 1024;
/// Node sends one descriptor with a message; what a stranger sends beyond these the kernel closes.
const DESCRIPTORS: usize = 4;

thread_local! {
    /// Where channels are read into. What came is copied out: a message is mostly short, and keeps no more memory than it has.
    static MEMORY: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

impl Channel {
    /// Takes over a socket that does not block. Nothing is read before [`Channel::resume`]. It holds the loop.
    ///
    /// # Errors
    /// What `epoll_ctl` says.
    pub fn new(reactor: &Rc<Reactor>, fd: OwnedFd, sink: Rc<dyn ChannelSink>) -> io::Result<Rc<Self>> {
        let channel = Rc::new(Self {
            reactor: Rc::clone(reactor),
            fd: RefCell::new(None),
            token: Cell::new(None),
            sink: RefCell::new(Some(sink)),
            hold: Hold::new(reactor),
            reading: Cell::new(false),
            readable: Cell::new(false),
            blocked: Cell::new(false),
        });
        let source = Rc::<Self>::clone(&channel);
        channel.token.set(Some(reactor.register(fd.as_fd(), Interest::READABLE, source)?));
        *channel.fd.borrow_mut() = Some(fd);
        channel.hold.set(true);
        Ok(channel)
    }

    /// Begins to read, in a later turn.
    pub fn resume(&self) {
        if !self.reading.replace(true)
            && self.readable.get()
            && let Some(token) = self.token.get()
        {
            self.reactor.again(token, Readiness { readable: true, ..Readiness::default() });
        }
    }

    /// Sends what the kernel takes now, and a copy of `descriptor` with the first byte of it. The number of bytes; if that
    /// is less than all, [`ChannelSink::drain`] tells when to try again.
    ///
    /// # Errors
    /// `EPIPE`, `ECONNRESET`; [`io::ErrorKind::NotConnected`] once closed.
    pub fn write(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
        let sent = self.with_fd(|fd| send(fd, bytes, descriptor));
        let sent = match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        if sent < bytes.len() {
            self.blocked.set(true);
            self.watch(Interest::READABLE | Interest::WRITABLE)?;
        }
        Ok(sent)
    }

    /// Does it keep the loop alive?
    pub fn set_ref(&self, referenced: bool) {
        self.hold.set(referenced && self.token.get().is_some());
    }

    /// Nothing is called any more.
    pub fn close(&self) {
        let fd = self.fd.borrow_mut().take();
        if let (Some(token), Some(fd)) = (self.token.take(), &fd) {
            self.reactor.deregister(token, fd.as_fd());
        }
        self.hold.set(false);
        let sink = self.sink.borrow_mut().take();
        drop(sink); // Outside the borrow: this may be the last reference.
    }

    /// The number of the descriptor, while it is open.
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.fd.borrow().as_ref().map(AsRawFd::as_raw_fd)
    }

    fn read(&self) {
        let mut budget = READ_PER_TURN;
        while self.reading.get() && self.readable.get() {
            let Some(sink) = self.sink.borrow().clone() else { return };
            if budget == 0 {
                return self.ask_again();
            }
            match self.read_once(&*sink) {
                // A read stops where a descriptor was attached, so a short one says nothing: until there is no more.
                Ok(length @ 1..) => budget = budget.saturating_sub(length),
                Ok(0) => {
                    self.reading.set(false);
                    sink.end();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable.set(false),
                Err(error) => {
                    self.reading.set(false);
                    sink.error(error);
                }
            }
        }
    }

    fn read_once(&self, sink: &dyn ChannelSink) -> io::Result<usize> {
        let mut descriptors = Vec::new();
        let mut memory = MEMORY.take().unwrap_or_else(|| vec![0; READ].into_boxed_slice());
        let read = self.with_fd(|fd| receive(fd, &mut memory, &mut descriptors));
        let handed = match read {
            Ok(length @ 1..) => sink.data(&memory[..length], descriptors),
            _ => Ok(()),
        };
        MEMORY.set(Some(memory));
        handed.and(read)
    }

    fn ask_again(&self) {
        if let Some(token) = self.token.get() {
            self.reactor.again(token, Readiness::default());
        }
    }

    fn watch(&self, interest: Interest) -> io::Result<()> {
        let Some(token) = self.token.get() else { return Ok(()) };
        self.with_fd(|fd| self.reactor.reregister(token, fd, interest))
    }

    fn with_fd<T>(&self, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match &*self.fd.borrow() {
            Some(fd) => call(fd.as_fd()),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the channel is closed")),
        }
    }
}

impl Source for Channel {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.readable || readiness.closed {
            self.readable.set(true);
        }
        if readiness.writable && self.blocked.replace(false) {
            // Watched for both all the time, a Unix socket tells of every read of the other side.
            let watched = self.watch(Interest::READABLE);
            if let Some(sink) = self.sink.borrow().clone() {
                match watched {
                    Ok(()) => sink.drain(),
                    Err(error) => sink.error(error),
                }
            }
        }
        self.read();
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("fd", &self.raw_fd()).finish_non_exhaustive()
    }
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.as_slice();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    #[cfg(target_os = "linux")]
    let flags = SendFlags::NOSIGNAL;
    #[cfg(not(target_os = "linux"))]
    let flags = SendFlags::empty(); // SIGPIPE is ignored process-wide, by Node as by Rust's runtime.
    loop {
        match rustix::net::sendmsg(fd, &[IoSlice::new(bytes)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

fn receive(fd: BorrowedFd<'_>, memory: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    let received = loop {
        match rustix::net::recvmsg(fd, &mut [IoSliceMut::new(memory)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok(received.bytes)
}
