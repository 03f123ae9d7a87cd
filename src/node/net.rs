//! Stream sockets for JavaScript: [`NetStream`] and [`NetListener`], one native object per socket.
//!
//! Results are 0 or more, or a negative errno. Events reach one JavaScript function per object, called with a number:
//! see [`event`]. An object that was closed, or whose stream has ended by itself, answers `-EBADF`.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::{EnvState, errno, status};
use crate::net::{Address, Kind, ListenOptions, Listener, ListenerSink, Room, Stream, StreamSink, bind_failure};

/// The first argument of a stream's function; `lib/net/handle.js` has the same numbers.
mod event {
    /// slab, offset, length
    pub(super) const DATA: i32 = 0;
    pub(super) const END: i32 = 1;
    /// 0 or errno
    pub(super) const CONNECTED: i32 = 2;
    pub(super) const DRAIN: i32 = 3;
    /// errno, name of the system call
    pub(super) const ERROR: i32 = 4;
}

/// Tells a refused local address from a refused connection; `lib/net/connect.js` knows it.
const BIND: i32 = 100_000;

/// An address as `socket.address()` gives it.
#[napi(object, object_from_js = false)]
pub(crate) struct SocketName {
    /// IP address, or path of a Unix socket (an abstract name begins with NUL)
    pub address: String,
    /// `IPv4` or `IPv6`; none for a path
    pub family: Option<&'static str>,
    /// none for a path
    pub port: Option<u16>,
}

/// One connection, or the attempt at one.
#[napi]
pub(crate) struct NetStream {
    state: Rc<EnvState>,
    on_event: RefCell<Option<Callback>>,
    /// The reactor keeps the stream; it ends with the thread even if JavaScript has not closed it.
    stream: RefCell<Weak<Stream>>,
    referenced: Cell<bool>,
}

#[napi]
impl NetStream {
    /// `kind` is what async_hooks call it.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        #[napi(ts_arg_type = "(event: number, a?: any, b?: any, c?: any) => void")] on_event: Function<'_, (), ()>,
        kind: String,
    ) -> Result<Self> {
        let on_event = RefCell::new(Some(Callback::new(&env, &on_event, &kind)?));
        Ok(Self { state: EnvState::of(&env)?, on_event, stream: RefCell::default(), referenced: Cell::new(true) })
    }

    /// Takes over a descriptor: a socket, or (`pipe`) the end of a pipe.
    #[napi(catch_unwind)]
    pub fn open(&self, fd: i32, pipe: bool) -> i32 {
        if is_not_open(fd) {
            return -libc::EBADF;
        }
        // SAFETY: it is open, and its owner hands it over by this call.
        self.adopt(unsafe { OwnedFd::from_raw_fd(fd) }, if pipe { Kind::Pipe } else { Kind::Socket })
    }

    /// Begins to connect over TCP. `host` is an IP address, with `%interface` if need be. Where it was the local
    /// address that was refused, the errno is less by [`BIND`].
    #[napi(catch_unwind)]
    pub fn connect_ip(&self, host: String, port: u16, local_host: Option<String>, local_port: Option<u16>) -> i32 {
        let local = match local_host.map(|host| ip(&host, local_port.unwrap_or(0))) {
            Some(None) => return -libc::EINVAL,
            Some(local) => local,
            None => None,
        };
        match ip(&host, port) {
            Some(to) => self.connect(&to, local.as_ref()),
            None => -libc::EINVAL,
        }
    }

    /// Begins to connect to a Unix path.
    #[napi(catch_unwind)]
    pub fn connect_path(&self, path: &[u8]) -> i32 {
        self.connect(&unix(path), None)
    }

    /// Data is wanted, from the next turn on.
    #[napi(catch_unwind)]
    pub fn resume(&self) -> i32 {
        self.with(|stream| {
            stream.resume();
            Ok(())
        })
    }

    /// No data is wanted for now.
    #[napi(catch_unwind)]
    pub fn pause(&self) -> i32 {
        self.with(|stream| {
            stream.pause();
            Ok(())
        })
    }

    /// Writes `bytes[from..to]` as far as the kernel takes it: the number of bytes. After less than all, event DRAIN.
    #[napi(catch_unwind)]
    pub fn write(&self, bytes: &[u8], from: u32, to: u32) -> i32 {
        let Some(part) = bytes.get(from as usize..to as usize) else {
            return -libc::EINVAL;
        };
        match self.live().map(|stream| stream.try_write(&[IoSlice::new(part)])) {
            Some(Ok(taken)) => i32::try_from(taken).unwrap_or(i32::MAX),
            Some(Err(error)) => errno(&error),
            None => -libc::EBADF,
        }
    }

    /// Ends the sending side.
    #[napi(catch_unwind)]
    pub fn shutdown(&self) -> i32 {
        self.with(Stream::shutdown)
    }

    /// Closes; no event follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(stream) = self.live() {
            stream.close();
        }
        self.on_event.take();
    }

    /// Closes with RST.
    #[napi(catch_unwind)]
    pub fn reset(&self) -> i32 {
        let result = self.with(Stream::reset);
        self.on_event.take();
        result
    }

    /// Does this keep the process alive?
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        self.referenced.set(referenced);
        if let Some(stream) = self.live() {
            stream.set_ref(referenced);
        }
    }

    /// The descriptor's number, -1 when closed.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.live().and_then(|stream| stream.raw_fd()).unwrap_or(-1)
    }

    /// Nagle's algorithm off or on.
    #[napi(catch_unwind)]
    pub fn set_no_delay(&self, on: bool) -> i32 {
        self.with(|stream| stream.set_nodelay(on))
    }

    /// `delay` in seconds; 0 leaves the system's.
    #[napi(catch_unwind)]
    pub fn set_keep_alive(&self, on: bool, delay: u32) -> i32 {
        let delay = (delay > 0).then(|| Duration::from_secs(delay.into()));
        self.with(|stream| stream.set_keepalive(on, delay))
    }

    /// Where this end is; an errno where that cannot be told.
    #[napi(catch_unwind)]
    pub fn local_name(&self) -> Either<SocketName, i32> {
        self.name(|stream| stream.with_fd(|fd| Address::of_local(fd)))
    }

    /// Where the other end is.
    #[napi(catch_unwind)]
    pub fn peer_name(&self) -> Either<SocketName, i32> {
        self.name(|stream| stream.with_fd(|fd| Address::of_peer(fd)))
    }

    fn adopt(&self, fd: OwnedFd, kind: Kind) -> i32 {
        let Some(sink) = self.sink() else {
            return -libc::EBADF;
        };
        self.install(Stream::new(self.state.reactor(), fd, kind, sink))
    }

    fn connect(&self, to: &Address, local: Option<&Address>) -> i32 {
        let Some(sink) = self.sink() else {
            return -libc::EBADF;
        };
        match Stream::connect(self.state.reactor(), to, local, sink) {
            Err(error) if bind_failure(&error).is_some() => bind_failure(&error).map_or(0, |bind| errno(bind) - BIND),
            stream => self.install(stream),
        }
    }

    fn install(&self, stream: io::Result<Rc<Stream>>) -> i32 {
        status(stream.map(|stream| {
            stream.set_ref(self.referenced.get());
            *self.stream.borrow_mut() = Rc::downgrade(&stream);
        }))
    }

    /// Taken once: an object is one connection.
    fn sink(&self) -> Option<Rc<JsSink>> {
        let on_event = self.on_event.take()?;
        Some(Rc::new(JsSink { state: Rc::downgrade(&self.state), on_event }))
    }

    fn live(&self) -> Option<Rc<Stream>> {
        self.stream.borrow().upgrade()
    }

    fn with(&self, call: impl FnOnce(&Stream) -> io::Result<()>) -> i32 {
        self.live().map_or(-libc::EBADF, |stream| status(call(&stream)))
    }

    fn name(&self, call: impl FnOnce(&Stream) -> io::Result<Option<Address>>) -> Either<SocketName, i32> {
        match self.live().map(|stream| call(&stream)) {
            Some(result) => named(result),
            None => Either::B(-libc::EBADF),
        }
    }
}

/// Reads into the thread's slab and calls the stream's function.
struct JsSink {
    state: Weak<EnvState>,
    on_event: Callback,
}

impl StreamSink for JsSink {
    fn lend(&self, hint: usize, read: &mut dyn FnMut(Room<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let state = self.state.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let memory = state.slab().reserve(&state, hint).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the slab's until `take`, and nobody has been shown it; no JavaScript runs here, nor another `reserve`.
        read(unsafe { &mut *memory.as_ptr() }.into())
    }

    fn data(&self, length: usize) {
        let Some(state) = self.state.upgrade() else { return };
        let (slab, offset) = state.slab().take(length);
        self.on_event.call(&[Arg::Int(event::DATA), Arg::Reference(slab), int(offset), int(length)]);
    }

    fn end(&self) {
        self.on_event.call(&[Arg::Int(event::END)]);
    }

    fn connected(&self, result: io::Result<()>) {
        self.on_event.call(&[Arg::Int(event::CONNECTED), Arg::Int(status(result))]);
    }

    fn drain(&self) {
        self.on_event.call(&[Arg::Int(event::DRAIN)]);
    }

    fn error(&self, syscall: &'static str, error: io::Error) {
        self.on_event.call(&[Arg::Int(event::ERROR), Arg::Int(errno(&error)), Arg::Text(syscall)]);
    }
}

/// One listening socket.
#[napi]
pub(crate) struct NetListener {
    state: Rc<EnvState>,
    sink: RefCell<Option<Rc<Accepted>>>,
    waiting: Rc<Cell<Option<OwnedFd>>>,
    listener: RefCell<Weak<Listener>>,
}

#[napi]
impl NetListener {
    /// `on_connection` is called with 0 (then `accept` takes the connection) or an errno.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        #[napi(ts_arg_type = "(status: number) => void")] on_connection: Function<'_, (), ()>,
        kind: String,
    ) -> Result<Self> {
        let waiting = Rc::new(Cell::new(None));
        let on_connection = Callback::new(&env, &on_connection, &kind)?;
        let sink = Rc::new(Accepted { on_connection, waiting: Rc::clone(&waiting) });
        let sink = RefCell::new(Some(sink));
        Ok(Self { state: EnvState::of(&env)?, sink, waiting, listener: RefCell::default() })
    }

    /// Listens on an IP address and port.
    #[napi(catch_unwind)]
    pub fn listen_ip(&self, host: String, port: u16, backlog: i32, only_v6: bool, reuse_port: bool) -> i32 {
        let options = ListenOptions { backlog, only_v6, reuse_port, mode: 0 };
        ip(&host, port).map_or(-libc::EINVAL, |to| self.bind(&to, options))
    }

    /// Listens on a Unix path. `mode`: bits added to those of the file.
    #[napi(catch_unwind)]
    pub fn listen_path(&self, path: &[u8], backlog: i32, mode: u32) -> i32 {
        self.bind(&unix(path), ListenOptions { backlog, mode, ..ListenOptions::default() })
    }

    /// Listens on a bound socket.
    #[napi(catch_unwind)]
    pub fn listen_fd(&self, fd: i32, backlog: i32) -> i32 {
        if is_not_open(fd) {
            return -libc::EBADF;
        }
        // SAFETY: it is open, and its owner hands it over by this call.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let Some(sink) = self.sink.take() else {
            return -libc::EBADF;
        };
        self.install(Listener::listen(self.state.reactor(), fd, backlog, sink))
    }

    /// Hands the connection that was just told of to `stream`.
    #[napi(catch_unwind)]
    pub fn accept(&self, stream: &NetStream) -> i32 {
        self.waiting.take().map_or(-libc::EAGAIN, |fd| stream.adopt(fd, Kind::Socket))
    }

    /// Stops listening.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(listener) = self.live() {
            listener.close();
        }
        self.sink.take();
    }

    /// Does this keep the process alive?
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        if let Some(listener) = self.live() {
            listener.set_ref(referenced);
        }
    }

    /// The descriptor's number, -1 when closed.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.live().and_then(|listener| listener.raw_fd()).unwrap_or(-1)
    }

    /// Where it listens.
    #[napi(catch_unwind)]
    pub fn local_name(&self) -> Either<SocketName, i32> {
        match self.live().map(|listener| listener.local_address()) {
            Some(result) => named(result),
            None => Either::B(-libc::EBADF),
        }
    }

    fn bind(&self, to: &Address, options: ListenOptions) -> i32 {
        let Some(sink) = self.sink.borrow().clone() else {
            return -libc::EBADF;
        };
        let result = self.install(Listener::bind(self.state.reactor(), to, options, sink));
        if result == 0 {
            self.sink.take(); // The listener has it now; a failed attempt may be followed by another.
        }
        result
    }

    fn install(&self, listener: io::Result<Rc<Listener>>) -> i32 {
        status(listener.map(|listener| {
            *self.listener.borrow_mut() = Rc::downgrade(&listener);
        }))
    }

    fn live(&self) -> Option<Rc<Listener>> {
        self.listener.borrow().upgrade()
    }
}

/// Calls the listener's function for each connection; one that it does not take is closed.
struct Accepted {
    on_connection: Callback,
    waiting: Rc<Cell<Option<OwnedFd>>>,
}

impl ListenerSink for Accepted {
    fn accepted(&self, fd: OwnedFd) {
        self.waiting.set(Some(fd));
        self.on_connection.call(&[Arg::Int(0)]);
        drop(self.waiting.take());
    }

    fn error(&self, error: io::Error) {
        self.on_connection.call(&[Arg::Int(errno(&error))]);
    }
}

/// What a descriptor is: `socket`, `pipe`, or what it is not usable for: `UDP`, `FILE`, `UNKNOWN`, `INVALID`.
#[napi(catch_unwind)]
pub(crate) fn descriptor_kind(fd: i32) -> &'static str {
    use rustix::fs::FileType;
    if is_not_open(fd) {
        return "INVALID";
    }
    // SAFETY: it is open; it is only looked at.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    match rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Socket) => match rustix::net::sockopt::socket_type(fd) {
            Ok(rustix::net::SocketType::STREAM) => "socket",
            Ok(rustix::net::SocketType::DGRAM) => "UDP",
            _ => "UNKNOWN",
        },
        Ok(FileType::Fifo) => "pipe",
        Ok(FileType::RegularFile) => "FILE",
        _ => "UNKNOWN",
    }
}

/// The address family of a socket: `unix`, `ip` or `other`.
#[napi(catch_unwind)]
pub(crate) fn descriptor_family(fd: i32) -> &'static str {
    if is_not_open(fd) {
        return "other";
    }
    // SAFETY: it is open; it is only looked at.
    match Address::of_local(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }) {
        Ok(Some(Address::Ip(_))) => "ip",
        Ok(_) => "unix",
        Err(_) => "other",
    }
}

pub(super) fn named(result: io::Result<Option<Address>>) -> Either<SocketName, i32> {
    match result {
        Ok(Some(Address::Ip(ip))) => Either::A(SocketName {
            // The interface is not part of it, as in Node.
            address: ip.ip().to_string(),
            family: Some(if ip.is_ipv4() { "IPv4" } else { "IPv6" }),
            port: Some(ip.port()),
        }),
        Ok(Some(Address::Unix(path))) => {
            Either::A(SocketName { address: path.to_string_lossy().into_owned(), family: None, port: None })
        }
        Ok(None) => Either::A(SocketName { address: String::new(), family: None, port: None }),
        Err(error) => Either::B(errno(&error)),
    }
}

/// `fe80::1%eth0`: the interface's name or number after the per cent sign.
pub(super) fn ip(host: &str, port: u16) -> Option<Address> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(Address::Ip(SocketAddr::new(ip, port)));
    }
    let (host, interface) = host.split_once('%')?;
    // An interface that is not there is 0, the system's choice, as libuv has it.
    let scope = interface.parse().ok().or_else(|| interface_index(interface)).unwrap_or(0);
    Some(Address::Ip(std::net::SocketAddrV6::new(host.parse().ok()?, port, 0, scope).into()))
}

pub(super) fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a NUL-terminated name.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

fn unix(path: &[u8]) -> Address {
    Address::Unix(OsString::from_vec(path.to_vec()))
}

fn int(number: usize) -> Arg<'static> {
    // Slabs are far smaller than 2 GiB.
    Arg::Int(i32::try_from(number).unwrap_or(i32::MAX))
}

/// A descriptor from JavaScript is any number.
pub(super) fn is_not_open(fd: i32) -> bool {
    // SAFETY: F_GETFD has no preconditions: a number that is not open is an error.
    fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1
}
