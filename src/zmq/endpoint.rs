//! Endpoints: `tcp://host:port`, `ipc://path`, `inproc://name`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::Error;

/// Where to bind or to connect, read from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP address. To bind: an IP address or `*`, and a port or `*` (any free one). To connect: also a host name.
    Tcp(Host, u16),
    /// A Unix socket.
    Ipc(IpcPath),
    /// A name within the context.
    Inproc(String),
}

/// The first half of a TCP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `*`: all interfaces.
    Any,
    /// A numeric address.
    Ip(IpAddr),
    /// Something to look up.
    Name(String),
}

/// Where a Unix socket lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpcPath {
    /// `ipc://*`: a new file in the temporary folder.
    Any,
    /// A file.
    File(PathBuf),
    /// `ipc://@name`: no file, a name in the kernel (Linux).
    Abstract(Vec<u8>),
}

/// Bytes of a path that fit into `sockaddr_un`, with its final zero.
const MAX_PATH: usize = 107;
/// libzmq's limit on inproc names.
const MAX_NAME: usize = 255;

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no endpoint, [`Error::Transport`] for a transport that we do not have.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (transport, address) = text.split_once("://").ok_or(Error::Invalid)?;
        if transport.is_empty() || address.is_empty() {
            return Err(Error::Invalid);
        }
        match transport {
            "tcp" => parse_tcp(address),
            "ipc" => parse_ipc(address).map(Self::Ipc),
            "inproc" if address.len() <= MAX_NAME => Ok(Self::Inproc(address.to_owned())),
            "inproc" => Err(Error::Invalid),
            _ => Err(Error::Transport),
        }
    }

    /// The numeric TCP address to bind to; `None` for a host name.
    #[must_use]
    pub fn local(host: &Host, port: u16, ipv6: bool) -> Option<SocketAddr> {
        let ip = match host {
            Host::Any if ipv6 => Ipv6Addr::UNSPECIFIED.into(),
            Host::Any => Ipv4Addr::UNSPECIFIED.into(),
            Host::Ip(ip) => *ip,
            Host::Name(_) => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

fn parse_tcp(address: &str) -> Result<Endpoint, Error> {
    // `tcp://local;remote`: the local end of a connect. Nobody here can honour it, so it is refused.
    if address.contains(';') {
        return Err(Error::Invalid);
    }
    let (host, port) = address.rsplit_once(':').ok_or(Error::Invalid)?;
    let port = if port == "*" { 0 } else { port.parse().map_err(|_| Error::Invalid)? };
    let host = match host {
        "" => return Err(Error::Invalid),
        "*" => Host::Any,
        _ => {
            let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            bare.parse().map_or_else(|_| Host::Name(bare.to_owned()), Host::Ip)
        }
    };
    Ok(Endpoint::Tcp(host, port))
}

fn parse_ipc(address: &str) -> Result<IpcPath, Error> {
    if address.len() > MAX_PATH || address.contains('\0') {
        return Err(Error::System(std::io::Error::from_raw_os_error(libc::ENAMETOOLONG)));
    }
    match address.strip_prefix('@') {
        Some(name) if cfg!(target_os = "linux") && !name.is_empty() => Ok(IpcPath::Abstract(name.into())),
        Some(_) => Err(Error::Invalid),
        None if address == "*" => Ok(IpcPath::Any),
        None => Ok(IpcPath::File(address.into())),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(Host::Any, port) => write!(f, "tcp://*:{port}"),
            Self::Tcp(Host::Ip(ip), port) => write!(f, "tcp://{}", SocketAddr::new(*ip, *port)),
            Self::Tcp(Host::Name(name), port) => write!(f, "tcp://{name}:{port}"),
            Self::Ipc(IpcPath::Any) => f.write_str("ipc://*"),
            Self::Ipc(IpcPath::File(path)) => write!(f, "ipc://{}", path.display()),
            Self::Ipc(IpcPath::Abstract(name)) => write!(f, "ipc://@{}", String::from_utf8_lossy(name)),
            Self::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(text: &str) -> i32 {
        Endpoint::parse(text).unwrap_err().errno()
    }

    #[test]
    fn endpoints_are_read_and_written_back() {
        for text in [
            "tcp://127.0.0.1:5555",
            "tcp://[::1]:80",
            "tcp://host.example:1",
            "ipc:///tmp/a.sock",
            "ipc://@name",
            "ipc://*",
            "inproc://a",
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::parse("tcp://*:*").unwrap(), Endpoint::Tcp(Host::Any, 0));
        assert_eq!(Endpoint::parse("tcp://::1:80").unwrap(), Endpoint::parse("tcp://[::1]:80").unwrap());
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in ["foo-bar", "://x", "tcp://", "tcp://127.0.0.1", "tcp://:80", "tcp://a:65536", "tcp://a;b:80"] {
            assert_eq!(errno(text), libc::EINVAL, "{text}");
        }
        assert_eq!(errno("foo://bar"), libc::EPROTONOSUPPORT);
        assert_eq!(errno(&format!("ipc:///{}", "x".repeat(107))), libc::ENAMETOOLONG);
        assert_eq!(errno(&format!("inproc://{}", "x".repeat(256))), libc::EINVAL);
    }
}
