//! A producer: numbers its messages, and writes down which it is about to send and which it has sent.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use interproc::queue::{Sent, Work};

use crate::body;
use crate::ledger::{EACH, Ledger};
use crate::random::Random;
use crate::{fail, join};

pub fn run(queue: &str, ledger: &Ledger, own: usize, random: &mut Random) {
    let mut work = join(queue);
    let mut next = 0;
    while next < EACH {
        if random.once_in(200) {
            // One who leaves in order, and comes again.
            drop(work);
            work = join(queue);
        }
        let count = if random.once_in(5) { 1 + random.below(100) as u32 } else { 1 };
        let count = count.min(EACH - next);
        ledger.begun(own).store(next + count, Ordering::SeqCst);
        if count == 1 {
            one(&mut work, ledger, own, next, random);
        } else {
            batch(&mut work, ledger, own, next, count, random);
        }
        next += count;
    }
}

fn one(work: &mut Work, ledger: &Ledger, own: usize, number: u32, random: &mut Random) {
    let bytes = body::make(own, number, body::length(random));
    loop {
        let deadline = Some(Instant::now() + Duration::from_millis(100));
        let sent = if random.once_in(3) { work.send_any(0, &bytes) } else { work.send_blocking(0, &bytes, deadline) };
        match sent {
            Ok(Sent::Yes) => break,
            Ok(Sent::Full) => {}
            other => fail(&format!("not sent: {other:?}")),
        }
    }
    ledger.sent(own).store(number + 1, Ordering::SeqCst);
    ledger.progress(1);
}

fn batch(work: &mut Work, ledger: &Ledger, own: usize, first: u32, count: u32, random: &mut Random) {
    let largest = work.max_message().min(400);
    let bodies = (first..first + count).map(|number| body::make(own, number, body::length(random).min(largest)));
    let (wire, ends) = body::wire(bodies);
    let (mut taken, mut told) = (0, 0);
    while taken < wire.len() {
        match work.send_batch(&wire[taken..]) {
            Ok((more, Sent::Yes | Sent::Full)) => taken += more,
            other => fail(&format!("no batch sent: {other:?}")),
        }
        let sent = ends.iter().take_while(|end| **end <= taken).count() as u32;
        ledger.sent(own).store(first + sent, Ordering::SeqCst);
        ledger.progress(sent - told);
        told = sent;
        if taken < wire.len() {
            work.look_around();
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
