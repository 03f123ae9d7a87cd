//! How another process reaches a JS thread: a datagram socket that lies in the thread's poll, and the end of a process as a
//! descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One thread's bell. Its number is all that others need to ring it.
#[derive(Debug)]
pub struct Bell {
    id: u64,
    #[cfg(target_os = "linux")]
    socket: std::os::unix::net::UnixDatagram,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::sync::LazyLock;
    use std::{fs::File, io, io::Read};

    /// An abstract name (unix(7)) is no file: it goes with its socket, also by `kill -9`. Whoever rings without need only
    /// makes the thread look.
    fn address(id: u64) -> io::Result<SocketAddr> {
        SocketAddr::from_abstract_name(format!("interproc.{}.{id:016x}", rustix::process::geteuid().as_raw()))
    }

    pub(super) fn bind() -> io::Result<(u64, UnixDatagram)> {
        let mut bytes = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let id = u64::from_ne_bytes(bytes) | 1;
        let socket = UnixDatagram::bind_addr(&address(id)?)?;
        socket.set_nonblocking(true)?;
        Ok((id, socket))
    }

    pub(super) fn ring(id: u64) {
        static SENDER: LazyLock<Option<UnixDatagram>> = LazyLock::new(|| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        if let (Some(sender), Ok(address)) = (&*SENDER, address(id)) {
            // Full: it rings already. Refused: its owner is gone, or in another network namespace, and looks by itself.
            let _ = sender.send_to_addr(&[1], &address);
        }
    }
}

impl Bell {
    /// A new bell.
    ///
    /// # Errors
    /// What `socket` and `bind` say: too many descriptors.
    pub fn new() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        return linux::bind().map(|(id, socket)| Self { id, socket });
        #[cfg(not(target_os = "linux"))]
        {
            use std::sync::atomic::{AtomicU64, Ordering};
            static NEXT: AtomicU64 = AtomicU64::new(1);
            Ok(Self { id: u64::from(std::process::id()) << 32 | NEXT.fetch_add(2, Ordering::Relaxed) })
        }
    }

    /// What [`Bell::ring`] takes: an odd number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What becomes readable when someone rings. `None`: there is nothing such here, its owner must look by itself.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        #[cfg(target_os = "linux")]
        return Some(self.socket.as_fd());
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Takes all rings so far.
    pub fn silence(&self) {
        #[cfg(target_os = "linux")]
        while self.socket.recv(&mut [0; 8]).is_ok() {}
    }

    /// Rings the bell of that number, in whatever process. Never waits.
    pub fn ring(id: u64) {
        #[cfg(target_os = "linux")]
        linux::ring(id);
        #[cfg(not(target_os = "linux"))]
        let _ = id;
    }
}

/// A descriptor that becomes readable when the process ends; only a hint, because the id may be of another PID namespace.
#[must_use]
pub fn watch(pid: u32) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        pidfd_open(pid, PidfdFlags::NONBLOCK).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}
