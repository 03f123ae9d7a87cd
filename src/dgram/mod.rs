//! UDP sockets of one thread's reactor: datagrams come and go in batches.
//!
//! [`Datagrams`] receives up to 32 datagrams per system call and sends a batch with as few as the kernel allows.

mod options;
mod socket;
mod sys_unix;

pub use options::Membership;
pub use socket::{BindOptions, DatagramSink, Datagrams, Outgoing, Received};

#[cfg(test)]
mod tests;
