//! Everything that processes say to each other and share with each other: the core of the npm package `interproc`,
//! and a Rust library of its own. One module per subject; imports only go down (see ARCHITECTURE.md).
#![cfg_attr(interproc_loom, allow(dead_code, unused_imports, reason = "the models need a part of each type"))]

#[cfg(unix)]
pub mod dgram;
#[cfg(unix)]
pub mod lock;
#[cfg(unix)]
pub mod map;
#[cfg(unix)]
pub mod net;
#[cfg(unix)]
pub mod process;
#[cfg(unix)]
pub mod queue;
#[cfg(unix)]
pub mod reactor;
#[cfg(unix)]
pub mod shm;
#[cfg(unix)]
mod sync;
#[cfg(unix)]
pub mod topic;
#[cfg(unix)]
pub mod zmq;
pub mod zmtp;

// Not under `cargo test`: there the exports are not registered, so clippy would call each of them dead code.
#[cfg(all(feature = "node", not(test)))]
mod node;

/// The programs in the guides, so that they compile.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../docs/queue.md")]
#[doc = include_str!("../docs/shared.md")]
mod guides {}
