//! A consumer: checks every byte of what it gets, and writes down what it got.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use interproc::queue::{Delivery, PART, Work};

use crate::body;
use crate::ledger::{ACKNOWLEDGED, ACKNOWLEDGING, Ledger, SEEN};
use crate::random::Random;
use crate::{fail, join};

/// Messages that wait for their acknowledgement, at most.
const HELD: usize = 20;

/// A message that was received: where it is acknowledged, and whose it is.
type Received = (u64, (usize, u32));

pub fn run(queue: &str, ledger: &Ledger, own: usize, random: &mut Random) {
    let mut work = join(queue);
    let mut held: Vec<Received> = Vec::new();
    loop {
        if random.once_in(200) {
            // One who leaves in order, with unacknowledged messages or amid a lease, and comes again.
            if random.once_in(2) {
                let _ = work.lease(5, 1 << 12);
            }
            held.clear();
            drop(work);
            work = join(queue);
        }
        let spin = if random.once_in(4) { Duration::from_micros(20) } else { Duration::ZERO };
        let deadline = Some(Instant::now() + Duration::from_millis(200));
        let most = 1 + random.below(64) as u32;
        let leased = work.lease_blocking(most, 1 << random.below(18), deadline, spin);
        if leased.unwrap_or_else(|error| fail(&error.to_string())) > 0 {
            let received = take(&mut work, ledger, own, random);
            if work.flags().ack {
                held.extend(received);
            }
        }
        while held.len() > HELD || (!held.is_empty() && random.once_in(2)) {
            let at = random.below(held.len() as u64) as usize;
            end(&mut work, ledger, held.swap_remove(at), random);
        }
    }
}

/// Has the first messages of a lease, or all; the others go back.
fn take(work: &mut Work, ledger: &Ledger, own: usize, random: &mut Random) -> Vec<Received> {
    let mut bytes = vec![0; work.leased_bytes()];
    let mut found: Vec<Delivery> = Vec::new();
    work.copy(&mut bytes, |delivery| found.push(*delivery)).unwrap_or_else(|error| fail(&error.to_string()));
    if random.once_in(4) {
        found.truncate(random.below(found.len() as u64 + 1) as usize);
    }
    let mut received = Vec::new();
    for (count, delivery) in (1..).zip(&found) {
        ledger.asked(own).fetch_add(1, Ordering::SeqCst);
        // From here on it is ours, and nobody else gets it.
        work.mark().store(count, Ordering::Release);
        received.push((delivery.id, receive(work, ledger, &bytes, delivery)));
        ledger.noted(own).fetch_add(1, Ordering::SeqCst);
        ledger.progress(1);
    }
    work.give_back(found.len() as u32).unwrap_or_else(|error| fail(&error.to_string()));
    received
}

fn receive(work: &mut Work, ledger: &Ledger, bytes: &[u8], delivery: &Delivery) -> (usize, u32) {
    let read = if delivery.tag & PART == 0 {
        body::read(&bytes[delivery.offset..delivery.offset + delivery.length])
    } else {
        let part = work.part(delivery.id).and_then(|part| part.to_vec());
        let part = part.unwrap_or_else(|error| fail(&format!("lost: a large message's file: {error}")));
        body::read(&part)
    };
    let Some((producer, number)) = read else { fail(&format!("corrupt: {delivery:?}")) };
    let Some(note) = ledger.note(producer, number) else { fail(&format!("corrupt: message {number} of {producer}")) };
    if work.flags().ack {
        if note.fetch_or(SEEN, Ordering::SeqCst) & ACKNOWLEDGED != 0 {
            fail(&format!("twice: message {number} of {producer} came after it was acknowledged"));
        }
    } else if note.fetch_add(1, Ordering::SeqCst) != 0 {
        fail(&format!("twice: message {number} of {producer}"));
    }
    (producer, number)
}

fn end(work: &mut Work, ledger: &Ledger, (id, (producer, number)): Received, random: &mut Random) {
    if random.once_in(10) {
        if !work.release(id).unwrap_or_else(|error| fail(&error.to_string())) {
            fail(&format!("twice: message {number} of {producer} was taken from its holder"));
        }
        return;
    }
    let Some(note) = ledger.note(producer, number) else { return };
    note.fetch_or(ACKNOWLEDGING, Ordering::SeqCst);
    if !work.ack(id).unwrap_or_else(|error| fail(&error.to_string())) {
        fail(&format!("twice: message {number} of {producer} was taken from its holder"));
    }
    if note.fetch_or(ACKNOWLEDGED, Ordering::SeqCst) & ACKNOWLEDGED != 0 {
        fail(&format!("twice: message {number} of {producer} was acknowledged"));
    }
}
