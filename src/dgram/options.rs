//! What a UDP socket can be told: broadcast, time to live, multicast, buffer sizes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, SockRef};

use super::Datagrams;

/// A multicast group, and on which interface.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    /// The group's address.
    pub group: IpAddr,
    /// The interface, by an address of it (IPv4); unspecified: the system chooses.
    pub interface_v4: Ipv4Addr,
    /// The interface's number (IPv6); 0: the system chooses.
    pub interface_v6: u32,
    /// Only from this sender.
    pub source: Option<IpAddr>,
}

/// All of these fail as `setsockopt` does; [`io::ErrorKind::NotConnected`] once closed.
impl Datagrams {
    /// May datagrams go to broadcast addresses?
    ///
    /// # Errors
    /// See above.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.with_fd(|fd| SockRef::from(&fd).set_broadcast(on))
    }

    /// How many routers a datagram may pass, 1 to 255.
    ///
    /// # Errors
    /// `EINVAL` beyond that.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        if !(1..=255).contains(&ttl) {
            return Err(invalid());
        }
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            if is_v6(fd) { socket.set_unicast_hops_v6(ttl) } else { socket.set_ttl_v4(ttl) }
        })
    }

    /// The same for multicast, 0 to 255.
    ///
    /// # Errors
    /// `EINVAL` beyond that.
    pub fn set_multicast_ttl(&self, ttl: u32) -> io::Result<()> {
        if ttl > 255 {
            return Err(invalid());
        }
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            if is_v6(fd) { socket.set_multicast_hops_v6(ttl) } else { socket.set_multicast_ttl_v4(ttl) }
        })
    }

    /// Does this machine receive its own multicasts?
    ///
    /// # Errors
    /// See above.
    pub fn set_multicast_loopback(&self, on: bool) -> io::Result<()> {
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            if is_v6(fd) { socket.set_multicast_loop_v6(on) } else { socket.set_multicast_loop_v4(on) }
        })
    }

    /// The interface that multicasts leave by.
    ///
    /// # Errors
    /// `EINVAL` for the wrong family, `ENODEV`, `EADDRNOTAVAIL`.
    pub fn set_multicast_interface(&self, v4: Option<Ipv4Addr>, v6: Option<u32>) -> io::Result<()> {
        self.with_fd(|fd| match (is_v6(fd), v4, v6) {
            (true, _, Some(index)) => SockRef::from(&fd).set_multicast_if_v6(index),
            (false, Some(address), _) => SockRef::from(&fd).set_multicast_if_v4(&address),
            _ => Err(invalid()),
        })
    }

    /// Joins or leaves a group.
    ///
    /// # Errors
    /// `EADDRINUSE`: joined already; `EADDRNOTAVAIL`: not joined, or no such interface; `EINVAL`: no multicast address.
    pub fn set_membership(&self, membership: &Membership, join: bool) -> io::Result<()> {
        let Membership { group, interface_v4, interface_v6, source } = membership;
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            if group.is_ipv6() != is_v6(fd) {
                return Err(invalid());
            }
            match (group, source, join) {
                (IpAddr::V4(group), None, true) => socket.join_multicast_v4(group, interface_v4),
                (IpAddr::V4(group), None, false) => socket.leave_multicast_v4(group, interface_v4),
                (IpAddr::V6(group), None, true) => socket.join_multicast_v6(group, *interface_v6),
                (IpAddr::V6(group), None, false) => socket.leave_multicast_v6(group, *interface_v6),
                (IpAddr::V4(group), Some(IpAddr::V4(source)), true) => socket.join_ssm_v4(source, group, interface_v4),
                (IpAddr::V4(group), Some(IpAddr::V4(source)), false) => {
                    socket.leave_ssm_v4(source, group, interface_v4)
                }
                (IpAddr::V6(group), Some(IpAddr::V6(source)), _) => ssm_v6(fd, *group, *source, *interface_v6, join),
                _ => Err(invalid()),
            }
        })
    }

    /// Size of the kernel's buffer; `size` 0 only asks. Linux answers with twice of what was set.
    ///
    /// # Errors
    /// See above.
    pub fn buffer_size(&self, receive: bool, size: usize) -> io::Result<usize> {
        self.with_fd(|fd| {
            let socket = SockRef::from(&fd);
            match (receive, size) {
                (true, 0) => return socket.recv_buffer_size(),
                (false, 0) => return socket.send_buffer_size(),
                (true, size) => socket.set_recv_buffer_size(size)?,
                (false, size) => socket.set_send_buffer_size(size)?,
            }
            Ok(size)
        })
    }
}

/// socket2 has this for IPv4 only.
fn ssm_v6(fd: BorrowedFd<'_>, group: Ipv6Addr, source: Ipv6Addr, interface: u32, join: bool) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        // `struct group_source_req` of netinet/in.h; the option's numbers are Linux's.
        #[repr(C)]
        struct Request {
            interface: u32,
            group: libc::sockaddr_storage,
            source: libc::sockaddr_storage,
        }
        const MCAST_JOIN_SOURCE_GROUP: libc::c_int = 46;
        const MCAST_LEAVE_SOURCE_GROUP: libc::c_int = 47;
        let storage = |ip: Ipv6Addr| {
            let address = socket2::SockAddr::from(std::net::SocketAddrV6::new(ip, 0, 0, 0));
            // SAFETY: zero is valid for plain integers.
            let mut storage = unsafe { std::mem::MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init() };
            // SAFETY: an IPv6 address is smaller than the storage.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    address.as_ptr().cast::<u8>(),
                    (&raw mut storage).cast(),
                    address.len() as usize,
                );
            }
            storage
        };
        let request = Request { interface, group: storage(group), source: storage(source) };
        let option = if join { MCAST_JOIN_SOURCE_GROUP } else { MCAST_LEAVE_SOURCE_GROUP };
        let size = libc::socklen_t::try_from(size_of::<Request>()).unwrap_or(0);
        // SAFETY: an option value of the size that is said.
        let result =
            unsafe { libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_IPV6, option, (&raw const request).cast(), size) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (fd, group, source, interface, join);
        Err(io::Error::from_raw_os_error(libc::ENOTSUP))
    }
}

fn is_v6(fd: impl AsFd) -> bool {
    SockRef::from(&fd).domain().is_ok_and(|domain| domain == Domain::IPV6)
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}
