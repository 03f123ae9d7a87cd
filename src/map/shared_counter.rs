//! Named 64-bit counters as Rust programs use them: what `SharedCounter` is in JavaScript.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::{Counters, MapError, NoCounter};
use crate::shm::{InvalidName, Name, OpenError};

/// The page of the user's counters.
const PAGE: &str = "interproc counters";

/// A 64-bit counter that all processes of a user share, by name; a new one is 0. Adding is one instruction on shared memory. `Send`
/// and `Sync`.
///
/// ```
/// use interproc::map::SharedCounter;
///
/// # fn main() -> Result<(), interproc::map::MapError> {
/// # let name = format!("doc {}", std::process::id());
/// let requests = SharedCounter::open(&name)?;
/// assert_eq!(requests.add(2), 0);
/// assert_eq!(requests.value(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SharedCounter {
    counters: Counters,
    at: usize,
}

impl SharedCounter {
    /// The counter of that name (1 to 200 bytes).
    ///
    /// # Errors
    /// [`MapError::Open`], also where a process that was stopped amid adding a counter keeps a new name out; [`MapError::Create`];
    /// [`MapError::Full`]: there are 4096
    pub fn open(name: &str) -> Result<Self, MapError> {
        let name = Name::new(name)?;
        let counters = Counters::open(Name::new(PAGE)?)??;
        let number = counters.find(name.as_str().as_bytes()).map_err(|error| match error {
            NoCounter::Full => MapError::Full,
            NoCounter::Busy => MapError::Open(OpenError::Busy),
        })?;
        let at = number * size_of::<u64>();
        // A damaged page must not be found out at the first use.
        counters.segment().region().atomic_u64(at).ok_or(InvalidName::WrongPlace)?;
        Ok(Self { counters, at })
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.word().load(SeqCst).cast_signed()
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        self.word().store(value.cast_unsigned(), SeqCst);
    }

    /// Adds, and gives what was there before; wraps at 64 bits.
    pub fn add(&self, by: i64) -> i64 {
        self.word().fetch_add(by.cast_unsigned(), SeqCst).cast_signed()
    }

    /// Subtracts, and gives what was there before.
    pub fn sub(&self, by: i64) -> i64 {
        self.word().fetch_sub(by.cast_unsigned(), SeqCst).cast_signed()
    }

    /// Sets it, and gives what was there before.
    pub fn exchange(&self, value: i64) -> i64 {
        self.word().swap(value.cast_unsigned(), SeqCst).cast_signed()
    }

    /// Sets it if it is `expected`. Gives what was there before: `expected`, if it was set.
    pub fn compare_exchange(&self, expected: i64, value: i64) -> i64 {
        let result = self.word().compare_exchange(expected.cast_unsigned(), value.cast_unsigned(), SeqCst, SeqCst);
        result.unwrap_or_else(|found| found).cast_signed()
    }

    fn word(&self) -> &AtomicU64 {
        // `open` has found it, and the region does not change.
        let Some(word) = self.counters.segment().region().atomic_u64(self.at) else {
            unreachable!("a counter without its page")
        };
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting() {
        let name = format!("rust counter {}", std::process::id());
        let counter = SharedCounter::open(&name).unwrap();
        let same = SharedCounter::open(&name).unwrap();
        counter.set(-1);
        assert_eq!((same.add(3), same.sub(1), same.exchange(10)), (-1, 2, 1));
        assert_eq!((counter.compare_exchange(1, 2), counter.compare_exchange(10, 11), counter.value()), (10, 10, 11));
        assert!(matches!(SharedCounter::open(""), Err(MapError::Open(_))));
    }
}
