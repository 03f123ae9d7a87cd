//! A message that is too large for the ring: a file beside the segment, and a short message in the ring that names it.
//!
//! The body is written once; the receiver maps it. The file goes when the message is received (or acknowledged).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::beside::{self, Aux};

/// In a message's tag: the body is elsewhere, this one names it.
pub const PART: u8 = 0x80;
/// Bytes of a message that names a part: its number, and the bytes of its body.
pub(crate) const NAME_LEN: usize = 16;

/// What names a part inside its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    number: u64,
    length: u64,
}

impl Name {
    pub(crate) fn encode(self) -> [u8; NAME_LEN] {
        let mut bytes = [0; NAME_LEN];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; NAME_LEN]) -> Self {
        let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Self { number: word(0), length: word(8) }
    }

    /// What its file is called among those beside the queue.
    pub(crate) fn file(self) -> String {
        format!("part-{:016x}", self.number)
    }

    /// Is the body there, all of it?
    pub(crate) fn is_there(self, aux: &Aux) -> bool {
        std::fs::symlink_metadata(aux.path(&self.file()))
            .is_ok_and(|found| found.is_file() && found.len() >= self.length)
    }

    /// Removes the part's file.
    pub(crate) fn remove(self, aux: &Aux) {
        beside::remove(&aux.path(&self.file()));
    }
}

/// Writes `body` into a part of its own.
pub(crate) fn create(aux: &Aux, seat: u16, body: &[u8]) -> io::Result<Name> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let length = body.len() as u64;
    loop {
        // Unique among the living by the seat, and by the clock among those who had the seat before.
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let clock = (u64::from(since.subsec_nanos()) << 32) | (since.as_secs() & 0xffff_ffff);
        let name = Name { number: clock.wrapping_add(count).rotate_left(16) ^ u64::from(seat), length };
        let path = aux.path(&name.file());
        crate::sync::step();
        let open = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path);
        let mut file = match open {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        crash_point!("part created");
        crate::sync::step();
        // In a queue that survives a power cut, the body must before its record does.
        let written = file.write_all(body).and_then(|()| if aux.stays() { beside::sync(&file, &path) } else { Ok(()) });
        if let Err(error) = written {
            beside::remove(&path);
            return Err(error);
        }
        return Ok(name);
    }
}

/// A part in this process's memory: its own to write to, the file does not change.
#[derive(Debug)]
pub struct Part {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: an address range that stays mapped until drop; nobody else refers to it.
unsafe impl Send for Part {}
// SAFETY: shared references only read, and nobody else writes.
unsafe impl Sync for Part {}

impl Part {
    pub(crate) fn open(aux: &Aux, name: Name) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(aux.path(&name.file()))?;
        let found = file.metadata()?;
        let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw();
        // Never beyond the file's end: touching that would be a SIGBUS.
        let length = usize::try_from(name.length).ok().filter(|len| ours && *len > 0 && found.len() >= name.length);
        let length = length.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start: map(&file, length)?, length })
    }

    /// First byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Never: a body without bytes fits the ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until drop; its sender wrote it before we knew its name, and nobody writes to it after that.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has the pointer after us.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

fn map(file: &File, length: usize) -> io::Result<NonNull<u8>> {
    use rustix::mm::{MapFlags, ProtFlags};
    let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no other memory.
    let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, prot, flags, file.as_fd(), 0)? };
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
