//! Queues in shared memory: many senders, many receivers, at memory speed, and not to be stopped by `kill -9`.
//!
//! [`Queue`] is what programs use: values by serde, each message to one receiver. [`Work`] beneath it moves bytes in batches;
//! the JavaScript face has that one, too. All state is in one [`Segment`](crate::shm::Segment); nobody is its master.
//! A message is *in the queue* from the moment that its sender's call returns, whatever becomes of the sender. Who died is
//! told by the kernel, never by a clock, so a stopped process is never robbed.
//!
//! The protocol is in `ring` and `state`, model-checked with loom; the byte layout is in `docs/queue-layout.md`.

/// A place where the tests kill the process.
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(all(test, not(interproc_loom)))]
        crate::queue::crash::here($name);
    };
}

pub(crate) use crash_point;

pub(crate) mod ring;
pub(crate) mod state;
pub(crate) mod waiters;

#[cfg(not(interproc_loom))]
mod bell;
#[cfg(not(interproc_loom))]
pub(crate) mod beside;
#[cfg(not(interproc_loom))]
mod body;
#[cfg(not(interproc_loom))]
mod codec;
#[cfg(all(test, not(interproc_loom)))]
pub(crate) mod crash;
#[cfg(not(interproc_loom))]
mod error;
#[cfg(not(interproc_loom))]
mod fetch;
#[cfg(not(interproc_loom))]
pub(crate) mod layout;
#[cfg(not(interproc_loom))]
pub(crate) mod member;
#[cfg(not(interproc_loom))]
mod options;
#[cfg(not(interproc_loom))]
pub(crate) mod part;
#[cfg(not(interproc_loom))]
#[expect(clippy::module_inception, reason = "a subject has one name everywhere: lib/queue/queue.js")]
mod queue;
pub(crate) mod record;
#[cfg(not(interproc_loom))]
mod restore;
#[cfg(not(interproc_loom))]
mod send;
#[cfg(not(interproc_loom))]
mod sys_unix;
#[cfg(not(interproc_loom))]
mod tokio;
#[cfg(all(not(interproc_loom), any(test, feature = "node")))]
mod watch;
#[cfg(not(interproc_loom))]
mod work;

#[cfg(not(interproc_loom))]
pub use bell::Bell;
#[cfg(not(interproc_loom))]
pub use beside::sweep;
#[cfg(not(interproc_loom))]
pub use body::{Body, Message, Tag};
#[cfg(not(interproc_loom))]
pub use codec::{Codec, DecodeError, EncodeError, PlainError};
#[cfg(not(interproc_loom))]
pub use error::{Error, JoinError, SendError};
#[cfg(not(interproc_loom))]
pub use layout::Flags;
#[cfg(all(not(test), not(interproc_loom), feature = "node"))]
pub(crate) use member::Sleeper;
#[cfg(not(interproc_loom))]
pub use member::{New, SLICE, Stats};
#[cfg(not(interproc_loom))]
pub use options::Options;
#[cfg(not(interproc_loom))]
pub use part::{Loan, PART, Part};
#[cfg(not(interproc_loom))]
pub use queue::Queue;
#[cfg(not(interproc_loom))]
pub use restore::Restored;
pub use ring::Corrupt;
#[cfg(all(not(test), not(interproc_loom), feature = "node"))]
pub(crate) use watch::{Waiter, Want, Watch};
#[cfg(not(interproc_loom))]
pub use work::{Delivery, Work};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the queue.
    Yes,
    /// There is no room now.
    Full,
    /// It does not fit the ring, ever.
    TooLarge,
}

#[cfg(all(test, not(interproc_loom)))]
pub(crate) mod crash_tests;
#[cfg(all(test, not(interproc_loom)))]
mod queue_tests;
#[cfg(all(test, not(interproc_loom)))]
mod restore_tests;
#[cfg(all(test, not(interproc_loom)))]
mod step_tests;
#[cfg(all(test, not(interproc_loom)))]
pub(crate) mod tests;
