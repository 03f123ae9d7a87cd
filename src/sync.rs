//! The atomics of the lock-free types: std's, or loom's when their models run (`npm run loom`).
//!
//! Only what is model-checked, or killed before each of its stores, goes through here; everything else uses `std::sync` directly.

#[cfg(not(interproc_loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(interproc_loom)]
mod models;

#[cfg(interproc_loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};
#[cfg(all(test, interproc_loom))]
pub(crate) use models::model;
#[cfg(interproc_loom)]
pub(crate) use models::{AtomicU32, AtomicU64};

/// The same; in tests they count their stores, so that a process can be killed before each.
pub(crate) mod counted {
    #[cfg(any(not(test), interproc_loom))]
    pub(crate) use super::{AtomicU32, AtomicU64};

    #[cfg(all(test, not(interproc_loom)))]
    pub(crate) use super::steps::{AtomicU32, AtomicU64};

    /// A word of shared memory as one of these.
    #[cfg(not(interproc_loom))]
    #[inline(always)]
    pub(crate) fn word(word: &std::sync::atomic::AtomicU64) -> &AtomicU64 {
        #[cfg(not(test))]
        return word;
        #[cfg(test)]
        super::steps::of(word)
    }
}

/// As [`counted`], but std's when models run: what no model has.
pub(crate) mod unmodelled {
    #[cfg(any(not(test), interproc_loom))]
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    #[cfg(all(test, not(interproc_loom)))]
    pub(crate) use super::steps::{AtomicU32, AtomicU64};
    #[cfg(all(test, not(interproc_loom)))]
    pub(crate) use std::sync::atomic::Ordering;
}

/// Before whatever others can see: a store that is no atomic, a system call. Tests kill the process here.
#[inline(always)]
pub(crate) fn step() {
    #[cfg(all(test, not(interproc_loom)))]
    steps::step();
}

/// Atomics that count their stores. What is not a store is std's.
#[cfg(all(test, not(interproc_loom)))]
pub(crate) mod steps {
    use std::ops::Deref;
    use std::sync::atomic::{self, AtomicI64, Ordering};

    /// Stores that this process may still make; negative: as many as it likes.
    pub(crate) static LEFT: AtomicI64 = AtomicI64::new(-1);

    /// Kills this process if it has made all its stores.
    pub(super) fn step() {
        if LEFT.load(Ordering::Relaxed) >= 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }

    macro_rules! counting {
        ($name:ident, $word:ty) => {
            #[derive(Debug, Default)]
            #[repr(transparent)]
            pub(crate) struct $name(atomic::$name);

            #[allow(dead_code, clippy::allow_attributes, reason = "both have what one of them needs")]
            impl $name {
                pub(crate) const fn new(value: $word) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub(crate) fn store(&self, value: $word, order: Ordering) {
                    step();
                    self.0.store(value, order);
                }

                counting!(@ $word: swap fetch_add fetch_sub fetch_or fetch_and);

                pub(crate) fn compare_exchange(
                    &self,
                    current: $word,
                    new: $word,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$word, $word> {
                    step();
                    self.0.compare_exchange(current, new, success, failure)
                }
            }

            impl Deref for $name {
                type Target = atomic::$name;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        };
        (@ $word:ty: $($method:ident)*) => {
            $(
                pub(crate) fn $method(&self, value: $word, order: Ordering) -> $word {
                    step();
                    self.0.$method(value, order)
                }
            )*
        };
    }

    counting!(AtomicU64, u64);
    counting!(AtomicU32, u32);

    pub(super) fn of(word: &atomic::AtomicU64) -> &AtomicU64 {
        // SAFETY: a transparent wrapper: same size, alignment and meaning.
        unsafe { &*std::ptr::from_ref(word).cast() }
    }
}
