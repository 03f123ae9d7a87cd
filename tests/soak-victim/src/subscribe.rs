//! A subscriber: checks every byte of what it gets, and that it gets all that it must, in order.

use std::time::{Duration, Instant};

use interproc::queue::{Delivery, PART};
use interproc::topic::{Subscription, Wish};

use crate::random::Random;
use crate::reader::Reader;
use crate::roll::{COMPARED, Roll, WITNESSED};
use crate::{body, fail, join_topic};

/// Without a message for so long, when nobody publishes: that was all. Twice what it takes to see that someone is dead.
const QUIET: Duration = Duration::from_millis(300);

pub fn run(place: &str, roll: &Roll, role: &str, random: &mut Random) {
    let (lossy, witness) = (role == "lossy", role == "witness");
    let topic = join_topic(place);
    let mut reader = Reader::new(roll, lossy);
    let subscribed = topic.subscribe(Wish { lossy, ..Wish::default() });
    let mut subscription = subscribed.unwrap_or_else(|error| fail(&format!("not subscribed: {error:?}")));
    reader.subscribed(roll);
    drop(topic);
    println!("subscribed");
    let over = if witness { WITNESSED } else { COMPARED };
    loop {
        // Before looking: what was published then is there.
        let phase = roll.phase();
        let spin = if random.once_in(4) { Duration::from_micros(20) } else { Duration::ZERO };
        let most = 1 + random.below(64) as u32;
        let deadline = Some(Instant::now() + QUIET);
        let leased = subscription.lease_blocking(most, 1 << random.below(18), deadline, spin);
        if leased.unwrap_or_else(|error| fail(&format!("corrupt: {error:?}"))) > 0 {
            take(&mut subscription, &mut reader, random);
            reader.look_at(roll, subscription.missed(), random.once_in(1000));
        } else if phase >= over {
            break;
        }
        if lossy && random.once_in(100) {
            // Too slow, now and then.
            std::thread::sleep(Duration::from_micros(random.below(3000)));
        }
    }
    if witness {
        reader.bear_witness(roll);
    } else {
        reader.compare(roll, subscription.missed());
    }
}

fn take(subscription: &mut Subscription, reader: &mut Reader, random: &mut Random) {
    let mut bytes = vec![0; subscription.leased_bytes()];
    let mut found: Vec<Delivery> = Vec::new();
    subscription.copy(&mut bytes, |delivery| found.push(*delivery));
    let early = random.once_in(2);
    if early {
        // What was copied is ours.
        subscription.finish();
    }
    for delivery in &found {
        let read = if delivery.tag & PART == 0 {
            body::read(&bytes[delivery.offset..delivery.offset + delivery.length])
        } else {
            let part = subscription.part(delivery.id).and_then(|part| part.to_vec());
            body::read(&part.unwrap_or_else(|error| fail(&format!("lost: a large message's file: {error}"))))
        };
        let Some((publisher, number)) = read else { fail(&format!("corrupt: {delivery:?}")) };
        reader.see(publisher, number);
    }
    if !early {
        subscription.finish();
    }
}
