//! A map and counters that all processes of a user share.
//!
//! A [`Map`] is one segment of 128-byte blocks. An entry is a chain of them; its head block's state word says whether it counts, so
//! a process that is killed amid a change leaves the old value or the new one. Chains, free list and order of use are
//! rebuilt from the heads by the next one. Byte layout: `docs/map-layout.md`.
//!
//! [`Counters`] are words in a segment that JavaScript adds to itself, with names beside them.
#![cfg(not(interproc_loom))]

mod block;
mod counters;
mod error;
mod shared_counter;
mod shared_map;
mod store;
mod table;

pub use counters::{Counters, MAX_COUNTERS};
pub use error::MapError;
pub use shared_counter::SharedCounter;
pub use shared_map::SharedMap;
pub use store::{Full, Located, Put, Value};
pub use table::{Map, Options};

#[cfg(test)]
mod tests;
