//! Any bytes of a ZMTP peer, at once and in pieces: see `check`. The first byte says what goes before them and how they
//! are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/zmtp/support.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod support;

use support::{check, greeting, ready};

fuzz_target!(|data: &[u8]| {
    let Some((&how, garbage)) = data.split_first() else { return };
    let start = match how & 3 {
        0 => vec![],
        1 => greeting(1).to_vec(),
        2 => [&greeting(0)[..], &ready("SUB")].concat(),
        _ => [&greeting(1)[..], &ready("SUB")].concat(),
    };
    check(&[&start, garbage].concat(), 1 + usize::from(how >> 2));
});
