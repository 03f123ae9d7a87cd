//! Waiting on words of shared buffers for Rust programs: what `wait` and `notify` are in JavaScript.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::named::{LockError, give_up};
use super::outcome::{Answer, Outcome};
use super::table::Table;
use super::word::Word;
use crate::shm::SharedBuffer;

/// What became of a [`wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Someone notified.
    Ok,
    /// The word was not what it was thought to be.
    NotEqual,
    /// Nobody notified in time.
    TimedOut,
}

/// Blocks the thread until someone notifies the 32-bit word at `offset`, if it is `expected`. The same as `wait` in JavaScript.
///
/// ```
/// use std::sync::atomic::Ordering::SeqCst;
/// use interproc::{lock, lock::Waited, shm::SharedBuffer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let buffer = SharedBuffer::alloc(8)?;
/// let other = SharedBuffer::open(&buffer.ticket())?;
/// let thread = std::thread::spawn(move || {
///     other.atomic_u32(0).expect("it is inside").store(1, SeqCst);
///     lock::notify(&other, 0, u32::MAX)
/// });
/// while buffer.atomic_u32(0).expect("it is inside").load(SeqCst) == 0 {
///     let waited = lock::wait(&buffer, 0, 0, None)?;
///     assert_ne!(waited, Waited::TimedOut);
/// }
/// # thread.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`LockError::NoWord`], [`LockError::Open`], [`LockError::Full`]
pub fn wait(
    buffer: &SharedBuffer,
    offset: usize,
    expected: u32,
    timeout: Option<Duration>,
) -> Result<Waited, LockError> {
    buffer.atomic_u32(offset).ok_or(LockError::NoWord)?;
    wait_for(&word(buffer, offset, u64::from(expected), false), timeout)
}

/// The same for a 64-bit word.
///
/// # Errors
/// As [`wait`].
pub fn wait64(
    buffer: &SharedBuffer,
    offset: usize,
    expected: u64,
    timeout: Option<Duration>,
) -> Result<Waited, LockError> {
    buffer.atomic_u64(offset).ok_or(LockError::NoWord)?;
    wait_for(&word(buffer, offset, expected, true), timeout)
}

/// Wakes up to `count` who wait for the word at `offset`, in any process and language. Gives how many it were.
///
/// # Errors
/// As [`wait`].
pub fn notify(buffer: &SharedBuffer, offset: usize, count: u32) -> Result<u32, LockError> {
    buffer.atomic_u32(offset).ok_or(LockError::NoWord)?;
    Ok(Table::shared()?.notify(&word(buffer, offset, 0, false).key(), count, None).unwrap_or(0))
}

fn word(buffer: &SharedBuffer, offset: usize, expected: u64, wide: bool) -> Word {
    Word { segment: Arc::clone(buffer.segment()), offset: buffer.offset() + offset, expected, wide }
}

fn wait_for(word: &Word, timeout: Option<Duration>) -> Result<Waited, LockError> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut moved = false;
    loop {
        let table = Table::shared()?;
        let id = match table.wait(&word.key(), 0, until, &|| word.is_as_expected()) {
            Outcome::Waiting { id, .. } => id,
            // Whoever changed the word has notified: maybe while it was in no table.
            Outcome::NotEqual if moved => return Ok(Waited::Ok),
            Outcome::NotEqual => return Ok(Waited::NotEqual),
            Outcome::Busy => return Ok(Waited::TimedOut),
            _ => return Err(LockError::Full),
        };
        // Notified in the last moment counts.
        let notified = table.block_while_linked(id, until) == Answer::Notified
            || give_up(&table, id, until) == Some(Answer::Notified);
        table.forget(id);
        if notified {
            return Ok(Waited::Ok);
        }
        // Once its file was removed, all others notify in another table.
        moved = until.is_none_or(|until| until > Instant::now()) && !table.is_linked();
        if !moved {
            return Ok(Waited::TimedOut);
        }
    }
}
