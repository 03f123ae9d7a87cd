//! The descriptors that a child starts with, and the pipes whose other end stays here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// One descriptor of the child.
#[derive(Debug, Default)]
pub enum Stdio {
    /// `/dev/null` for 0, 1 and 2; nothing above.
    #[default]
    Ignore,
    /// A copy of this one.
    Fd(OwnedFd),
}

impl Stdio {
    /// A copy of `fd`, taken now: the caller may close his at once.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`.
    pub fn copy(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::Fd(rustix::io::fcntl_dupfd_cloexec(fd, 3)?))
    }
}

/// What a pipe holds before its writer waits. Linux allows 1 MiB to every user (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1 << 20;

/// A pipe: the end of this process, which does not block, and the child's, which does.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn pipe(child_reads: bool) -> io::Result<(OwnedFd, Stdio)> {
    let (read, write) = cloexec_pipe()?;
    let (ours, theirs) = if child_reads { (write, read) } else { (read, write) };
    let flags = rustix::fs::fcntl_getfl(&ours)?;
    rustix::fs::fcntl_setfl(&ours, flags | OFlags::NONBLOCK)?;
    #[cfg(target_os = "linux")]
    if !child_reads {
        // A user with very many pipes gets no more than the usual 64 KiB: nothing but speed depends on it.
        let _ = rustix::pipe::fcntl_setpipe_size(&ours, PIPE_SIZE);
    }
    Ok((ours, Stdio::Fd(theirs)))
}

/// A pair of Unix stream sockets, for what goes both ways: the end of this process does not block, the child's does.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn socketpair() -> io::Result<(OwnedFd, Stdio)> {
    let (ours, theirs) = cloexec_pair()?;
    let flags = rustix::fs::fcntl_getfl(&ours)?;
    rustix::fs::fcntl_setfl(&ours, flags | OFlags::NONBLOCK)?;
    Ok((ours, Stdio::Fd(theirs)))
}

#[cfg(target_os = "linux")]
fn cloexec_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

#[cfg(target_os = "linux")]
fn cloexec_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

#[cfg(not(target_os = "linux"))]
fn cloexec_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe()?;
    close_on_exec(read.as_fd())?;
    close_on_exec(write.as_fd())?;
    Ok((read, write))
}

#[cfg(not(target_os = "linux"))]
fn cloexec_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
    close_on_exec(ours.as_fd())?;
    close_on_exec(theirs.as_fd())?;
    Ok((ours, theirs))
}

#[cfg(not(target_os = "linux"))]
fn close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?)
}

/// The directory of this process, now: the child shall start there although the process may move before the fork.
pub(super) fn current_directory() -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Without the right to open it the child starts where the process is at the fork, as it would anyway.
    rustix::fs::open(c".", flags, rustix::fs::Mode::empty()).ok()
}

/// A descriptor that cannot be a child's: for the tables of `Plan`.
pub(super) fn raw(stdio: &Stdio) -> i32 {
    match stdio {
        Stdio::Ignore => -1,
        Stdio::Fd(fd) => std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd()),
    }
}
