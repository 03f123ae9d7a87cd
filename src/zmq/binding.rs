//! A bound endpoint: takes connections in.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};

use super::Error;
use super::connection::{Connection, Origin};
use super::endpoint::{Endpoint, IpcPath};
use super::event::Event;
use super::inner::Inner;
use super::tune::tune;
use crate::net::{Address, Kind, ListenOptions, Listener, ListenerSink, Stream};

/// A listener of a socket.
pub(super) struct Binding {
    inner: Weak<Inner>,
    pub(super) id: u64,
    /// As the user wrote it.
    pub(super) text: String,
    /// As it is: with the port or path that was chosen.
    pub(super) address: String,
    listener: RefCell<Option<Rc<Listener>>>,
    /// The folder of `ipc://*`, ours alone.
    folder: Option<PathBuf>,
}

impl Binding {
    pub(super) fn start(inner: &Rc<Inner>, endpoint: &Endpoint, text: &str) -> Result<Rc<Self>, Error> {
        let (ipv6, backlog) = {
            let state = inner.state.borrow();
            (state.core.options.ipv6, state.core.options.backlog)
        };
        let (address, folder) = match endpoint {
            Endpoint::Tcp(host, port) => {
                (Address::Ip(Endpoint::local(host, *port, ipv6).ok_or(Error::NoDevice)?), None)
            }
            Endpoint::Ipc(path) => ipc_address(path)?,
            Endpoint::Inproc(_) => return Err(Error::Invalid),
        };
        let id = {
            let mut state = inner.state.borrow_mut();
            state.next_binding += 1;
            state.next_binding
        };
        let options = ListenOptions { backlog, only_v6: false, reuse_port: false, mode: 0 };
        let door = Rc::new(Door { inner: Rc::downgrade(inner), id, address: RefCell::default() });
        let sink = Rc::<Door>::clone(&door);
        let listener = match Listener::bind(&inner.reactor, &address, options, sink) {
            Ok(listener) => listener,
            Err(error) => {
                remove_folder(folder.as_deref());
                return Err(error.into());
            }
        };
        listener.set_ref(false);
        let address = display(&listener.local_address()?.unwrap_or(address));
        door.address.borrow_mut().clone_from(&address);
        inner.note(Event::Bind(address.clone()));
        let inner = Rc::downgrade(inner);
        Ok(Rc::new(Self { inner, id, text: text.to_owned(), address, listener: RefCell::new(Some(listener)), folder }))
    }

    /// Stops listening. Connections stay.
    pub(super) fn stop(&self) {
        let listener = self.listener.take();
        if let Some(listener) = listener {
            listener.close();
            remove_folder(self.folder.as_deref());
            if let Some(inner) = self.inner.upgrade() {
                inner.note(Event::Close(self.address.clone()));
            }
        }
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.close();
            remove_folder(self.folder.as_deref());
        }
    }
}

/// What a listener tells.
struct Door {
    inner: Weak<Inner>,
    id: u64,
    address: RefCell<String>,
}

impl Door {
    fn admit(&self, inner: &Rc<Inner>, fd: OwnedFd) -> io::Result<()> {
        tune(fd.as_fd(), &inner.state.borrow().core.options);
        let address = self.address.borrow().clone();
        let connection = Connection::new(inner, address, Origin::Accepted(self.id), None);
        let sink = Rc::<Connection>::clone(&connection);
        let stream = Stream::new(&inner.reactor, fd, Kind::Socket, sink)?;
        connection.adopt(stream);
        inner.state.borrow_mut().guests.push(Rc::clone(&connection));
        connection.begin();
        Ok(())
    }
}

impl ListenerSink for Door {
    fn accepted(&self, fd: OwnedFd) {
        let Some(inner) = self.inner.upgrade() else { return };
        inner.note(Event::Accept(self.address.borrow().clone()));
        if let Err(error) = self.admit(&inner, fd) {
            self.error(error);
        }
    }

    fn error(&self, error: io::Error) {
        if let Some(inner) = self.inner.upgrade() {
            inner.note(Event::AcceptError(self.address.borrow().clone(), Error::System(error).errno()));
        }
    }
}

fn ipc_address(path: &IpcPath) -> Result<(Address, Option<PathBuf>), Error> {
    Ok(match path {
        IpcPath::File(path) => {
            remove_stale(path)?;
            (Address::Unix(path.into()), None)
        }
        IpcPath::Abstract(name) => {
            let name = [&[0], &**name].concat();
            (Address::Unix(std::ffi::OsStr::from_bytes(&name).to_owned()), None)
        }
        IpcPath::Any => {
            let folder = new_folder()?;
            (Address::Unix(folder.join("socket").into()), Some(folder))
        }
    })
}

/// Removes the socket file of a process that was killed. libzmq removes any: then a second program takes the first
/// one's place unnoticed. Here a file that somebody listens on stays, and binding says `EADDRINUSE`.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(()); // Nothing there, or no business of ours: then binding fails.
    }
    let probe = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

/// A new folder that only this user can enter.
fn new_folder() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    loop {
        let name = format!("zmq-{}-{:08x}", std::process::id(), super::random());
        let folder = std::env::temp_dir().join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| folder),
        }
    }
}

fn remove_folder(folder: Option<&Path>) {
    if let Some(folder) = folder {
        // Its socket file is gone with the listener; if somebody put something else there, it is his.
        let _ = std::fs::remove_dir(folder);
    }
}

fn display(address: &Address) -> String {
    match address {
        Address::Ip(ip) => format!("tcp://{ip}"),
        Address::Unix(path) => match path.as_bytes() {
            [0, name @ ..] => format!("ipc://@{}", String::from_utf8_lossy(name)),
            name => format!("ipc://{}", String::from_utf8_lossy(name)),
        },
    }
}
