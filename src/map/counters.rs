//! Named counters: 64-bit words at the begin of a segment, and their names behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::users::Users;
use crate::lock::{Mutex, owner_word};
use crate::shm::{Create, CreateError, Kind, Name, Open, OpenError, Place, Region, Segment};

/// Counters that a page has.
pub const MAX_COUNTERS: usize = 4096;

/// Bytes of a name.
const NAME_ROOM: usize = 248;
/// A length, the name.
pub(super) const RECORD: usize = 8 + NAME_ROOM;
const AT_MUTEX: usize = MAX_COUNTERS * 8;
pub(super) const AT_NAMES: usize = AT_MUTEX + 4096;
const SIZE: usize = AT_NAMES + MAX_COUNTERS * RECORD;

/// How long a new name waits for another one's. Writing it takes less than a microsecond, unless that process is stopped amid it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no counter of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCounter {
    /// The page has [`MAX_COUNTERS`] others.
    Full,
    /// A process that was stopped amid adding a name did not go on for a second.
    Busy,
}

enum Slot {
    Taken(usize),
    Free(usize),
}

/// A page of counters that a process has open.
#[derive(Debug)]
pub struct Counters {
    segment: Arc<Segment>,
}

impl Counters {
    /// Opens the page of that name, or creates it.
    ///
    /// # Errors
    /// As [`Segment::open_or_create`].
    pub fn open(name: Name) -> Result<Result<Self, CreateError>, OpenError> {
        let create =
            Create { kind: Kind::COUNTERS, size: SIZE as u64, persistent: false, params: [0; 8], init: &|_| {} };
        // A name counts once its length is there; a half-written one is written over.
        let open = Open { kind: Kind::COUNTERS, recover: &|_, _| {} };
        let segment = match Segment::open_or_create(&Place::Name(name), &open, &create)? {
            Ok((segment, _)) => segment,
            Err(error) => return Ok(Err(error)),
        };
        if segment.region().len() < SIZE {
            return Err(OpenError::Corrupt("too small for a page of counters"));
        }
        Ok(Ok(Self { segment }))
    }

    /// The segment; counter `n` is the word at byte `8 n`.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The number of the counter `name` (1 to 200 bytes), made where there is none: 0 at first. One that is there is found
    /// whatever others do.
    ///
    /// # Errors
    /// [`NoCounter`]
    pub fn find(&self, name: &[u8]) -> Result<usize, NoCounter> {
        match self.look_up(name) {
            Some(Slot::Taken(number)) => Ok(number),
            Some(Slot::Free(_)) => self.add(name),
            None => Err(NoCounter::Full),
        }
    }

    fn add(&self, name: &[u8]) -> Result<usize, NoCounter> {
        let region = self.segment.region();
        let users = Users(&self.segment);
        let mutex = mutex(region).ok_or(NoCounter::Full)?;
        let until = Instant::now() + PATIENCE;
        mutex.lock(owner_word(self.segment.own()), &users, Some(until)).ok_or(NoCounter::Busy)?;
        let number = match self.look_up(name) {
            Some(Slot::Taken(number)) => Some(number),
            Some(Slot::Free(number)) => write(region, number, name).map(|()| number),
            None => None,
        };
        step();
        mutex.unlock(&users);
        number.ok_or(NoCounter::Full)
    }

    /// Where the name is, or the first place that has none. `None`: all have others.
    fn look_up(&self, name: &[u8]) -> Option<Slot> {
        let region = self.segment.region();
        (0..MAX_COUNTERS).find_map(|number| {
            let at = AT_NAMES + number * RECORD;
            // SYNC: pairs with the Release in `write`: who sees the length sees the name, which never changes.
            match region.atomic_u64(at)?.load(Ordering::Acquire) {
                0 => Some(Slot::Free(number)),
                len if len == name.len() as u64 && is_at(region, at + 8, name) => Some(Slot::Taken(number)),
                _ => None,
            }
        })
    }

    /// All names with their values.
    #[must_use]
    pub fn list(&self) -> Vec<(Vec<u8>, u64)> {
        let region = self.segment.region();
        let read = |number: usize| {
            let at = AT_NAMES + number * RECORD;
            let len = usize::try_from(region.atomic_u64(at)?.load(Ordering::Acquire)).ok()?;
            let mut name = vec![0; (1..=NAME_ROOM).contains(&len).then_some(len)?];
            region.copy_out(at + 8, &mut name)?;
            Some((name, region.atomic_u64(number * 8)?.load(Ordering::Relaxed)))
        };
        (0..MAX_COUNTERS).map_while(read).collect()
    }
}

fn write(region: Region<'_>, number: usize, name: &[u8]) -> Option<()> {
    let at = AT_NAMES + number * RECORD;
    step();
    region.copy_in(at + 8, name)?;
    step();
    // SYNC: pairs with the Acquire in `look_up`.
    region.atomic_u64(at)?.store(name.len() as u64, Ordering::Release);
    Some(())
}

/// The tests kill the process before each store.
fn step() {
    #[cfg(test)]
    super::crash_tests::step();
}

fn mutex(region: Region<'_>) -> Option<&Mutex> {
    let word: &AtomicU64 = region.atomic_u64(AT_MUTEX)?;
    // SAFETY: 16 bytes at an aligned place inside the region, which is far longer; any bits are integers, only atomics touch them.
    Some(unsafe { &*std::ptr::from_ref(word).cast::<Mutex>() })
}

fn is_at(region: Region<'_>, at: usize, name: &[u8]) -> bool {
    let mut bytes = [0; NAME_ROOM];
    region.copy_out(at, &mut bytes[..name.len()]).is_some() && bytes[..name.len()] == *name
}
