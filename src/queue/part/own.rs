//! One part that this process made: its file, who has it, and its memory.

use std::fs::File;
use std::io;
use std::time::Instant;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use super::mapping::{Mapping, Sharing};
use super::{Aux, Name, beside, create_file};

/// A part that this process made.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: Name,
    file: File,
    /// Bytes of the file.
    pub(super) capacity: u64,
    /// Mapped from its second use on: the first is cheaper by a write.
    pub(super) memory: Option<Mapping>,
    pub(super) place: Place,
    /// When its last message was sent.
    pub(super) used: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody else has it.
    Free,
    /// Its message is at that position of the queue.
    Queued(u64),
    /// Its message left the queue. A receiver may still hold it.
    Left,
}

impl Own {
    /// Makes one of `capacity` bytes. `fill` writes what it wants, and says how many bytes that were.
    pub(super) fn make(
        aux: &Aux,
        (writer, seat): (u64, u16),
        capacity: u64,
        fill: &impl Fn(&File) -> io::Result<u64>,
    ) -> io::Result<Self> {
        let (name, file) = create_file(aux, writer, seat)?;
        let own = Self { name, file, capacity, memory: None, place: Place::Free, used: Instant::now() };
        let written = fill(&own.file).and_then(|filled| {
            allocate(&own.file, filled, capacity)?;
            if filled > 0 { own.sync(aux) } else { Ok(()) }
        });
        match written {
            Ok(()) => Ok(own),
            Err(error) => {
                name.remove(aux);
                Err(error)
            }
        }
    }

    /// In a queue that survives a power cut, the body must before its record does.
    pub(super) fn sync(&self, aux: &Aux) -> io::Result<()> {
        if aux.stays() { beside::sync(&self.file, &self.name.path(aux)) } else { Ok(()) }
    }

    /// Whether nobody has it. Its message left the queue, so nobody will begin to.
    pub(super) fn is_free(&mut self) -> bool {
        if self.place == Place::Left
            && flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && flock(&self.file, FlockOperation::Unlock).is_ok()
        {
            self.place = Place::Free;
        }
        self.place == Place::Free
    }

    /// All of it, in this process's memory.
    pub(super) fn map(&mut self) -> io::Result<&Mapping> {
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => {
                let length = usize::try_from(self.capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
                Mapping::new(&self.file, length, Sharing::Filled)?
            }
        };
        Ok(self.memory.insert(memory))
    }
}

/// Room for the message and for somewhat larger ones: at most a thirty-second more.
pub(super) fn capacity_for(length: u64) -> u64 {
    const SMALLEST: u64 = 64 << 10;
    let step = (length.checked_next_power_of_two().unwrap_or(length) / 32).max(SMALLEST);
    length.checked_next_multiple_of(step).unwrap_or(length).max(SMALLEST)
}

/// Backs a file's bytes with memory: touching one later cannot fail (SIGBUS).
fn allocate(file: &File, from: u64, to: u64) -> io::Result<()> {
    // In steps: an interrupted call starts its step anew, not the whole of it.
    const STEP: u64 = 64 << 20;
    let mut done = from;
    while done < to {
        let step = STEP.min(to - done);
        match fallocate(file, FallocateFlags::empty(), done, step) {
            Ok(()) => done += step,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => {
                let zeros = vec![0; usize::try_from(step.min(1 << 20)).unwrap_or(1 << 20)];
                std::os::unix::fs::FileExt::write_all_at(file, &zeros, done)?;
                done += zeros.len() as u64;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Memory, or what may be had of it, is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM | libc::EFBIG))
}
