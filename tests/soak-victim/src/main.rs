//! One victim of `npm run soak`: `soak-victim produce|consume QUEUE LEDGER NUMBER` or
//! `soak-victim publish|reliable|lossy|witness TOPIC ROLL NUMBER`. Works until it is killed, until its part of the ledger is full, or
//! until the roll says that it is over. Ends with code 1 and a word on stderr when something is wrong.

mod body;
mod consume;
mod ledger;
mod produce;
mod publish;
mod random;
mod reader;
mod roll;
mod subscribe;

use std::time::{Duration, Instant};

use interproc::queue::{JoinError, Work};
use interproc::shm::{OpenError, Place};
use interproc::topic::Topic;

use ledger::Ledger;
use random::Random;
use roll::Roll;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, place, sheet, number] = arguments.as_slice() else {
        fail("soak-victim ROLE QUEUE|TOPIC LEDGER|ROLL NUMBER");
    };
    let number: usize = number.parse().unwrap_or_else(|_| fail("NUMBER is none"));
    let ledger = || Ledger::open(sheet).unwrap_or_else(|error| fail(&error));
    let roll = || Roll::open(sheet).unwrap_or_else(|error| fail(&error));
    let mut random = Random::new(number as u64);
    match role.as_str() {
        "produce" => produce::run(place, &ledger(), number, &mut random),
        "consume" => consume::run(place, &ledger(), number, &mut random),
        "publish" => publish::run(place, &roll(), number, &mut random),
        "reliable" | "lossy" | "witness" => subscribe::run(place, &roll(), role, &mut random),
        _ => fail("no such role"),
    }
}

/// Opens the queue, which is there: by its name, its ticket, or its path.
fn join(queue: &str) -> Work {
    let place = match queue.strip_prefix("file:") {
        Some(path) => Place::File(path.into()),
        None => Place::parse(queue).unwrap_or_else(|error| fail(&error.to_string())),
    };
    patiently(|| Work::join(&place, None)).0
}

/// Opens the topic, which is there.
fn join_topic(topic: &str) -> Topic {
    let place = Place::parse(topic).unwrap_or_else(|error| fail(&error.to_string()));
    patiently(|| Topic::join(&place, None)).0
}

fn patiently<T>(join: impl Fn() -> Result<T, JoinError>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match join() {
            Ok(joined) => return joined,
            // Someone was stopped in the very microseconds for which it keeps the others out.
            Err(JoinError::Open(OpenError::Busy)) if Instant::now() < deadline => {}
            Err(error) => fail(&format!("cannot open it: {error:?}")),
        }
    }
}

fn fail(what: &str) -> ! {
    eprintln!("{what}");
    std::process::exit(1)
}
