//! A file in memory.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// The first bytes of a file, mapped until drop.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

/// Who sees what is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All who have the file mapped.
    Shared,
    /// The same, and every page is there at once: a fault each would cost more than writing to it.
    Filled,
    /// Nobody else: a page that is written to becomes this mapping's own.
    Private,
}

// SAFETY: an address range that stays mapped until drop, whichever thread that is on.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing here changes after construction.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `length`: not 0, and not beyond the file's end (touching that would be a SIGBUS).
    pub(super) fn new(file: &File, length: usize, sharing: Sharing) -> io::Result<Self> {
        let flags = match sharing {
            Sharing::Shared => MapFlags::SHARED,
            Sharing::Filled => MapFlags::SHARED | FILL,
            Sharing::Private => MapFlags::PRIVATE,
        };
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs no other memory.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, prot, flags, file.as_fd(), 0)? };
        Ok(Self { start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?, length })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has the pointer after us.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(target_os = "linux")]
const FILL: MapFlags = MapFlags::POPULATE;
#[cfg(not(target_os = "linux"))]
const FILL: MapFlags = MapFlags::empty();
