//! System calls of the queues: bells (named FIFOs) and waiting on a word that other processes change.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Makes a FIFO that only this user may open, in place of whatever is there, and opens it.
pub(super) fn create_bell(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    crate::sync::step();
    make_fifo(path)?;
    open_bell(path)
}

/// Opens a FIFO for both directions: so neither opening nor writing waits for a peer, or fails without one.
pub(super) fn open_bell(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    if !found.file_type().is_fifo() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(file)
}

/// One byte more in the FIFO. A full one rings already.
pub(super) fn ring(mut bell: &File) {
    let _ = bell.write(&[1]);
}

/// Takes all bytes out. `false`: there was none.
pub(super) fn silence(mut bell: &File) -> bool {
    let (mut bytes, mut any) = ([0; 64], false);
    while let Ok(count) = bell.read(&mut bytes) {
        any |= count > 0;
        if count < bytes.len() {
            break;
        }
    }
    any
}

#[cfg(target_os = "linux")]
fn make_fifo(path: &Path) -> io::Result<()> {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?)
}

#[cfg(not(target_os = "linux"))]
fn make_fifo(path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends in NUL.
    if unsafe { libc::mkfifo(path.as_ptr(), 0o600) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sleeps until `word` is not `expected` any more and someone called [`wake`], or for `limit`. Also wakes for no reason.
#[cfg(target_os = "linux")]
pub(super) fn wait(word: &AtomicU32, expected: u32, limit: Duration) {
    let timeout = rustix::thread::futex::Timespec::try_from(limit).ok();
    // EAGAIN, EINTR, ETIMEDOUT: the caller looks anyway.
    let _ = rustix::thread::futex::wait(word, rustix::thread::futex::Flags::empty(), expected, timeout.as_ref());
}

/// Wakes all who sleep on `word`, in any process.
#[cfg(target_os = "linux")]
pub(super) fn wake(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::empty(), u32::MAX >> 1);
}

/// Without a futex that reaches other processes: short sleeps.
#[cfg(not(target_os = "linux"))]
pub(super) fn wait(word: &AtomicU32, expected: u32, limit: Duration) {
    let deadline = std::time::Instant::now() + limit;
    while word.load(std::sync::atomic::Ordering::Acquire) == expected && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The sleepers look by themselves.
#[cfg(not(target_os = "linux"))]
pub(super) fn wake(_word: &AtomicU32) {}
