//! One victim of `npm run soak`: `soak-victim produce|consume QUEUE LEDGER NUMBER`. Works until it is killed, or until its part
//! of the ledger is full. Ends with code 1 and a word on stderr when something is wrong.

mod body;
mod consume;
mod ledger;
mod produce;
mod random;

use std::time::{Duration, Instant};

use interproc::queue::{JoinError, Work};
use interproc::shm::{OpenError, Place};

use ledger::Ledger;
use random::Random;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, queue, ledger, number] = arguments.as_slice() else {
        fail("soak-victim produce|consume QUEUE LEDGER NUMBER");
    };
    let number: usize = number.parse().unwrap_or_else(|_| fail("NUMBER is none"));
    let ledger = Ledger::open(ledger).unwrap_or_else(|error| fail(&error));
    let mut random = Random::new(number as u64);
    match role.as_str() {
        "produce" => produce::run(queue, &ledger, number, &mut random),
        "consume" => consume::run(queue, &ledger, number, &mut random),
        _ => fail("no such role"),
    }
}

/// Opens the queue, which is there: by its name, its ticket, or its path.
fn join(queue: &str) -> Work {
    let place = match queue.strip_prefix("file:") {
        Some(path) => Place::File(path.into()),
        None => Place::parse(queue).unwrap_or_else(|error| fail(&error.to_string())),
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match Work::join(&place, None) {
            Ok((work, _)) => return work,
            // Someone was stopped in the very microseconds for which it keeps the others out.
            Err(JoinError::Open(OpenError::Busy)) if Instant::now() < deadline => {}
            Err(error) => fail(&format!("cannot open the queue: {error:?}")),
        }
    }
}

fn fail(what: &str) -> ! {
    eprintln!("{what}");
    std::process::exit(1)
}
