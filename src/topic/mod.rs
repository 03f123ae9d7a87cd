//! Topics in shared memory: every subscriber gets every message from its subscription on.
//!
//! A topic is a log in a ring of slots, written by the protocol of [`queue`](crate::queue), and read without changing it: a
//! [`Subscription`] keeps its place to itself and says only how far it is. A *reliable* one holds the publishers back when the
//! ring is full of what it has not read. A *lossy* one holds nobody; it is overtaken, knows it, and counts what it missed.
//! Who died is told by the kernel and holds nobody either.
//!
//! The protocol is in `log`, model-checked with loom; the byte layout is in `docs/topic-layout.md`.

#[cfg(all(test, not(interproc_loom)))]
mod history_tests;
#[cfg(not(interproc_loom))]
mod large;
mod log;

#[cfg(all(test, not(interproc_loom)))]
mod crash_tests;
#[cfg(not(interproc_loom))]
mod publisher;
#[cfg(not(interproc_loom))]
mod read;
#[cfg(not(interproc_loom))]
mod subscription;
#[cfg(all(test, not(interproc_loom)))]
mod tests;

#[cfg(not(interproc_loom))]
pub use publisher::{Stats, Topic};
#[cfg(not(interproc_loom))]
pub use subscription::{Subscription, Wish};
