//! Where a stream socket connects to or listens: an IP address and port, or a Unix path.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// An address of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Ip(SocketAddr),
    /// A path in the file system, of any length on Linux (107 bytes elsewhere); or, beginning with a NUL byte, a name
    /// in Linux's abstract namespace, which has no file.
    Unix(OsString),
}

/// Longest path or abstract name that `sockaddr_un` holds: 108 bytes less the NUL at the end (an abstract name has none).
const PATH_MAX: usize = 107;

impl Address {
    /// Is this a name without a file?
    pub fn is_abstract(&self) -> bool {
        matches!(self, Self::Unix(path) if path.as_bytes().first() == Some(&0))
    }

    /// What a socket is bound to; `None` for an unnamed Unix socket.
    ///
    /// # Errors
    /// What `getsockname` says; `ENOTSOCK`.
    pub fn of_local(fd: impl AsFd) -> io::Result<Option<Self>> {
        Ok(from_sock_addr(&SockRef::from(&fd).local_addr()?))
    }

    /// The other end's address; `None` if that is unnamed.
    ///
    /// # Errors
    /// What `getpeername` says; `ENOTCONN`.
    pub fn of_peer(fd: impl AsFd) -> io::Result<Option<Self>> {
        Ok(from_sock_addr(&SockRef::from(&fd).peer_addr()?))
    }
}

/// If it was the local address that a connect failed on: what `bind` said.
pub fn bind_failure(error: &io::Error) -> Option<&io::Error> {
    Some(&error.get_ref()?.downcast_ref::<BindFailed>()?.0)
}

#[derive(Debug)]
struct BindFailed(io::Error);

impl std::fmt::Display for BindFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "binding the local address: {}", self.0)
    }
}

impl std::error::Error for BindFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A non-blocking socket that is connecting to `to`, or connected to it already.
pub(super) fn connect(to: &Address, local: Option<&Address>) -> io::Result<OwnedFd> {
    let place = Place::of(to)?;
    let socket = Socket::new(place.domain(), Type::STREAM, None)?;
    if let Some(local) = local {
        // As Node: a second client may use the local port while an older connection of it is in TIME_WAIT.
        socket.set_reuse_address(true)?;
        let bound = Place::of(local).and_then(|place| socket.bind(&place.address));
        bound.map_err(|error| io::Error::new(error.kind(), BindFailed(error)))?;
    }
    socket.set_nonblocking(true)?;
    match socket.connect(&place.address) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error),
    }
}

/// A non-blocking socket bound to `to`, not listening yet.
pub(super) fn bind(to: &Address, only_v6: bool, reuse_port: bool) -> io::Result<OwnedFd> {
    let place = Place::of(to)?;
    let socket = Socket::new(place.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if place.domain() != Domain::UNIX {
        // A server that starts again must not wait for the end of its old connections (TIME_WAIT).
        socket.set_reuse_address(true)?;
        if reuse_port {
            socket.set_reuse_port(true)?;
        }
    }
    if place.domain() == Domain::IPV6 {
        socket.set_only_v6(only_v6)?;
    }
    socket.bind(&place.address)?;
    Ok(socket.into())
}

fn from_sock_addr(address: &SockAddr) -> Option<Address> {
    if let Some(ip) = address.as_socket() {
        return Some(Address::Ip(ip));
    }
    if let Some(name) = address.as_abstract_namespace() {
        return Some(Address::Unix(OsStr::from_bytes(&[&[0], name].concat()).to_owned()));
    }
    address.as_pathname().map(|path| Address::Unix(path.as_os_str().to_owned()))
}

/// A socket address, and the directory that must stay open while it is used.
struct Place {
    address: SockAddr,
    _parent: Option<OwnedFd>,
}

impl Place {
    fn of(address: &Address) -> io::Result<Self> {
        match address {
            Address::Ip(ip) => Ok(Self { address: SockAddr::from(*ip), _parent: None }),
            Address::Unix(path) if path.as_bytes().len() <= PATH_MAX => {
                Ok(Self { address: SockAddr::unix(Path::new(path))?, _parent: None })
            }
            Address::Unix(path) => Self::of_long_path(Path::new(path)),
        }
    }

    /// Linux reaches a directory through its open descriptor, so only the last name must be short.
    #[cfg(target_os = "linux")]
    fn of_long_path(path: &Path) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL)); // An abstract name has no directory.
        }
        let directory = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        if short.as_os_str().len() > PATH_MAX {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Self { address: SockAddr::unix(short)?, _parent: Some(directory) })
    }

    #[cfg(not(target_os = "linux"))]
    fn of_long_path(_path: &Path) -> io::Result<Self> {
        Err(io::Error::from_raw_os_error(libc::EINVAL))
    }

    fn domain(&self) -> Domain {
        Domain::from(i32::from(self.address.family()))
    }
}
