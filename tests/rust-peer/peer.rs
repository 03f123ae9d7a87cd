//! A Rust program for the tests that need one beside Node: `rust-peer ROLE ARGUMENTS…`, see `__test__/fixtures/rust-peer.js`.
//! It uses what the crate offers to everybody, and tells its parent what it sees, a line each.

mod codecs;
mod queues;
mod shared;

use std::io::{Read, Write};

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["echo", from, to] => codecs::echo(from, to),
        ["values", to, back, seed, count] => codecs::values(to, back, seed.parse()?, count.parse()?),
        ["extensions", to] => codecs::extensions(to),
        ["produce", place, codec, count] => queues::produce(place, codec, count.parse()?),
        ["consume", place, count] => queues::consume(place, count.parse()?),
        ["hold", place] => queues::hold(place),
        ["pass-on", from, to] => queues::pass_on(from, to),
        ["take", place] => queues::take(place),
        ["flood", place] => queues::flood(place),
        ["foreign", place] => queues::foreign(place),
        ["large", place, bytes] => queues::large(place, bytes.parse()?),
        ["create-buffer", name] => shared::create_buffer(name),
        ["open-buffer", place] => shared::open_buffer(place),
        ["turns", place, count] => shared::turns(place, count.parse()?),
        ["hold-lock", name, mode] => shared::hold_lock(name, mode),
        ["hold-permits", name, permits, count] => shared::hold_permits(name, permits.parse()?, count.parse()?),
        ["map", place] => shared::map(place),
        ["count", name, times] => shared::count(name, times.parse()?),
        ["storm", place, times] => shared::storm(place, times.parse()?),
        _ => Err(format!("there is no role {arguments:?}").into()),
    }
}

/// A line for the parent.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut output = std::io::stdout().lock();
    // The parent may be gone; then nobody needs it.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Until the parent closes our input, or kills us.
pub(crate) fn wait_for_the_end() -> Outcome {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
