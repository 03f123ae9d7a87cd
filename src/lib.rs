//! Everything that processes say to each other and share with each other: the core of the npm package `interproc`,
//! and a Rust library of its own. One module per subject; imports only go down (see ARCHITECTURE.md).

pub mod reactor;
