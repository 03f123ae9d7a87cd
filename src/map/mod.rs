//! A map and counters that all processes of a user share.
//!
//! A [`Map`] is one segment of 128-byte blocks. An entry is a chain of them; its head block's stamp says whether it counts, so
//! a process that is killed amid a change leaves the old value or the new one. Free list and order of use are
//! rebuilt from the heads by the next one. An entry's bytes never change while it counts: a new value has blocks of its own and takes
//! the old one's place by one store. So whoever reads needs no mutex, and waits for nobody ([`published`]); writers have one per
//! map. Byte layout: `docs/map-layout.md`.
//!
//! [`Counters`] are words in a segment that JavaScript adds to itself, with names beside them.

mod published;

#[cfg(not(interproc_loom))]
mod block;
#[cfg(not(interproc_loom))]
mod bytes;
#[cfg(not(interproc_loom))]
mod chain;
#[cfg(not(interproc_loom))]
mod counters;
#[cfg(not(interproc_loom))]
mod error;
#[cfg(not(interproc_loom))]
mod order;
#[cfg(not(interproc_loom))]
mod read;
#[cfg(not(interproc_loom))]
mod repair;
#[cfg(not(interproc_loom))]
mod room;
#[cfg(not(interproc_loom))]
mod shared_counter;
#[cfg(not(interproc_loom))]
mod shared_map;
#[cfg(not(interproc_loom))]
mod store;
#[cfg(not(interproc_loom))]
mod table;
#[cfg(not(interproc_loom))]
mod users;
#[cfg(not(interproc_loom))]
mod value;

#[cfg(not(interproc_loom))]
pub use counters::{Counters, MAX_COUNTERS, NoCounter};
#[cfg(not(interproc_loom))]
pub use error::MapError;
#[cfg(not(interproc_loom))]
pub use shared_counter::SharedCounter;
#[cfg(not(interproc_loom))]
pub use shared_map::SharedMap;
#[cfg(not(interproc_loom))]
pub use table::{Map, Options};
#[cfg(not(interproc_loom))]
pub use value::{Found, Full, Kind, Located, Put, Value};

#[cfg(all(test, not(interproc_loom)))]
mod counters_crash_tests;
#[cfg(all(test, not(interproc_loom)))]
mod crash_tests;
#[cfg(all(test, not(interproc_loom)))]
mod tests;
