//! Locks and semaphores for Rust programs, with the thread blocked: what `locks` and `Semaphore` are in JavaScript.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outcome::{Answer, Id, Outcome, Patience};
use super::record::{MAX_KEY_LEN, Mode};
use super::shard::Ask;
use super::table::{BRIEF, Table};
use crate::shm::OpenError;

/// As in `agent`.
const PATIENCE: Duration = Duration::from_millis(20);

/// How a lock is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// Alone.
    #[default]
    Exclusive,
    /// Together with others who share it.
    Shared,
}

/// Why a lock or permits could not be asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// The table of locks could not be opened.
    Open(OpenError),
    /// The name has more than 200 bytes.
    NameTooLong,
    /// The part of the table that the name belongs to has no room for another request.
    Full,
    /// Others think that the semaphore has so many permits.
    PermitsDiffer(u32),
    /// So many permits the semaphore does not have, or none were asked for.
    NoSuchCount,
    /// The word is not aligned, or does not lie in the buffer.
    NoWord,
}

/// A lock that is held until it is dropped. `locks.request(name, …)` in JavaScript waits for it, in any process of the user, and
/// gets it at once if this process is killed.
///
/// ```
/// use interproc::lock::{Lock, LockMode};
///
/// # fn main() -> Result<(), interproc::lock::LockError> {
/// # let name = format!("doc {}", std::process::id());
/// # let name = name.as_str();
/// let lock = Lock::acquire(name, LockMode::Exclusive)?;
/// if lock.owner_died() {
///     // What it guards may be half-done.
/// }
/// assert!(Lock::try_acquire(name, LockMode::Shared)?.is_none());
/// drop(lock);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Lock(Hold);

/// A number of permits that all processes of a user share. Those of the dead come back.
///
/// ```
/// use interproc::lock::Semaphore;
///
/// # fn main() -> Result<(), interproc::lock::LockError> {
/// # let name = format!("doc {}", std::process::id());
/// let workers = Semaphore::new(&name, 2);
/// let one = workers.acquire(1)?;
/// let two = workers.acquire(1)?;
/// assert!(workers.try_acquire(1)?.is_none());
/// drop(one);
/// assert!(workers.try_acquire(1)?.is_some());
/// # drop(two);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    name: String,
    permits: u32,
}

/// Permits that are held until this is dropped.
#[derive(Debug)]
#[must_use = "they are given back when it is dropped"]
pub struct Permit(Hold);

/// Something that this process has.
#[derive(Debug)]
pub(super) struct Hold {
    table: Arc<Table>,
    id: Id,
    pub(super) after_death: bool,
}

impl Lock {
    /// Gets the lock, and blocks the thread until then.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire(name: &str, mode: LockMode) -> Result<Self, LockError> {
        for_ever(|| get(name, &mode.ask(), None).map(|hold| hold.map(Self)))
    }

    /// Gets the lock if it is free, also of those who wait for it.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn try_acquire(name: &str, mode: LockMode) -> Result<Option<Self>, LockError> {
        Ok(get(name, &Ask { if_available: true, ..mode.ask() }, soon())?.map(Self))
    }

    /// Gets the lock, and blocks the thread at most so long.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire_timeout(name: &str, mode: LockMode, timeout: Duration) -> Result<Option<Self>, LockError> {
        Ok(get(name, &mode.ask(), Instant::now().checked_add(timeout))?.map(Self))
    }

    /// Its last holder ended without giving it back: what it guards may be half-done.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.0.after_death
    }

    /// `false` once another stole it (`{ steal: true }` in JavaScript).
    #[must_use]
    pub fn held(&self) -> bool {
        matches!(self.0.table.look(self.0.id), Answer::Held { .. })
    }
}

impl LockMode {
    fn ask(self) -> Ask {
        let mode = match self {
            Self::Exclusive => Mode::Exclusive,
            Self::Shared => Mode::Shared,
        };
        Ask { mode, count: 1, limit: 1, agent: 0, if_available: false, steal: false }
    }
}

impl Semaphore {
    /// The semaphore of that name, with so many permits in all: the same number for all users.
    #[must_use]
    pub fn new(name: &str, permits: u32) -> Self {
        Self { name: name.to_owned(), permits }
    }

    /// Gets permits, and blocks the thread until then.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire(&self, count: u32) -> Result<Permit, LockError> {
        for_ever(|| self.get(count, false, None))
    }

    /// Gets permits if they are free.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn try_acquire(&self, count: u32) -> Result<Option<Permit>, LockError> {
        self.get(count, true, soon())
    }

    /// Gets permits, and blocks the thread at most so long.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire_timeout(&self, count: u32, timeout: Duration) -> Result<Option<Permit>, LockError> {
        self.get(count, false, Instant::now().checked_add(timeout))
    }

    fn get(&self, count: u32, if_available: bool, until: Option<Instant>) -> Result<Option<Permit>, LockError> {
        if count == 0 || count > self.permits {
            return Err(LockError::NoSuchCount);
        }
        let ask = Ask { mode: Mode::Permits, count, limit: self.permits, agent: 0, if_available, steal: false };
        Ok(get(&self.name, &ask, until)?.map(Permit))
    }
}

impl Permit {
    /// A process ended without giving back permits, and nobody has been told before.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.0.after_death
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.table.forget(self.id);
    }
}

/// For calls that do not wait: how long a process that is stopped amid a change of the table may keep them.
fn soon() -> Option<Instant> {
    Instant::now().checked_add(PATIENCE)
}

/// `None`: not until `until`.
fn get(name: &str, ask: &Ask, until: Option<Instant>) -> Result<Option<Hold>, LockError> {
    if name.len() > MAX_KEY_LEN {
        return Err(LockError::NameTooLong);
    }
    loop {
        let table = Table::shared()?;
        let got = get_in(Arc::clone(&table), name, ask, until)?;
        let is_late = until.is_some_and(|until| until <= Instant::now());
        // Once its file was removed, all others ask in another table.
        if got.is_some() || is_late || ask.if_available || table.is_linked() {
            return Ok(got);
        }
    }
}

pub(super) fn get_in(
    table: Arc<Table>,
    name: &str,
    ask: &Ask,
    until: Option<Instant>,
) -> Result<Option<Hold>, LockError> {
    let (id, after_death) = match table.request(name.as_bytes(), ask, until) {
        Outcome::Held { id, after_death } => (id, after_death),
        Outcome::Waiting { id, .. } => match table.block_while_linked(id, until) {
            Answer::Held { after_death } => (id, after_death),
            _ => match give_up(&table, id, until) {
                // Granted in the last moment counts.
                Some(Answer::Held { after_death }) => (id, after_death),
                _ => return Ok(None),
            },
        },
        Outcome::LimitDiffers(permits) => return Err(LockError::PermitsDiffer(permits)),
        Outcome::Full => return Err(LockError::Full),
        Outcome::Unavailable | Outcome::Stolen | Outcome::NotEqual | Outcome::Busy => return Ok(None),
    };
    Ok(Some(Hold { table, id, after_death }))
}

/// Takes back what still waits at the end of its time. `None`: a stopped process keeps that part of the table, so the request is
/// taken out later.
pub(super) fn give_up(table: &Arc<Table>, id: Id, until: Option<Instant>) -> Option<Answer> {
    let patience = if until.is_some() { Patience::Loop(BRIEF) } else { Patience::Endless };
    let answer = table.cancel(id, patience);
    // Stolen before this thread looked, its record is still there.
    if !matches!(answer, Some(Answer::Waiting | Answer::Held { .. } | Answer::Notified)) {
        table.forget_untold(id);
    }
    answer
}

/// Without a deadline nothing but a damaged table ends the waiting in vain: then it is asked again.
fn for_ever<T>(mut get: impl FnMut() -> Result<Option<T>, LockError>) -> Result<T, LockError> {
    loop {
        if let Some(got) = get()? {
            return Ok(got);
        }
    }
}

impl From<OpenError> for LockError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::NameTooLong => write!(f, "the name has more than {MAX_KEY_LEN} bytes"),
            Self::Full => write!(f, "there is no room for another request in that part of the table of locks"),
            Self::PermitsDiffer(permits) => write!(f, "others use the semaphore with {permits} permits"),
            Self::NoSuchCount => write!(f, "the semaphore does not have so many permits, or none were asked for"),
            Self::NoWord => write!(f, "the word is not aligned, or does not lie in the buffer"),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            _ => None,
        }
    }
}
