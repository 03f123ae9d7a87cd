//! The ZMTP engine as its callers see it: `cargo test --test zmtp`.

mod connection;
mod fuzz;
mod heartbeat;
mod hostile;
mod memory;
mod roundtrip;
mod support;
