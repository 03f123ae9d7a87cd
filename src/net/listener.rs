//! A listening socket: accepts in bounded batches, and waits when descriptors are out.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::address::{self, Address};
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, TimerId, Token};

/// Connections accepted in one turn; then the others have theirs.
const ACCEPTS_PER_TURN: usize = 64;
/// Pause after "too many open files". The connections wait in the backlog meanwhile.
const BREATHER: Duration = Duration::from_millis(50);

/// What is told of a listener, on the reactor's thread, with no borrow held.
pub trait ListenerSink {
    /// A connection, non-blocking and closed on exec.
    fn accepted(&self, fd: OwnedFd);
    /// `accept` failed in a way that will not pass by itself. Listening goes on.
    fn error(&self, error: io::Error);
}

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Connections that wait to be accepted; the system cuts it to its own bound (`net.core.somaxconn`).
    pub backlog: i32,
    /// `true`: `[::]` takes no IPv4 connections.
    pub only_v6: bool,
    /// Several sockets may listen on the port; the kernel shares connections out.
    pub reuse_port: bool,
    /// Unix paths: who may connect (a chmod of the socket file; bits of `rw` for all). 0 leaves it to the umask.
    pub mode: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { backlog: 511, only_v6: false, reuse_port: false, mode: 0 }
    }
}

/// A listening socket on a reactor. Closed by [`Listener::close`] or with its last reference; its socket file goes with it.
pub struct Listener {
    reactor: Rc<Reactor>,
    fd: RefCell<Option<OwnedFd>>,
    token: Cell<Option<Token>>,
    sink: RefCell<Option<Rc<dyn ListenerSink>>>,
    /// The file to remove.
    path: RefCell<Option<std::ffi::OsString>>,
    hold: Hold,
    breather: Cell<Option<TimerId>>,
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// What `socket`, `bind`, `listen` say: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`; `EINVAL` for a path that is too long.
    pub fn bind(
        reactor: &Rc<Reactor>,
        to: &Address,
        options: ListenOptions,
        sink: Rc<dyn ListenerSink>,
    ) -> io::Result<Rc<Self>> {
        let fd = address::bind(to, options.only_v6, options.reuse_port)?;
        let path = match to {
            Address::Unix(path) if !to.is_abstract() => Some(path.clone()),
            _ => None,
        };
        let remove_file = Unlink(path);
        if let (Some(path), true) = (&remove_file.0, options.mode != 0) {
            chmod(path.as_ref(), options.mode)?;
        }
        let listener = Self::listen(reactor, fd, options.backlog, sink)?;
        *listener.path.borrow_mut() = remove_file.keep();
        Ok(listener)
    }

    /// Listens on a bound socket that somebody else made.
    ///
    /// # Errors
    /// What `listen` says; `ENOTSOCK`, `EINVAL`.
    pub fn listen(
        reactor: &Rc<Reactor>,
        fd: OwnedFd,
        backlog: i32,
        sink: Rc<dyn ListenerSink>,
    ) -> io::Result<Rc<Self>> {
        let socket = SockRef::from(&fd);
        socket.set_nonblocking(true)?;
        socket.listen(backlog)?;
        let listener = Rc::new(Self {
            reactor: Rc::clone(reactor),
            fd: RefCell::new(None),
            token: Cell::new(None),
            sink: RefCell::new(Some(sink)),
            path: RefCell::default(),
            hold: Hold::new(reactor),
            breather: Cell::new(None),
        });
        let source = Rc::<Self>::clone(&listener);
        listener.token.set(Some(reactor.register(fd.as_fd(), Interest::READABLE, source)?));
        *listener.fd.borrow_mut() = Some(fd);
        listener.hold.set(true);
        Ok(listener)
    }

    /// The address it listens on, with the port that the system chose.
    ///
    /// # Errors
    /// What `getsockname` says; [`io::ErrorKind::NotConnected`] once closed.
    pub fn local_address(&self) -> io::Result<Option<Address>> {
        if let Some(path) = &*self.path.borrow() {
            return Ok(Some(Address::Unix(path.clone())));
        }
        self.with_fd(|fd| Address::of_local(fd))
    }

    /// Stops listening, removes the socket file. Connections in the backlog are refused.
    pub fn close(&self) {
        if let Some(timer) = self.breather.take() {
            self.reactor.clear_timer(timer);
        }
        let fd = self.fd.borrow_mut().take();
        if let (Some(token), Some(fd)) = (self.token.take(), &fd) {
            self.reactor.deregister(token, fd.as_fd());
        }
        // Before the descriptor is closed, as Node does: nobody can have taken the name meanwhile.
        drop(Unlink(self.path.borrow_mut().take()));
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

    /// For socket options.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] once closed, and those of `call`.
    pub fn with_fd<T>(&self, call: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        match &*self.fd.borrow() {
            Some(fd) => call(fd.as_fd()),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "the listener is closed")),
        }
    }

    fn accept(self: &Rc<Self>) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(sink) = self.sink.borrow().clone() else { return };
            match self.with_fd(accept_once) {
                Ok(fd) => sink.accepted(fd),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return,
                    // The peer has gone already, or the call was interrupted.
                    Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => {}
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => return self.take_a_breath(),
                    _ => return sink.error(error),
                },
            }
        }
        if let Some(token) = self.token.get() {
            self.reactor.again(token, Readiness::READABLE);
        }
    }

    /// Accepting now would fail again and again; the edge will not come a second time either.
    fn take_a_breath(self: &Rc<Self>) {
        if let Some(timer) = self.breather.take() {
            self.reactor.clear_timer(timer);
        }
        let weak = Rc::downgrade(self);
        let timer = self.reactor.set_timer(Instant::now() + BREATHER, move || {
            if let Some(listener) = weak.upgrade() {
                listener.breather.set(None);
                listener.accept();
            }
        });
        self.breather.set(Some(timer));
    }
}

impl Source for Listener {
    fn ready(self: Rc<Self>, _readiness: Readiness) {
        self.accept();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(Unlink(self.path.take()));
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("fd", &self.raw_fd()).finish_non_exhaustive()
    }
}

/// Removes a socket file when dropped: a listener that fails half-way leaves nothing behind.
struct Unlink(Option<std::ffi::OsString>);

impl Unlink {
    fn keep(mut self) -> Option<std::ffi::OsString> {
        self.0.take()
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may be gone already; there is nobody to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode() | mode;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(target_os = "linux")]
fn accept_once(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use rustix::net::SocketFlags;
    Ok(rustix::net::accept_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?)
}

#[cfg(not(target_os = "linux"))]
fn accept_once(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (socket, _) = SockRef::from(&fd).accept()?; // Sets close-on-exec.
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
