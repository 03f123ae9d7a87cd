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
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if waits.recv_timeout(HANGS) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("input {round} hangs");
                std::process::abort();
            }
        });
        check(&input);
        drop(done);
        watchdog.join().expect("it only waits");
    }
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
