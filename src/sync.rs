//! The atomics of the lock-free types: std's, or loom's when their models run (`npm run loom`).
//!
//! Only what is model-checked goes through here; everything else uses `std::sync` directly.

#[cfg(not(interproc_loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(interproc_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
