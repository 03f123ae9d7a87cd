//! UDP sockets for JavaScript: [`NetDgram`], one native object per socket.
//!
//! Results are 0 or more, or a negative errno, as in `net/`. Datagrams cross in batches both ways: bytes in one slab,
//! lengths in a table of 32-bit integers.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::{EnvState, errno, status};
use super::net::{SocketName, interface_index, ip, is_not_open, named};
use super::slab::write;
use crate::dgram::{BindOptions, DatagramSink, Datagrams, Membership, Outgoing, Received};
use crate::net::Address;

/// The first argument of a socket's function; `lib/dgram/handle.js` has the same numbers.
mod event {
    /// slab, offset of the table of lengths, count, address, port, family: datagrams of one sender. Each datagram's
    /// bytes begin at the next multiple of 8 behind the table or the datagram before.
    pub(super) const MESSAGES: i32 = 0;
    pub(super) const DRAIN: i32 = 1;
    /// errno
    pub(super) const ERROR: i32 = 2;
}

/// What begins a datagram's bytes in the slab.
const ALIGNMENT: usize = 8;
/// Integers per datagram in the table of `send`: length, index of the destination or -1, and (out) the result.
const COLUMNS: usize = 3;

/// One UDP socket.
#[napi]
pub(crate) struct NetDgram {
    state: Rc<EnvState>,
    on_event: RefCell<Option<Rc<JsSink>>>,
    /// The reactor keeps the socket; it ends with the thread even if JavaScript has not closed it.
    socket: RefCell<Weak<Datagrams>>,
    referenced: Cell<bool>,
}

#[napi]
impl NetDgram {
    /// A socket that is not bound yet.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        #[napi(ts_arg_type = "(event: number, ...args: any[]) => void")] on_event: Function<'_, (), ()>,
    ) -> Result<Self> {
        let state = EnvState::of(&env)?;
        let on_event = Callback::new(&env, &on_event, "UDPWRAP")?;
        let sink = Rc::new(JsSink { state: Rc::downgrade(&state), on_event });
        let on_event = RefCell::new(Some(sink));
        Ok(Self { state, on_event, socket: RefCell::default(), referenced: Cell::new(true) })
    }

    /// Binds to an IP address and port, and receives.
    #[napi(catch_unwind)]
    pub fn bind(&self, host: String, port: u16, reuse_address: bool, reuse_port: bool, only_v6: bool) -> i32 {
        let (Some(to), Some(sink)) = (socket_address(&host, port), self.sink()) else {
            return -libc::EINVAL;
        };
        let options = BindOptions { reuse_address, reuse_port, only_v6 };
        self.install(Datagrams::bind(self.state.reactor(), to, options, sink))
    }

    /// Takes over a bound descriptor.
    #[napi(catch_unwind)]
    pub fn open(&self, fd: i32) -> i32 {
        let Some(sink) = self.sink().filter(|_| !is_not_open(fd)) else {
            return -libc::EBADF;
        };
        // SAFETY: it is open, and its owner hands it over by this call.
        self.install(Datagrams::open(self.state.reactor(), unsafe { OwnedFd::from_raw_fd(fd) }, sink))
    }

    /// Fixes the peer.
    #[napi(catch_unwind)]
    pub fn connect(&self, host: String, port: u16) -> i32 {
        match socket_address(&host, port) {
            Some(to) => self.with(|socket| socket.connect(Some(to))),
            None => -libc::EINVAL,
        }
    }

    /// Ends that.
    #[napi(catch_unwind)]
    pub fn disconnect(&self) -> i32 {
        self.with(|socket| socket.connect(None))
    }

    /// Sends datagrams whose bytes follow each other in `bytes`. `table`: three integers per datagram: length, index of
    /// the destination (-1: connected), and, written here, bytes sent or errno. The number processed; the rest waits for
    /// event DRAIN.
    #[napi(catch_unwind)]
    pub fn send(
        &self,
        bytes: &[u8],
        mut table: Int32ArraySlice<'_>,
        count: u32,
        hosts: Vec<String>,
        ports: Vec<u16>,
    ) -> i32 {
        let Some(socket) = self.live() else {
            return -libc::EBADF;
        };
        let to: Vec<_> = hosts.iter().zip(ports).map(|(host, port)| socket_address(host, port)).collect();
        // SAFETY: JavaScript's own array, alive during this call, in which no JavaScript runs.
        let table = unsafe { table.as_mut() };
        let rows = table.get(..count as usize * COLUMNS).map(|table| table.chunks_exact(COLUMNS));
        let batch: Option<Vec<_>> = rows.and_then(|mut rows| {
            rows.try_fold(Vec::new(), |mut batch, row| {
                let to = match usize::try_from(row[1]) {
                    Ok(index) => Some((*to.get(index)?)?),
                    Err(_) => None,
                };
                batch.push(Outgoing { length: usize::try_from(row[0]).ok()?, to });
                Some(batch)
            })
        });
        let Some(batch) = batch.filter(|batch| batch.iter().map(|one| one.length).sum::<usize>() <= bytes.len()) else {
            return -libc::EINVAL;
        };
        let done = socket.send(bytes, &batch, |index, end| {
            table[index * COLUMNS + 2] =
                end.map_or_else(|error| errno(&error), |sent| i32::try_from(sent).unwrap_or(0));
        });
        i32::try_from(done).unwrap_or(i32::MAX)
    }

    /// Closes; no event follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(socket) = self.live() {
            socket.close();
        }
        self.on_event.take();
    }

    /// Does this keep the process alive?
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        self.referenced.set(referenced);
        if let Some(socket) = self.live() {
            socket.set_ref(referenced);
        }
    }

    /// The descriptor's number, -1 when not bound.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.live().and_then(|socket| socket.raw_fd()).unwrap_or(-1)
    }

    /// Where this end is; an errno where that cannot be told.
    #[napi(catch_unwind)]
    pub fn local_name(&self) -> Either<SocketName, i32> {
        self.name(|socket| socket.with_fd(|fd| Address::of_local(fd)))
    }

    /// Where the other end is.
    #[napi(catch_unwind)]
    pub fn peer_name(&self) -> Either<SocketName, i32> {
        self.name(|socket| socket.with_fd(|fd| Address::of_peer(fd)))
    }

    /// May datagrams go to broadcast addresses?
    #[napi(catch_unwind)]
    pub fn set_broadcast(&self, on: bool) -> i32 {
        self.with(|socket| socket.set_broadcast(on))
    }

    /// 1 to 255
    #[napi(catch_unwind)]
    pub fn set_ttl(&self, ttl: f64) -> i32 {
        self.with(|socket| socket.set_ttl(hops(ttl)))
    }

    /// 0 to 255
    #[napi(catch_unwind)]
    pub fn set_multicast_ttl(&self, ttl: f64) -> i32 {
        self.with(|socket| socket.set_multicast_ttl(hops(ttl)))
    }

    /// Does this machine receive its own multicasts?
    #[napi(catch_unwind)]
    pub fn set_multicast_loopback(&self, on: bool) -> i32 {
        self.with(|socket| socket.set_multicast_loopback(on))
    }

    /// An address of the interface; for IPv6 one with `%interface`.
    #[napi(catch_unwind)]
    pub fn set_multicast_interface(&self, interface: String) -> i32 {
        let address = socket_address(&interface, 0);
        self.with(|socket| match address {
            Some(SocketAddr::V4(v4)) => socket.set_multicast_interface(Some(*v4.ip()), None),
            Some(SocketAddr::V6(v6)) => socket.set_multicast_interface(None, Some(v6.scope_id())),
            None => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        })
    }

    /// Joins or leaves a multicast group.
    #[napi(catch_unwind)]
    pub fn set_membership(&self, group: String, interface: Option<String>, source: Option<String>, join: bool) -> i32 {
        let Some(membership) = membership(&group, interface.as_deref(), source.as_deref()) else {
            return if self.live().is_some() { -libc::EINVAL } else { -libc::EBADF };
        };
        self.with(|socket| socket.set_membership(&membership, join))
    }

    /// Size of the kernel's buffer; 0 only asks.
    #[napi(catch_unwind)]
    pub fn buffer_size(&self, receive: bool, size: u32) -> i32 {
        match self.live().map(|socket| socket.buffer_size(receive, size as usize)) {
            Some(Ok(size)) => i32::try_from(size).unwrap_or(i32::MAX),
            Some(Err(error)) => errno(&error),
            None => -libc::EBADF,
        }
    }

    fn sink(&self) -> Option<Rc<JsSink>> {
        self.on_event.borrow().clone()
    }

    fn install(&self, socket: io::Result<Rc<Datagrams>>) -> i32 {
        status(socket.map(|socket| {
            self.on_event.take(); // The socket has it now.
            socket.set_ref(self.referenced.get());
            *self.socket.borrow_mut() = Rc::downgrade(&socket);
        }))
    }

    fn live(&self) -> Option<Rc<Datagrams>> {
        self.socket.borrow().upgrade()
    }

    fn with(&self, call: impl FnOnce(&Datagrams) -> io::Result<()>) -> i32 {
        self.live().map_or(-libc::EBADF, |socket| status(call(&socket)))
    }

    fn name(&self, call: impl FnOnce(&Datagrams) -> io::Result<Option<Address>>) -> Either<SocketName, i32> {
        match self.live().map(|socket| call(&socket)) {
            Some(result) => named(result),
            None => Either::B(-libc::EBADF),
        }
    }
}

/// Packs batches into the thread's slab and calls the socket's function.
struct JsSink {
    state: Weak<EnvState>,
    on_event: Callback,
}

impl DatagramSink for JsSink {
    fn received(&self, batch: &Received<'_>) {
        let mut run: Vec<&[u8]> = Vec::new();
        let mut sender = None;
        for (bytes, source) in batch.iter() {
            if source != sender && !run.is_empty() {
                self.deliver(&run, sender);
                run.clear();
            }
            sender = source;
            run.push(bytes);
        }
        if !run.is_empty() {
            self.deliver(&run, sender);
        }
    }

    fn drain(&self) {
        self.on_event.call(&[Arg::Int(event::DRAIN)]);
    }

    fn error(&self, error: io::Error) {
        self.on_event.call(&[Arg::Int(event::ERROR), Arg::Int(errno(&error))]);
    }
}

impl JsSink {
    fn deliver(&self, run: &[&[u8]], sender: Option<SocketAddr>) {
        let Some(state) = self.state.upgrade() else { return };
        // What does not fit into one slab goes in two.
        let table = (run.len() * 4).next_multiple_of(ALIGNMENT);
        let total = run.iter().map(|bytes| bytes.len().next_multiple_of(ALIGNMENT)).sum::<usize>() + table;
        let Some(memory) = state.slab().reserve(&state, total) else {
            return self.error(io::ErrorKind::OutOfMemory.into());
        };
        if memory.len() < total && run.len() > 1 {
            let (first, second) = run.split_at(run.len() / 2);
            self.deliver(first, sender);
            return self.deliver(second, sender);
        }
        if memory.len() < total {
            return self.error(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: the slab's until `take`, and nobody has been shown it; no JavaScript runs here.
        pack(run, table, unsafe { &mut *memory.as_ptr() });
        let (slab, offset) = state.slab().take(total);
        let (address, port, family) = sender.map_or((String::new(), 0, 4), |sender| {
            (text_of(sender), sender.port(), if sender.is_ipv4() { 4 } else { 6 })
        });
        let count = i32::try_from(run.len()).unwrap_or(0);
        self.on_event.call(&[
            Arg::Int(event::MESSAGES),
            Arg::Reference(slab),
            Arg::Int(i32::try_from(offset).unwrap_or(0)),
            Arg::Int(count),
            Arg::Text(&address),
            Arg::Int(port.into()),
            Arg::Int(family),
        ]);
    }
}

fn pack(run: &[&[u8]], table: usize, memory: &mut [MaybeUninit<u8>]) {
    let mut at = table;
    for (index, bytes) in run.iter().enumerate() {
        let length = u32::try_from(bytes.len()).unwrap_or(0);
        write(&mut memory[index * 4..][..4], &length.to_ne_bytes());
        write(&mut memory[at..][..bytes.len()], bytes);
        at += bytes.len().next_multiple_of(ALIGNMENT);
    }
}

/// With the interface, as Node says a link-local sender.
fn text_of(sender: SocketAddr) -> String {
    match sender {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), interface_name(v6.scope_id())),
        _ => sender.ip().to_string(),
    }
}

fn interface_name(index: u32) -> String {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: room for the longest name and its NUL.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return index.to_string();
    }
    // SAFETY: the name that was written, with its NUL.
    unsafe { std::ffi::CStr::from_ptr(found) }.to_string_lossy().into_owned()
}

fn membership(group: &str, interface: Option<&str>, source: Option<&str>) -> Option<Membership> {
    let group: IpAddr = group.parse().ok()?;
    let source = match source {
        Some(source) => Some(source.parse().ok()?),
        None => None,
    };
    let mut membership = Membership { group, interface_v4: Ipv4Addr::UNSPECIFIED, interface_v6: 0, source };
    match interface.map(|interface| (interface, socket_address(interface, 0))) {
        None => {}
        Some((_, Some(SocketAddr::V4(v4)))) if group.is_ipv4() => membership.interface_v4 = *v4.ip(),
        Some((_, Some(SocketAddr::V6(v6)))) if group.is_ipv6() => membership.interface_v6 = v6.scope_id(),
        Some((name, None)) if group.is_ipv6() => membership.interface_v6 = interface_index(name)?,
        Some(_) => return None,
    }
    Some(membership)
}

fn socket_address(host: &str, port: u16) -> Option<SocketAddr> {
    match ip(host, port) {
        Some(Address::Ip(address)) => Some(address),
        _ => None,
    }
}

/// Any number from JavaScript; what is no number of hops becomes one that the kernel's bounds refuse.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the casts saturate, and the result is checked"
)]
fn hops(ttl: f64) -> u32 {
    if ttl < 0.0 || ttl.is_nan() { u32::MAX } else { ttl as u32 }
}
