//! Named locks, semaphores, and waiting on shared words, between all processes of a user.
//!
//! One segment, the [`Table`], holds every request: who asks, for what, and whether it has it. A request is one record; its
//! state is one word, and records in the state word's order of tickets are all there is: chains and free lists are only
//! short cuts that [`shard`] rebuilds when someone was killed amid a change. So a lock needs no owner field that could
//! contradict its queue, and a dead process leaves nothing but records with a name that the kernel says is gone.
//!
//! The table has shards, each with a [`mutex`] of its own. Waiting is by futex for blocked threads, and by a [`Bell`] for JS threads:
//! a descriptor of their poll. No thread is started, unless a stopped process keeps what
//! another is about to leave ([`abandoned`]). Byte layout: `docs/lock-layout.md`.

mod mutex;

#[cfg(not(interproc_loom))]
mod abandoned;
#[cfg(not(interproc_loom))]
mod agent;
#[cfg(not(interproc_loom))]
mod bell;
#[cfg(not(interproc_loom))]
mod blocking;
#[cfg(not(interproc_loom))]
mod chains;
#[cfg(not(interproc_loom))]
mod follow;
#[cfg(not(interproc_loom))]
mod grant;
#[cfg(not(interproc_loom))]
mod list;
#[cfg(not(interproc_loom))]
mod named;
#[cfg(not(interproc_loom))]
mod outcome;
#[cfg(not(interproc_loom))]
mod record;
#[cfg(not(interproc_loom))]
mod shard;
#[cfg(not(interproc_loom))]
mod table;
#[cfg(not(interproc_loom))]
mod wait;
#[cfg(not(interproc_loom))]
mod word;

#[cfg(not(interproc_loom))]
pub use agent::{Agent, Event, What};
#[cfg(not(interproc_loom))]
pub use bell::{Bell, watch};
#[cfg(not(interproc_loom))]
pub use list::Entry;
pub(crate) use mutex::{Got, Mutex, World};
#[cfg(not(interproc_loom))]
pub use named::{Lock, LockError, LockMode, Permit, Semaphore};
#[cfg(not(interproc_loom))]
pub use outcome::{Answer, Id, Outcome, Patience};
#[cfg(not(interproc_loom))]
pub use record::{MAX_KEY_LEN, Mode};
#[cfg(not(interproc_loom))]
pub(crate) use record::{owner_of, owner_word};
#[cfg(not(interproc_loom))]
pub use shard::Ask;
#[cfg(not(interproc_loom))]
pub use table::Table;
#[cfg(not(interproc_loom))]
pub use wait::{Waited, notify, wait, wait64};
#[cfg(not(interproc_loom))]
pub use word::Word;

#[cfg(all(test, not(interproc_loom)))]
mod crash_tests;
#[cfg(all(test, not(interproc_loom)))]
mod kept_tests;
#[cfg(all(test, not(interproc_loom)))]
mod room_tests;
#[cfg(all(test, not(interproc_loom)))]
mod tests;
