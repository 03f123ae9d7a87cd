//! The system calls of this room, with safe signatures.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation};
use rustix::mm::{MapFlags, ProtFlags};

use crate::sync::step;

/// Where named segments are. Linux: where `shm_open` puts them. Elsewhere `shm_open` knows neither locks nor listing, so a
/// private folder of plain files serves.
pub(super) fn segment_dir() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/dev/shm"));
    }
    let dir = PathBuf::from(format!("/tmp/interproc.{}", user_id()));
    make_private_dir(&dir)?;
    Ok(dir)
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(dir)?;
    if found.is_dir() && found.uid() == user_id() && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Effective user: the one that files get.
pub(super) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// 128 bits that nobody can guess.
pub(super) fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

/// What differs from one start of the machine to the next; `None` where that cannot be told.
pub(super) fn boot_id() -> Option<Vec<u8>> {
    #[cfg(target_os = "linux")]
    return std::fs::read("/proc/sys/kernel/random/boot_id").ok();
    #[cfg(target_vendor = "apple")]
    {
        let (mut bytes, mut length) = (vec![0_u8; 64], 64);
        let name = c"kern.bootsessionuuid";
        // SAFETY: a terminated name, and room for `length` bytes; nothing is set.
        let failed = unsafe {
            libc::sysctlbyname(name.as_ptr(), bytes.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
        };
        bytes.truncate(length);
        return (failed == 0).then_some(bytes);
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    None
}

/// Waits until a new name in the folder of `path` would survive a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens an existing file for reading and writing; never follows a symbolic link, never waits for a FIFO's peer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            // A symbolic link, a folder, or a FIFO or device without a peer: none of them ours.
            Some(libc::ELOOP | libc::EISDIR | libc::ENXIO) => io::ErrorKind::PermissionDenied.into(),
            _ => error,
        })
}

/// Creates a file that only this user may open. Fails if the path exists.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    step();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// Gives `from` the name `to`, unless that is taken (`AlreadyExists`).
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    step();
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, from, CWD, to, rustix::fs::RenameFlags::NOREPLACE) {
        // A file system that cannot: two names for a moment then; who is killed between leaves a draft for the sweep.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
        done => return Ok(done?),
    }
    rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
    std::fs::remove_file(from)
}

/// Bytes that a user may still write to the file system of `path`; `None` if it does not say.
pub(super) fn free_space(path: &Path) -> io::Result<Option<u64>> {
    let stat = rustix::fs::statvfs(path)?;
    Ok((stat.f_blocks != 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize)))
}

/// Makes the file `len` bytes long with every page backed, so that touching one later cannot fail (SIGBUS).
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    step();
    // In steps: an interrupted call starts its step anew, not the whole of it.
    const STEP: u64 = 256 << 20;
    let mut done = 0;
    while done < len {
        let step = STEP.min(len - done);
        match rustix::fs::fallocate(file, FallocateFlags::empty(), done, step) {
            Ok(()) => done += step,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => {
                file.write_all_at(&vec![0; 1 << 20], done)?;
                done += 1 << 20;
            }
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(len)
}

/// Takes the shared or exclusive lock of the whole file, or says `false` if another has it. Replaces the one held.
pub(super) fn flock(file: &File, exclusive: bool) -> io::Result<bool> {
    step();
    let operation =
        if exclusive { FlockOperation::NonBlockingLockExclusive } else { FlockOperation::NonBlockingLockShared };
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Drops the lock of the whole file.
pub(super) fn release(file: &File) -> io::Result<()> {
    step();
    Ok(rustix::fs::flock(file, FlockOperation::NonBlockingUnlock)?)
}

/// Takes the lock of one byte for this open file, or says `false` if another open file has it. The kernel drops it when the
/// last descriptor of this open file goes, so also by `kill -9` (open file description lock, fcntl(2)).
pub(super) fn lock_byte(file: &File, offset: u64) -> io::Result<bool> {
    step();
    set_byte_lock(file, offset, libc::F_WRLCK)
}

/// Drops the lock of one byte.
pub(super) fn unlock_byte(file: &File, offset: u64) -> io::Result<()> {
    step();
    set_byte_lock(file, offset, libc::F_UNLCK).map(drop)
}

/// Whether another open file than this one has the lock of the byte.
pub(super) fn byte_locked(file: &File, offset: u64) -> io::Result<bool> {
    any_byte_locked(file, offset, 1)
}

/// Whether another open file than this one has the lock of any of the bytes.
pub(super) fn any_byte_locked(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    let mut lock = byte_lock(offset, len, libc::F_WRLCK)?;
    // SAFETY: `lock` is a valid flock structure that the kernel may write to; the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(FlockType::from(lock.l_type) != libc::F_UNLCK)
}

fn set_byte_lock(file: &File, offset: u64, how: FlockType) -> io::Result<bool> {
    let lock = byte_lock(offset, 1, how)?;
    // SAFETY: `lock` is a valid flock structure that the kernel only reads; the descriptor is open.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(target_os = "linux")]
type FlockType = libc::c_int;
#[cfg(not(target_os = "linux"))]
type FlockType = libc::c_short;

fn byte_lock(offset: u64, len: u64, how: FlockType) -> io::Result<libc::flock> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    // SAFETY: all bits zero are a valid flock: plain integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = how.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).map_err(invalid)?;
    lock.l_start = offset.try_into().map_err(invalid)?;
    lock.l_len = len.try_into().map_err(invalid)?;
    Ok(lock)
}

/// Maps `len` bytes of the file from `offset`: shared with everyone, or private (a written page becomes this mapping's own).
pub(super) fn map(file: BorrowedFd<'_>, offset: u64, len: usize, shared: bool) -> io::Result<NonNull<u8>> {
    let flags = if shared { MapFlags::SHARED } else { private_flags() };
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other memory.
    let start = unsafe {
        rustix::mm::mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, file, offset)?
    };
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Private pages are seldom written: reserve none of them beforehand.
#[cfg(target_os = "linux")]
fn private_flags() -> MapFlags {
    MapFlags::PRIVATE | MapFlags::NORESERVE
}

#[cfg(not(target_os = "linux"))]
fn private_flags() -> MapFlags {
    MapFlags::PRIVATE
}

/// Undoes [`map`].
///
/// # Safety
/// `start` and `len` must be of one [`map`] that nobody uses any more.
pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise. The call fails only for arguments that `map` did not return.
    let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) };
}

/// Bytes of a memory page.
pub(super) fn page_size() -> usize {
    rustix::param::page_size()
}
