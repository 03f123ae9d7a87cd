//! The system calls of this room: safe signatures, `io::Result` out, interrupted calls begun again.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::SockRef;

use super::Kind;
use super::room::Room;

/// Parts that one `writev` takes; Linux and macOS both allow 1024 (IOV_MAX).
pub(super) const MAX_PARTS: usize = 1024;

/// Reads once; 0 is the end.
pub(super) fn read(fd: BorrowedFd<'_>, room: &mut Room<'_>) -> io::Result<usize> {
    again(|| rustix::io::read(fd, room.memory()).map(|(read, _)| read.len()))
}

/// Writes once. No SIGPIPE on sockets; on pipes it is ignored process-wide, by Node as by Rust's runtime.
pub(super) fn write(fd: BorrowedFd<'_>, kind: Kind, bytes: &[u8]) -> io::Result<usize> {
    match kind {
        Kind::Socket => again(|| rustix::net::send(fd, bytes, send_flags())),
        Kind::Pipe => again(|| rustix::io::write(fd, bytes)),
    }
}

/// Writes up to [`MAX_PARTS`] parts in one call.
pub(super) fn write_parts(fd: BorrowedFd<'_>, kind: Kind, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let parts = &parts[..parts.len().min(MAX_PARTS)];
    match kind {
        Kind::Socket => {
            again(|| rustix::net::sendmsg(fd, parts, &mut rustix::net::SendAncillaryBuffer::default(), send_flags()))
        }
        Kind::Pipe => again(|| rustix::io::writev(fd, parts)),
    }
}

/// Linux says it per call; macOS once per socket, in [`prepare`].
fn send_flags() -> rustix::net::SendFlags {
    #[cfg(target_os = "linux")]
    return rustix::net::SendFlags::NOSIGNAL;
    #[cfg(not(target_os = "linux"))]
    return rustix::net::SendFlags::empty();
}

/// What every descriptor of ours needs: non-blocking, and no signal for a peer that has gone.
pub(super) fn prepare(fd: BorrowedFd<'_>, kind: Kind) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if !flags.contains(rustix::fs::OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)?;
    }
    #[cfg(target_vendor = "apple")]
    if kind == Kind::Socket {
        SockRef::from(&fd).set_nosigpipe(true)?;
    }
    let _ = kind;
    Ok(())
}

/// The result of a connect that has ended.
pub(super) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).take_error()?.map_or(Ok(()), Err)
}

/// Ends the sending side; the peer reads its end after what was sent.
pub(super) fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).shutdown(std::net::Shutdown::Write)
}

/// Closes with RST instead of FIN: what is unsent is thrown away, and so is what the peer has not read.
pub(super) fn close_with_reset(fd: OwnedFd) -> io::Result<()> {
    SockRef::from(&fd.as_fd()).set_linger(Some(std::time::Duration::ZERO))
}

fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}
