//! A publisher: numbers its messages, and writes down which it is about to publish and which it has published.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use interproc::queue::Sent;
use interproc::topic::Topic;

use crate::random::Random;
use crate::roll::{ENDING, Roll};
use crate::{body, fail, join_topic};

pub fn run(place: &str, roll: &Roll, own: usize, random: &mut Random) {
    let mut topic = join_topic(place);
    let mut next = 0;
    while roll.phase() < ENDING {
        if random.once_in(200) {
            // One who leaves in order, and comes again.
            drop(topic);
            topic = join_topic(place);
        }
        let count = if random.once_in(5) { 1 + random.below(100) as u32 } else { 1 };
        roll.begun(own).store(next + count, Ordering::SeqCst);
        if count == 1 {
            one(&mut topic, roll, own, next, random);
        } else {
            batch(&mut topic, roll, own, next, count, random);
        }
        next += count;
    }
}

fn one(topic: &mut Topic, roll: &Roll, own: usize, number: u32, random: &mut Random) {
    let bytes = body::make(own, number, body::length(random));
    loop {
        let deadline = Some(Instant::now() + Duration::from_millis(100));
        let sent = if random.once_in(3) {
            topic.look_for_dead();
            topic.publish_any(0, &bytes)
        } else {
            topic.publish_blocking(0, &bytes, deadline, Duration::ZERO)
        };
        match sent {
            Ok(Sent::Yes) => break,
            Ok(Sent::Full) => {}
            other => fail(&format!("not published: {other:?}")),
        }
    }
    roll.sent(own).store(number + 1, Ordering::SeqCst);
    roll.progress(1);
}

fn batch(topic: &mut Topic, roll: &Roll, own: usize, first: u32, count: u32, random: &mut Random) {
    let largest = topic.max_message().min(400);
    let bodies = (first..first + count).map(|number| body::make(own, number, body::length(random).min(largest)));
    let (wire, ends) = body::wire(bodies);
    let (mut taken, mut told) = (0, 0);
    while taken < wire.len() {
        match topic.publish_batch(&wire[taken..]) {
            Ok((more, Sent::Yes | Sent::Full)) => taken += more,
            other => fail(&format!("no batch published: {other:?}")),
        }
        let sent = ends.iter().take_while(|end| **end <= taken).count() as u32;
        roll.sent(own).store(first + sent, Ordering::SeqCst);
        roll.progress(sent - told);
        told = sent;
        if taken < wire.len() {
            topic.look_for_dead();
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
