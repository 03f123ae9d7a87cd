//! The system calls of this room: batches where the kernel has them, one by one elsewhere.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockAddrStorage};

use super::socket::{Head, Parcel};

/// Datagrams per system call. More gain nothing: the call's own cost is a small part by then.
pub(super) const BATCH: usize = 32;
/// The largest datagram, and the size of a slot in the memory that is received into.
pub(super) const LARGEST: usize = 64 * 1024;
/// Segments that Linux cuts one parcel into at most (UDP_MAX_SEGMENTS).
pub(super) const SEGMENTS: usize = 64;
/// Can the kernel cut a parcel into datagrams?
pub(super) const HAS_SEGMENTS: bool = cfg!(target_os = "linux");

/// Receives up to [`BATCH`] datagrams, one per slot of [`LARGEST`] bytes.
#[cfg(target_os = "linux")]
pub(super) fn receive(fd: BorrowedFd<'_>, memory: &mut [u8], heads: &mut [Head; BATCH]) -> io::Result<usize> {
    let mut names: [SockAddrStorage; BATCH] = std::array::from_fn(|_| SockAddrStorage::zeroed());
    let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|slot| {
        let slot = &mut memory[slot * LARGEST..][..LARGEST];
        libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: LARGEST }
    });
    let name_size = libc::socklen_t::try_from(size_of::<SockAddrStorage>()).unwrap_or(0);
    let mut controls = [MergedControl::EMPTY; BATCH];
    let mut messages: [libc::mmsghdr; BATCH] = std::array::from_fn(|slot| {
        let mut message = message((&raw mut names[slot]).cast(), name_size, &raw mut parts[slot]);
        message.msg_hdr.msg_control = (&raw mut controls[slot]).cast();
        message.msg_hdr.msg_controllen = size_of::<MergedControl>() as _;
        message
    });
    let count = u32::try_from(BATCH).unwrap_or(1);
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: every header points at memory of the size it says, all of it alive during the call.
    let received = again(|| unsafe {
        libc::recvmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count, flags as _, std::ptr::null_mut())
    })?;
    for (((head, name), control), message) in heads.iter_mut().zip(names).zip(controls).zip(&messages[..received]) {
        // SAFETY: the kernel filled in the name and its length.
        let name = unsafe { SockAddr::new(name, message.msg_hdr.msg_namelen) };
        let length = (message.msg_len as usize).min(LARGEST);
        *head = Head { length, source: name.as_socket(), segment: control.segment().unwrap_or(length) };
    }
    Ok(received)
}

/// Sends the parcels, whose bytes follow each other; the number sent, at least one.
#[cfg(target_os = "linux")]
pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8], parcels: &[Parcel]) -> io::Result<usize> {
    let count = parcels.len().min(BATCH);
    let mut names: [SockAddr; BATCH] = std::array::from_fn(|_| nowhere());
    let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut controls = [Control::EMPTY; BATCH];
    let mut messages: [libc::mmsghdr; BATCH] =
        std::array::from_fn(|_| message(std::ptr::null_mut(), 0, std::ptr::null_mut()));
    let mut at = 0;
    for (slot, parcel) in parcels[..count].iter().enumerate() {
        let part = &bytes[at..at + parcel.length];
        at += parcel.length;
        parts[slot] = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        let header = &mut messages[slot].msg_hdr;
        header.msg_iov = &raw mut parts[slot];
        header.msg_iovlen = 1;
        if let Some(to) = parcel.to {
            names[slot] = SockAddr::from(to);
            header.msg_name = names[slot].as_ptr().cast_mut().cast();
            header.msg_namelen = names[slot].len();
        }
        if parcel.count > 1 {
            controls[slot] = Control::segment(u16::try_from(parcel.segment).unwrap_or(u16::MAX));
            header.msg_control = (&raw mut controls[slot]).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
    }
    let vlen = u32::try_from(count).unwrap_or(1);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every header points at memory of the size it says, all of it alive during the call and only read.
    again(|| unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), vlen, flags as _) })
}

/// Is it the segments that the kernel refuses (udp(7), and `udp_send_skb` in net/ipv4/udp.c)? `EIO`: the device computes
/// no checksums; `EINVAL` or `EMSGSIZE`: one is larger than the path's MTU; `EOPNOTSUPP`, `ENOPROTOOPT`: an old kernel or
/// a socket of another kind. What the datagrams themselves are refused for comes again when they are sent one by one.
pub(super) fn refuses_segments(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
    )
}

/// Asks for datagrams of one sender and size to arrive merged, as they left or as the device merged them: one pass
/// through the kernel for up to 64. Only for a socket that nobody else reads: he would take them for one datagram.
#[cfg(target_os = "linux")]
pub(super) fn take_merged(fd: BorrowedFd<'_>) {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // A kernel before 5.0 refuses: then they come one by one.
    // SAFETY: an option value of the size that is said.
    unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, (&raw const on).cast(), size) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take_merged(_fd: BorrowedFd<'_>) {}

/// The control message that says how large the datagrams are that arrived merged.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Clone, Copy)]
struct MergedControl {
    header: libc::cmsghdr,
    size: libc::c_int,
    /// Up to the alignment of a header, as CMSG_SPACE counts.
    rest: u32,
}

#[cfg(target_os = "linux")]
impl MergedControl {
    // SAFETY: zero is valid for plain integers (on musl the header has padding of its own).
    const EMPTY: Self = unsafe { std::mem::MaybeUninit::zeroed().assume_init() };

    fn segment(&self) -> Option<usize> {
        let merged = self.header.cmsg_level == libc::SOL_UDP && self.header.cmsg_type == libc::UDP_GRO;
        merged.then(|| usize::try_from(self.size).ok()).flatten().filter(|&size| size > 0)
    }
}

/// The control message that says how large the segments of a parcel are.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    size: u16,
    /// Up to the alignment of a header, as CMSG_SPACE counts.
    rest: [u16; 3],
}

#[cfg(target_os = "linux")]
impl Control {
    // SAFETY: as above.
    const EMPTY: Self = unsafe { std::mem::MaybeUninit::zeroed().assume_init() };

    fn segment(size: u16) -> Self {
        // SAFETY: only arithmetic.
        let length = unsafe { libc::CMSG_LEN(2) } as usize;
        let mut control = Self { size, ..Self::EMPTY };
        control.header.cmsg_len = length as _;
        control.header.cmsg_level = libc::SOL_UDP;
        control.header.cmsg_type = libc::UDP_SEGMENT;
        control
    }
}

#[cfg(target_os = "linux")]
fn message(name: *mut libc::c_void, name_size: libc::socklen_t, part: *mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: integers and null pointers (and, on musl, padding): zero is valid.
    let mut message = unsafe { std::mem::MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
    message.msg_hdr.msg_name = name;
    message.msg_hdr.msg_namelen = name_size;
    message.msg_hdr.msg_iov = part;
    message.msg_hdr.msg_iovlen = usize::from(!part.is_null()) as _;
    message
}

#[cfg(target_os = "linux")]
fn nowhere() -> SockAddr {
    SockAddr::from(SocketAddr::from(([0, 0, 0, 0], 0)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn receive(fd: BorrowedFd<'_>, memory: &mut [u8], heads: &mut [Head; BATCH]) -> io::Result<usize> {
    let _ = SockAddrStorage::zeroed; // The batches of Linux use it.
    let socket = socket2::SockRef::from(&fd);
    let mut received = 0;
    while received < BATCH {
        let slot = &mut memory[received * LARGEST..][..LARGEST];
        // SAFETY: initialised bytes seen as maybe uninitialised; `recv_from` only writes.
        let slot = unsafe { &mut *(std::ptr::from_mut(slot) as *mut [std::mem::MaybeUninit<u8>]) };
        match socket.recv_from(slot) {
            Ok((length, name)) => heads[received] = Head { length, source: name.as_socket(), segment: length },
            Err(error) if received == 0 => return Err(error),
            Err(_) => break, // An error of the next one; it is told again.
        }
        received += 1;
    }
    Ok(received)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8], parcels: &[Parcel]) -> io::Result<usize> {
    let socket = socket2::SockRef::from(&fd);
    let first = &parcels[0];
    let part = &bytes[..first.length];
    match first.to {
        Some(to) => socket.send_to(part, &SockAddr::from(to))?,
        None => socket.send(part)?,
    };
    Ok(1)
}

/// Ends what `connect` began: AF_UNSPEC dissolves the association (connect(2)).
pub(super) fn disconnect(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: zero is valid for plain integers; as a family it is AF_UNSPEC.
    let nobody = unsafe { std::mem::MaybeUninit::<libc::sockaddr>::zeroed().assume_init() };
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).unwrap_or(0);
    // SAFETY: an address of the size that is said.
    match again(|| unsafe { libc::connect(fd.as_raw_fd(), &raw const nobody, size) }) {
        // The BSDs dissolve it and say that the address is of no use.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EINVAL)) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// The result of a call that says -1 for an error; begun again when interrupted.
fn again(mut call: impl FnMut() -> libc::c_int) -> io::Result<usize> {
    loop {
        if let Ok(result) = usize::try_from(call()) {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
