//! A message that is too large for the ring: a file beside the segment, and a short message in the ring that names it.
//!
//! The sender writes the body once, the receiver has it mapped: nothing goes through the ring, nothing is copied on the way.
//! Making a file costs far more than the copy (each page is zeroed by the kernel, and mapped by a fault in either process), so
//! parts are used again: the sender keeps those that it made ([`Pool`]), receivers keep them mapped ([`Cache`]). A part is
//! written anew when its message has left the queue and nobody holds the file's shared lock (flock(2)): the kernel drops that
//! with its holder, however he ends.
//!
//! Queues in files use each part once: a torn one would not be told from the message before.

mod cache;
mod copy;
mod loan;
mod mapping;
mod own;
mod pool;
mod received;
mod sweep;

pub(crate) use cache::Cache;
pub(crate) use copy::copy_out;
pub use loan::Loan;
pub(crate) use own::is_full;
pub(crate) use pool::{Index, Pool, most_queued};
pub use received::Part;
pub(crate) use sweep::{named_by, sweep};

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::beside::{self, Aux};
use super::layout::Shared;
use super::record::Checksum;
use super::state::SEATS;

/// In a message's tag: the body is elsewhere, this one names it.
pub const PART: u8 = 0x80;
/// Bytes of a message that names a part: its writer, its number, the bytes of its body, and a checksum of these.
pub(crate) const NAME_LEN: usize = 32;

const PREFIX: &str = "part-";

/// What names a part inside its queue, and the message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The word of the seat that it was written at, see [`occupant`](super::layout::occupant).
    pub(crate) writer: u64,
    /// Seat, and a count of the writer's.
    pub(crate) number: u64,
    /// Bytes of the body.
    pub(crate) length: u64,
}

impl Name {
    pub(crate) fn encode(self) -> [u8; NAME_LEN] {
        let mut bytes = [0; NAME_LEN];
        for (to, word) in bytes.chunks_exact_mut(8).zip([self.writer, self.number, self.length, self.check()]) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// `None`: it was damaged. A file may have earlier messages' bytes behind the body, so a wrong length must not be believed.
    pub(crate) fn decode(bytes: &[u8; NAME_LEN]) -> Option<Self> {
        let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Some(Self { writer: word(0), number: word(8), length: word(16) }).filter(|name| name.check() == word(24))
    }

    fn check(self) -> u64 {
        Checksum::of([self.writer, self.number, self.length]).end()
    }

    /// What its file is called among those beside the queue.
    pub(crate) fn file(self) -> String {
        format!("{PREFIX}{:016x}-{:016x}", self.writer, self.number)
    }

    /// Is the body there, all of it?
    pub(crate) fn is_there(self, aux: &Aux) -> bool {
        std::fs::symlink_metadata(aux.path(&self.file()))
            .is_ok_and(|found| found.is_file() && found.len() >= self.length)
    }

    /// Removes the part's file.
    pub(crate) fn remove(self, aux: &Aux) {
        beside::remove(&self.path(aux));
    }

    fn path(self, aux: &Aux) -> PathBuf {
        aux.path(&self.file())
    }

    /// Whether its writer has left the seat that it was written at: then nobody but receivers cares for the file.
    pub(crate) fn is_abandoned(self, shared: &Shared<'_>) -> bool {
        let seat = usize::try_from(self.number % SEATS as u64).unwrap_or(0);
        // SYNC: Acquire, pairs with the Release that empties a seat: what its owner published is seen.
        shared.seats[seat].occupant.load(Ordering::Acquire) != self.writer
    }

    /// The name in a file's, without the length.
    fn parse(file: &str) -> Option<Self> {
        let (writer, number) = file.strip_prefix(PREFIX)?.split_once('-')?;
        let word = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        Some(Self { writer: word(writer)?, number: word(number)?, length: 0 })
    }
}

/// Writes `body` into a part that is used once.
pub(crate) fn create(aux: &Aux, writer: u64, seat: u16, body: &[u8]) -> io::Result<Name> {
    let (name, mut file) = create_file(aux, writer, seat)?;
    // In a queue that survives a power cut, the body must before its record does.
    let written =
        file.write_all(body).and_then(|()| if aux.stays() { beside::sync(&file, &name.path(aux)) } else { Ok(()) });
    if let Err(error) = written {
        name.remove(aux);
        return Err(error);
    }
    Ok(Name { length: body.len() as u64, ..name })
}

/// An empty file for a part.
fn create_file(aux: &Aux, writer: u64, seat: u16) -> io::Result<(Name, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = Name { writer, number: count.wrapping_mul(SEATS as u64) | u64::from(seat), length: 0 };
        crate::sync::step();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(name.path(aux));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                crash_point!("part created");
                crate::sync::step();
                return Ok((name, file));
            }
        }
    }
}

#[cfg(test)]
mod tests;
