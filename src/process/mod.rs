//! Child processes: what to run ([`Command`]), how it is started without holding the caller ([`Process`]), how its end is
//! seen, and the blocking form ([`run()`]).
//!
//! Starting is the work of one immortal thread (`spawner`), because `vfork` suspends the thread that calls it, and
//! because `PR_SET_PDEATHSIG` follows the thread that forked. The child shares the parent's memory until it executes its
//! program, so the cost does not grow with the memory of the parent. Ends are seen through a pidfd in the caller's
//! reactor: `SIGCHLD` is never touched, so children of other libraries are left to them.

mod answer;
mod channel;
mod command;
mod handle;
mod plan;
mod run;
mod spawner;
mod stdio;
#[cfg(target_os = "linux")]
#[path = "sys_linux.rs"]
mod sys;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "sys_bsd.rs"]
mod sys;
#[cfg(test)]
mod tests;

pub use channel::{Channel, ChannelSink};
pub use command::Command;
pub use handle::{Events, Process, TOLD_LATER};
pub use run::{Finished, Limits, Wire, run};
pub use stdio::{Stdio, pipe, socketpair};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit`, or returned from `main`: 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It ended, but someone else took its status (the program ignores `SIGCHLD`, or waits for any child).
    Unknown,
}
