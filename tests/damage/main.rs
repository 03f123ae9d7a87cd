//! Shared memory full of garbage: an error at worst. Inputs grow from those before them, always the same ones; `INTERPROC_DAMAGE_SECONDS`
//! makes it go on for longer with others. The fuzz targets of the same names find more with `cargo +nightly fuzz run damage_queue`.
#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "who hangs cannot fail")]

mod support;

use std::time::{Duration, Instant};

/// Inputs of one run.
const ROUNDS: u64 = 300;
/// No input takes so long by far.
const HANGS: Duration = Duration::from_secs(60);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// Runs `check` on inputs of many lengths, small numbers more often than large ones.
fn run(check: fn(&[u8])) {
    let seconds = std::env::var("INTERPROC_DAMAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let goes_on = |round: u64| until.map_or(round < ROUNDS, |until| Instant::now() < until);
    for round in (0..).take_while(|round| goes_on(*round)) {
        let mut random = Random(round);
        random.next();
        let input: Vec<u8> = (0..random.next() % 600)
            .map(|_| {
                let byte = random.next().to_le_bytes()[1];
                if random.next().is_multiple_of(3) { byte % 12 } else { byte }
            })
            .collect();
        watched(round, || check(&input));
    }
}

/// Ends the program if `check` does not come back.
fn watched(round: u64, check: impl FnOnce()) {
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if waits.recv_timeout(HANGS) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("input {round} hangs");
            std::process::abort();
        }
    });
    check();
    drop(done);
    watchdog.join().expect("it only waits");
}

#[test]
fn a_damaged_queue() {
    run(support::queue);
}

#[test]
fn a_damaged_file() {
    run(support::file);
}

#[test]
fn a_damaged_table_of_locks() {
    run(support::locks);
}

#[test]
fn a_damaged_topic() {
    run(support::topic);
}

#[test]
fn a_damaged_map() {
    run(support::map);
}

/// The mutex became our own, as the fuzz target found: who lives and has it is waited for.
#[test]
fn a_map_whose_mutex_says_that_we_have_it() {
    let input = b"\x5d\x43\x00\xff\xff\x00\xf7\x01\x00\x00\x00\x00\x00\x02\x05\x09\x00\xbf\x00\x00\x69\x2c\xa0\x00\x00\x00\x2c\x00\x00\x00\x23\x00\x00\x00\x00\x0a\x60\x2d";
    watched(0, || support::map(input));
}
