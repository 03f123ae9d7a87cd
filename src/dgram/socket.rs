//! One UDP socket on a reactor.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::sys_unix::{self, BATCH, LARGEST, SEGMENTS};
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, Token};

/// Batches received in one turn; then the others have theirs.
const BATCHES_PER_TURN: usize = 4;
/// Bytes that one system call may carry as segments of one size: a UDP datagram's limit.
const SEGMENTED_BYTES: usize = 65_000;

/// What is told of a socket, on the reactor's thread, with no borrow held.
pub trait DatagramSink {
    /// Datagrams arrived.
    fn received(&self, batch: &Received<'_>);
    /// There is room again after [`Datagrams::send`] processed less than it was given.
    fn drain(&self);
    /// Receiving failed; the socket goes on. `ECONNREFUSED`: the peer it is connected to is not there.
    fn error(&self, error: io::Error);
}

/// Datagrams of one batch, in the order of their arrival.
#[derive(Debug)]
pub struct Received<'a> {
    pub(super) memory: &'a [u8],
    pub(super) heads: &'a [Head],
}

/// What is in slot `n` of the memory: a datagram, or several of one sender that the kernel merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) source: Option<SocketAddr>,
    /// Length of each datagram but the last, which may be shorter.
    pub(super) segment: usize,
}

impl Received<'_> {
    /// Bytes and sender of each; without a sender, the kernel did not say.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<SocketAddr>)> {
        self.heads.iter().enumerate().flat_map(|(slot, head)| {
            let bytes = &self.memory[slot * LARGEST..][..head.length];
            // An empty datagram is one, too.
            let count = head.length.div_ceil(head.segment.max(1)).max(1);
            (0..count).map(move |index| {
                let start = index * head.segment;
                (&bytes[start..head.length.min(start + head.segment)], head.source)
            })
        })
    }
}

/// A datagram to send; its bytes follow those of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// Bytes.
    pub length: usize,
    /// `None` on a connected socket.
    pub to: Option<SocketAddr>,
}

/// How to bind.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindOptions {
    /// Others may bind the same address (needed for multicast).
    pub reuse_address: bool,
    /// The kernel shares datagrams out between the sockets of one port.
    pub reuse_port: bool,
    /// `[::]` takes no IPv4 datagrams.
    pub only_v6: bool,
}

/// A UDP socket. Closed by [`Datagrams::close`] or with its last reference.
pub struct Datagrams {
    reactor: Rc<Reactor>,
    fd: RefCell<Option<OwnedFd>>,
    token: Cell<Option<Token>>,
    sink: RefCell<Option<Rc<dyn DatagramSink>>>,
    hold: Hold,
    blocked: Cell<bool>,
    /// Does the kernel take parcels of several datagrams here? Until it has refused one.
    pub(super) segments: Cell<bool>,
}

thread_local! {
    /// Where batches are received: one slot of the largest size per datagram, so only what is used becomes resident.
    static MEMORY: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

impl Datagrams {
    /// Binds a new socket and receives from then on.
    ///
    /// # Errors
    /// What `socket` and `bind` say: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`.
    pub fn bind(
        reactor: &Rc<Reactor>,
        to: SocketAddr,
        options: BindOptions,
        sink: Rc<dyn DatagramSink>,
    ) -> io::Result<Rc<Self>> {
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
        if to.is_ipv6() {
            socket.set_only_v6(options.only_v6)?;
        }
        socket.set_reuse_address(options.reuse_address)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        sys_unix::take_merged(socket.as_fd());
        socket.bind(&SockAddr::from(to))?;
        Self::open(reactor, socket.into(), sink)
    }

    /// Takes over a socket that somebody else made.
    ///
    /// # Errors
    /// What `fcntl` and `epoll_ctl` say.
    pub fn open(reactor: &Rc<Reactor>, fd: OwnedFd, sink: Rc<dyn DatagramSink>) -> io::Result<Rc<Self>> {
        SockRef::from(&fd).set_nonblocking(true)?;
        let socket = Rc::new(Self {
            reactor: Rc::clone(reactor),
            fd: RefCell::new(None),
            token: Cell::new(None),
            sink: RefCell::new(Some(sink)),
            hold: Hold::new(reactor),
            blocked: Cell::new(false),
            segments: Cell::new(sys_unix::HAS_SEGMENTS),
        });
        let source = Rc::<Self>::clone(&socket);
        socket.token.set(Some(reactor.register(fd.as_fd(), Interest::READABLE, source)?));
        *socket.fd.borrow_mut() = Some(fd);
        socket.hold.set(true);
        Ok(socket)
    }

    /// Sends a batch in order. `report` is told each datagram's end: its length, or the error; the rest of the batch
    /// goes on after an error. The number processed: less than all means that there is no room, and
    /// [`DatagramSink::drain`] tells when to go on with the rest.
    pub fn send(&self, bytes: &[u8], batch: &[Outgoing], mut report: impl FnMut(usize, io::Result<usize>)) -> usize {
        let (mut done, mut at) = (0, 0);
        while done < batch.len() {
            let parcels = self.parcels(&batch[done..]);
            let sent = self.with_fd(|fd| sys_unix::send(fd, &bytes[at..], &parcels));
            match sent {
                Ok(parcels_sent) => {
                    for parcel in &parcels[..parcels_sent] {
                        for one in &batch[done..done + parcel.count] {
                            report(done, Ok(one.length));
                            at += one.length;
                            done += 1;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for_room();
                    return done;
                }
                Err(error) if parcels[0].count > 1 && sys_unix::refuses_segments(&error) => self.segments.set(false),
                // Any other belongs to the first datagram, as if it had been sent alone; nothing has left yet.
                Err(error) => {
                    report(done, Err(error));
                    at += batch[done].length;
                    done += 1;
                }
            }
        }
        done
    }

    /// Fixes the peer: datagrams go there, and only its own are received. `None` ends that.
    ///
    /// # Errors
    /// What `connect` says.
    pub fn connect(&self, to: Option<SocketAddr>) -> io::Result<()> {
        self.with_fd(|fd| match to {
            Some(to) => SockRef::from(&fd).connect(&SockAddr::from(to)),
            None => sys_unix::disconnect(fd),
        })
    }

    /// Closes; nothing is called any more.
    pub fn close(&self) {
        let fd = self.fd.borrow_mut().take();
        if let (Some(token), Some(fd)) = (self.token.take(), &fd) {
            self.reactor.deregister(token, fd.as_fd());
        }
        drop(fd);
        self.hold.set(false);
        let sink = self.sink.borrow_mut().take();
        drop(sink);
    }

    /// Does it keep the loop alive? It does at first.
    pub fn set_ref(&self, referenced: bool) {
        self.hold.set(referenced && self.token.get().is_some());
    }

    /// The number of the descriptor, while it is open.
    pub fn raw_fd(&self) -> Option<RawFd> {
        self.fd.borrow().as_ref().map(AsRawFd::as_raw_fd)
    }

    /// For socket options and addresses.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] once closed, and those of `call`.
    pub fn with_fd<T>(&self, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match &*self.fd.borrow() {
            Some(fd) => call(fd.as_fd()),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the socket is closed")),
        }
    }

    /// What the next system call sends: neighbours of one size and one destination as segments of one parcel.
    fn parcels(&self, batch: &[Outgoing]) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = Vec::with_capacity(batch.len().min(BATCH));
        for one in batch {
            if let Some(last) = parcels.last_mut()
                && self.segments.get()
                && last.takes(one)
            {
                last.count += 1;
                last.length += one.length;
                last.closed = one.length < last.segment;
            } else if parcels.len() == BATCH {
                break;
            } else {
                parcels.push(Parcel::new(one));
            }
        }
        parcels
    }

    fn receive(&self) {
        let mut memory = MEMORY.take().unwrap_or_else(|| vec![0; BATCH * LARGEST].into_boxed_slice());
        for _ in 0..BATCHES_PER_TURN {
            let Some(sink) = self.sink.borrow().clone() else { break };
            let mut heads = [Head { length: 0, source: None, segment: 0 }; BATCH];
            match self.with_fd(|fd| sys_unix::receive(fd, &mut memory, &mut heads)) {
                Ok(count) => {
                    sink.received(&Received { memory: &memory, heads: &heads[..count] });
                    if count < BATCH {
                        return MEMORY.set(Some(memory));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return MEMORY.set(Some(memory)),
                Err(error) => sink.error(error),
            }
        }
        MEMORY.set(Some(memory));
        if let Some(token) = self.token.get() {
            self.reactor.again(token, Readiness::READABLE);
        }
    }

    fn wait_for_room(&self) {
        self.blocked.set(true);
        self.watch(Interest::READABLE.add(Interest::WRITABLE));
    }

    fn watch(&self, interest: Interest) {
        let Some(token) = self.token.get() else { return };
        if let Err(error) = self.with_fd(|fd| self.reactor.reregister(token, fd, interest))
            && let Some(sink) = self.sink.borrow().clone()
        {
            sink.error(error);
        }
    }
}

impl Source for Datagrams {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.writable && self.blocked.replace(false) {
            self.watch(Interest::READABLE);
            let sink = self.sink.borrow().clone();
            if let Some(sink) = sink {
                sink.drain();
            }
        }
        if readiness.readable || readiness.closed {
            self.receive();
        }
    }
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("fd", &self.raw_fd()).finish_non_exhaustive()
    }
}

/// One message of a system call: a datagram, or several that the kernel cuts into segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel {
    pub(super) to: Option<SocketAddr>,
    pub(super) length: usize,
    pub(super) count: usize,
    pub(super) segment: usize,
    /// The last segment was shorter: none can follow.
    closed: bool,
}

impl Parcel {
    fn new(one: &Outgoing) -> Self {
        Self { to: one.to, length: one.length, count: 1, segment: one.length, closed: one.length == 0 }
    }

    fn takes(&self, one: &Outgoing) -> bool {
        !self.closed
            && one.to == self.to
            && one.length > 0
            && one.length <= self.segment
            && self.count < SEGMENTS
            && self.length + one.length <= SEGMENTED_BYTES
    }
}
