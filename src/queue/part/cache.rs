//! The parts that a receiver has mapped: a message in a file that was received from before needs no new mapping.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::mapping::{Mapping, Sharing};
use super::{Aux, Name, Part};

/// Mappings kept that no message is in.
const MOST: usize = 64;

/// What one receiver has mapped.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    mapped: Vec<(Instant, Arc<Mapped>)>,
}

/// A part's file in this process. Its lock tells the writer that someone reads.
#[derive(Debug)]
pub(super) struct Mapped {
    writer: u64,
    number: u64,
    file: File,
    memory: Mapping,
    holders: Mutex<u32>,
}

impl Cache {
    /// The body of a message of the lease. `alone`: nobody else will get the message.
    ///
    /// # Errors
    /// Its file is gone, or not what was written.
    pub(crate) fn get(&mut self, aux: &Aux, name: Name, alone: bool) -> io::Result<Part> {
        let mapped = self.mapped(aux, name)?;
        Part::over(mapped, usize::try_from(name.length).unwrap_or(usize::MAX), alone)
    }

    /// The same, to be copied: not to be kept longer than the lease.
    pub(crate) fn peek(&mut self, aux: &Aux, name: Name, each: impl FnOnce(*const u8)) -> io::Result<()> {
        let mapped = self.mapped(aux, name)?;
        each(mapped.memory.start().as_ptr());
        Ok(())
    }

    /// Lets go of what was not used for `idle`. `true`: there is something left.
    pub(crate) fn trim(&mut self, idle: Duration) -> bool {
        self.mapped.retain(|(used, mapped)| used.elapsed() < idle && mapped.is_there());
        !self.mapped.is_empty()
    }

    fn mapped(&mut self, aux: &Aux, name: Name) -> io::Result<Arc<Mapped>> {
        let length =
            usize::try_from(name.length).ok().filter(|length| *length > 0).ok_or(io::ErrorKind::InvalidData)?;
        let known =
            self.mapped.iter_mut().find(|(_, known)| (known.writer, known.number) == (name.writer, name.number));
        if let Some((used, mapped)) = known
            && length <= mapped.memory.len()
        {
            *used = Instant::now();
            return Ok(Arc::clone(mapped));
        }
        // A new file is a sign that its writer gave others up.
        self.mapped.retain(|(_, mapped)| mapped.is_there());
        if self.mapped.len() >= MOST
            && let Some(oldest) = (0..self.mapped.len()).min_by_key(|index| self.mapped[*index].0)
        {
            self.mapped.swap_remove(oldest);
        }
        let (file, _) = open_file(aux, name)?;
        let whole = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let memory = Mapping::new(&file, whole, Sharing::Shared)?;
        let mapped = Mapped { writer: name.writer, number: name.number, file, memory, holders: Mutex::new(0) };
        let mapped = Arc::new(mapped);
        self.mapped.push((Instant::now(), Arc::clone(&mapped)));
        Ok(mapped)
    }
}

impl Mapped {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn memory(&self) -> &Mapping {
        &self.memory
    }

    /// From now on the writer leaves the file alone.
    pub(super) fn hold(&self) -> io::Result<()> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if *holders == 0 {
            // The writer does not look for holders before the message has left the queue, and it has not.
            crate::sync::step();
            flock(&self.file, FlockOperation::NonBlockingLockShared)?;
        }
        *holders += 1;
        Ok(())
    }

    pub(super) fn let_go(&self) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        *holders = holders.saturating_sub(1);
        if *holders == 0 {
            // By name, not by closing: a child between fork and exec has the open file for a moment longer.
            let _ = flock(&self.file, FlockOperation::Unlock);
        }
    }

    fn is_there(&self) -> bool {
        self.file.metadata().is_ok_and(|found| found.nlink() > 0)
    }
}

/// Opens a part's file, which has the bytes of the message at least. Their number.
pub(super) fn open_file(aux: &Aux, name: Name) -> io::Result<(File, usize)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(name.path(aux))?;
    let found = file.metadata()?;
    let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw();
    // Never beyond the file's end: touching that would be a SIGBUS.
    let length = usize::try_from(name.length).ok().filter(|len| ours && *len > 0 && found.len() >= name.length);
    Ok((file, length.ok_or(io::ErrorKind::InvalidData)?))
}
