//! ZeroMQ sockets on a thread's reactor: contexts, endpoints, patterns, pipes with high-water marks.
//!
//! A [`Socket`] owns pipes, one per peer. A pipe has a queue in each direction; its connection speaks
//! [`zmtp`](crate::zmtp) over a [`net::Stream`](crate::net::Stream), or it leads to a socket of the same [`Context`] on
//! any thread. What the socket type means (whom to send to, what to hand over) is its pattern's business.
//!
//! Messages cross this room's border in runs: to send, encoded as they stand on the wire; received, as [`Frames`].

mod binding;
mod connecter;
mod connection;
mod context;
mod endpoint;
mod error;
mod event;
mod frames;
mod inner;
mod inproc;
mod options;
mod out_queue;
mod patterns;
mod pipe;
mod resolve;
mod socket;
mod trie;
mod tune;
mod wire;

pub use context::Context;
pub use endpoint::{Endpoint, Host, IpcPath};
pub use error::Error;
pub use event::Event;
pub use frames::{Body, Frames, RECORD_LARGE, RECORD_MAX, RECORD_MORE};
pub use options::Options;
pub use socket::{Handler, Socket};
pub use wire::{frames, messages};

/// Unpredictable enough for where numbering begins, and for spreading reconnects; not for secrets.
fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests;
