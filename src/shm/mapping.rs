//! The pages of a segment in this process.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;

use super::segment::Segment;
use super::sys_unix as sys;

/// A whole file mapped shared, readable and writable.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    keeper: Keeper,
}

/// Who unmaps.
enum Keeper {
    /// The crate `shared_memory`, for what `shm_open` reaches by name.
    #[cfg(target_os = "linux")]
    Crate {
        /// Only to be dropped.
        _memory: shared_memory::Shmem,
    },
    /// We, for files elsewhere.
    Ours,
}

// SAFETY: the pointers inside are an address range that stays mapped until drop, whichever thread that is on; the bytes are
// only reached through `Region`, whose accesses are atomics and raw copies.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing here changes after construction.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Creates the shared memory object `file_name` with `len` bytes, not reserved yet, and maps it.
    #[cfg(target_os = "linux")]
    pub(super) fn create_object(file_name: &str, len: usize) -> io::Result<Self> {
        let memory =
            shared_memory::ShmemConf::new().os_id(format!("/{file_name}")).size(len).create().map_err(into_io)?;
        Self::keep(memory)
    }

    /// Maps the existing shared memory object `file_name`.
    #[cfg(target_os = "linux")]
    pub(super) fn open_object(file_name: &str) -> io::Result<Self> {
        let memory = shared_memory::ShmemConf::new().os_id(format!("/{file_name}")).open().map_err(into_io)?;
        Self::keep(memory)
    }

    #[cfg(target_os = "linux")]
    fn keep(mut memory: shared_memory::Shmem) -> io::Result<Self> {
        // Else its drop would unlink whatever has the name by then.
        memory.set_owner(false);
        let start = NonNull::new(memory.as_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len: memory.len(), keeper: Keeper::Crate { _memory: memory } })
    }

    /// Maps `len` bytes of a file from its begin.
    pub(super) fn of_file(file: &File, len: usize) -> io::Result<Self> {
        Ok(Self { start: sys::map(file.as_fd(), 0, len, true)?, len, keeper: Keeper::Ours })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        match self.keeper {
            #[cfg(target_os = "linux")]
            Keeper::Crate { .. } => {}
            // SAFETY: our own mapping; every borrow of it ended before this drop.
            Keeper::Ours => unsafe { sys::unmap(self.start, self.len) },
        }
    }
}

#[cfg(target_os = "linux")]
fn into_io(error: shared_memory::ShmemError) -> io::Error {
    use shared_memory::ShmemError;
    match error {
        ShmemError::MappingIdExists => io::ErrorKind::AlreadyExists.into(),
        ShmemError::MapCreateFailed(errno) | ShmemError::MapOpenFailed(errno) | ShmemError::UnknownOsError(errno) => {
            i32::try_from(errno).map_or_else(|_| io::Error::other(error), io::Error::from_raw_os_error)
        }
        other => io::Error::other(other),
    }
}

/// The data region once more, for reading: a page that this process writes to becomes its own copy from then on, the shared
/// bytes never change through it. Pages that it did not write to show what the others write.
///
/// Safer than pages without write permission: a stray store there would end the process (SIGSEGV).
pub struct PrivateView {
    start: NonNull<u8>,
    len: usize,
    segment: Arc<Segment>,
}

// SAFETY: as for `Mapping`: an address range that stays mapped until drop.
unsafe impl Send for PrivateView {}
// SAFETY: as above; nothing here changes after construction.
unsafe impl Sync for PrivateView {}

impl PrivateView {
    /// Maps the data region of `segment` a second time.
    ///
    /// # Errors
    /// What `mmap` says, for instance that the address space is full.
    pub fn new(segment: Arc<Segment>) -> io::Result<Self> {
        let len = segment.region().len();
        let (file, offset) = segment.data_in_file();
        // A mapping has a page at least; the segment's file may end at the data's begin then, and nobody touches it.
        let start = sys::map(file.as_fd(), offset, len.max(1), false)?;
        Ok(Self { start, len, segment })
    }

    /// First byte.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it is a view of.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }
}

impl Drop for PrivateView {
    fn drop(&mut self) {
        // SAFETY: our own mapping; whoever has the pointer holds this view too.
        unsafe { sys::unmap(self.start, self.len.max(1)) };
    }
}

impl std::fmt::Debug for PrivateView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateView").field("len", &self.len).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len).finish_non_exhaustive()
    }
}
