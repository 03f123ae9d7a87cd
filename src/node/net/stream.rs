//! One connection: descriptors taken over or connected, reads into the thread's slab, writes from a Buffer.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::address::{SocketName, ip, named, unix};
use super::descriptor::is_not_open;
use crate::net::{Address, Kind, Room, Stream, StreamSink, bind_failure};
use crate::node::callback::{Arg, Callback};
use crate::node::env::{EnvState, errno, status};

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

    pub(super) fn adopt(&self, fd: OwnedFd, kind: Kind) -> i32 {
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

fn int(number: usize) -> Arg<'static> {
    // Slabs are far smaller than 2 GiB.
    Arg::Int(i32::try_from(number).unwrap_or(i32::MAX))
}
