//! Stream sockets of one thread's reactor: TCP, Unix sockets, and the ends of pipes.
//!
//! A [`Stream`] reads and writes one descriptor and tells a [`StreamSink`] what happened; a [`Listener`] accepts.
//! Neither knows who listens: the binding's sockets, a child's stdio and the message queues' transports are all sinks.

mod address;
mod listener;
mod options;
mod outbox;
mod room;
mod stream;
mod sys_unix;

pub use address::{Address, bind_failure};
pub use listener::{ListenOptions, Listener, ListenerSink};
pub use room::Room;
pub use stream::{Kind, Stream, StreamSink};

#[cfg(test)]
mod tests;
