//! System calls of the queues: bells (named FIFOs).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

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
