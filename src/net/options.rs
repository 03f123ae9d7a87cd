//! What a TCP connection can be told.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::Stream;

impl Stream {
    /// `true`: small writes leave at once instead of waiting for the last one's acknowledgement (Nagle's algorithm).
    ///
    /// # Errors
    /// What `setsockopt` says; a Unix socket has no such thing: `EOPNOTSUPP`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.with_fd(|fd| SockRef::from(&fd).set_tcp_nodelay(on))
    }

    /// Probes a silent connection: first after `delay`, then every second, ten times, as Node does.
    /// `delay` `None` leaves the system's (two hours on Linux).
    ///
    /// # Errors
    /// What `setsockopt` says.
    pub fn set_keepalive(&self, on: bool, delay: Option<Duration>) -> io::Result<()> {
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            socket.set_keepalive(on)?;
            match delay {
                Some(delay) if on => {
                    let probes = TcpKeepalive::new().with_time(delay).with_interval(Duration::from_secs(1));
                    socket.set_tcp_keepalive(&probes.with_retries(10))
                }
                _ => Ok(()),
            }
        })
    }
}
