//! Shared memory that is damaged while it is used: see tests/damage/support.rs.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/damage/support.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod support;

fuzz_target!(|data: &[u8]| support::topic(data));
