//! What a number from JavaScript that says it is a descriptor really is.

use napi_derive::napi;

use crate::net::Address;

/// What a descriptor is: `socket`, `pipe`, or what it is not usable for: `UDP`, `FILE`, `UNKNOWN`, `INVALID`.
#[napi(catch_unwind)]
pub(crate) fn descriptor_kind(fd: i32) -> &'static str {
    use rustix::fs::FileType;
    if is_not_open(fd) {
        return "INVALID";
    }
    // SAFETY: it is open; it is only looked at.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    match rustix::fs::fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Socket) => match rustix::net::sockopt::socket_type(fd) {
            Ok(rustix::net::SocketType::STREAM) => "socket",
            Ok(rustix::net::SocketType::DGRAM) => "UDP",
            _ => "UNKNOWN",
        },
        Ok(FileType::Fifo) => "pipe",
        Ok(FileType::RegularFile) => "FILE",
        _ => "UNKNOWN",
    }
}

/// The address family of a socket: `unix`, `ip` or `other`.
#[napi(catch_unwind)]
pub(crate) fn descriptor_family(fd: i32) -> &'static str {
    if is_not_open(fd) {
        return "other";
    }
    // SAFETY: it is open; it is only looked at.
    match Address::of_local(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }) {
        Ok(Some(Address::Ip(_))) => "ip",
        Ok(_) => "unix",
        Err(_) => "other",
    }
}

/// A descriptor from JavaScript is any number.
pub(in crate::node) fn is_not_open(fd: i32) -> bool {
    // SAFETY: F_GETFD has no preconditions: a number that is not open is an error.
    fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1
}
