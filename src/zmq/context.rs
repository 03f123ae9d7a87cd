//! A context: the sockets that can reach each other by `inproc://`, and how many there may be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Error;
use super::inproc::Registry;

/// Shared by sockets of any threads.
#[derive(Debug)]
pub struct Context {
    pub(super) inproc: Registry,
    max_sockets: AtomicUsize,
    sockets: AtomicUsize,
    /// What users of the binding have set, for those on other threads to read.
    values: Mutex<HashMap<u32, i32>>,
}

/// libzmq's default of `ZMQ_MAX_SOCKETS`.
const MAX_SOCKETS: usize = 1023;

impl Context {
    /// A context of its own.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inproc: Registry::default(),
            max_sockets: AtomicUsize::new(MAX_SOCKETS),
            sockets: AtomicUsize::new(0),
            values: Mutex::default(),
        })
    }

    /// The one that the whole process shares.
    #[must_use]
    pub fn global() -> Arc<Self> {
        static GLOBAL: OnceLock<Arc<Context>> = OnceLock::new();
        Arc::clone(GLOBAL.get_or_init(Self::new))
    }

    /// How many sockets may be open at once, 1023 at first.
    pub fn set_max_sockets(&self, count: usize) {
        self.max_sockets.store(count, Ordering::Relaxed);
    }

    /// Keeps an option that the engine has no use for.
    pub fn set_value(&self, option: u32, value: i32) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(option, value);
    }

    /// What was kept.
    pub fn value(&self, option: u32) -> Option<i32> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(&option).copied()
    }

    pub(super) fn enter(&self) -> Result<(), Error> {
        let max = self.max_sockets.load(Ordering::Relaxed);
        let enter = |count| (count < max).then_some(count + 1);
        match self.sockets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::TooManySockets),
        }
    }

    pub(super) fn leave(&self) {
        self.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
