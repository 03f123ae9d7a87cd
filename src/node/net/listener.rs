//! One listening socket; an accepted descriptor goes to a stream.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::NetStream;
use super::address::{SocketName, ip, named, unix};
use super::descriptor::is_not_open;
use crate::net::{Address, Kind, ListenOptions, Listener, ListenerSink};
use crate::node::callback::{Arg, Callback};
use crate::node::env::{EnvState, errno, status};

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
