//! A topic, used and damaged in turn: its words, the table of its seats, states, counts, and messages.

use std::sync::Arc;

use interproc::queue::{Flags, New, PART};
use interproc::shm::Place;
use interproc::topic::{Subscription, Topic, Wish};

use super::{Bytes, damage, ignore, wire};

const SEATS: usize = 512;
const STATES: usize = 66048;
/// What large bodies are made of.
const LARGE: u8 = 3;

pub(crate) fn topic(data: &[u8]) {
    let mut bytes = Bytes(data);
    let capacity = 512 << (bytes.u8() & 3);
    let new = New { capacity, persistent: false, flags: Flags::default() };
    let Ok((mut topic, _)) = Topic::join(&Place::Anonymous, Some(new)) else { return };
    let segment = Arc::clone(topic.segment());
    let states = usize::try_from(capacity).unwrap_or(0) / 64 * 8;
    let slots = (STATES + 2 * states).next_multiple_of(4096);
    let mut readers: Vec<Subscription> = Vec::new();
    for _ in 0..200 {
        if bytes.0.is_empty() {
            break;
        }
        match bytes.u8() % 15 {
            0 => ignore(topic.publish(bytes.u8(), &vec![7; usize::from(bytes.u8()) * 2])),
            1 => {
                let lengths: Vec<usize> = (0..bytes.u8() % 8).map(|_| usize::from(bytes.u8())).collect();
                ignore(topic.publish_batch(&wire(&lengths)));
            }
            2 | 3 => receive(&mut bytes, &mut readers),
            4 => {
                let wish = Wish { lossy: bytes.u8() & 1 != 0, others_only: bytes.u8() & 1 != 0 };
                if let Some(reader) = topic.subscribe(wish).ok().filter(|_| readers.len() < 4) {
                    readers.push(reader);
                }
            }
            5 => drop(readers.pop()),
            6 => {
                let _ = (topic.look_around(), topic.stats(), topic.flags(), topic.max_message());
                topic.look_for_dead();
            }
            7 => {
                topic.arm_sender();
                topic.disarm_sender();
                for reader in &mut readers {
                    reader.arm_receiver();
                    reader.disarm_receiver();
                }
            }
            8 | 9 => ignore(topic.publish_any(0, &[LARGE; 5000])),
            10 => damage(&mut bytes, segment.region(), 0, SEATS),
            11 => damage(&mut bytes, segment.region(), SEATS, SEATS + 1024),
            12 => damage(&mut bytes, segment.region(), STATES, STATES + states),
            13 => damage(&mut bytes, segment.region(), STATES + states, STATES + 2 * states),
            _ => damage(&mut bytes, segment.region(), slots, segment.region().len()),
        }
    }
}

fn receive(bytes: &mut Bytes<'_>, readers: &mut [Subscription]) {
    let (which, most) = (usize::from(bytes.u8()), u32::from(bytes.u8()) + 1);
    let count = readers.len().max(1);
    let Some(reader) = readers.get_mut(which % count) else { return };
    let _ = (reader.ready(), reader.missed());
    let Ok(1..) = reader.lease(most, 4096) else { return };
    let room = reader.leased_bytes();
    assert!(room <= 1 << 20, "more than the ring has: {room}");
    let mut into = vec![0; room];
    let mut found = Vec::new();
    reader.copy(&mut into, |delivery| {
        assert!(delivery.offset + delivery.length <= room, "outside of the copy");
        found.push(*delivery);
    });
    if which & 0x80 != 0 {
        reader.finish();
    }
    for delivery in found.iter().filter(|delivery| delivery.tag & PART != 0) {
        if let Ok(part) = reader.part(delivery.id) {
            assert!(part.to_vec().unwrap().iter().all(|byte| *byte == LARGE));
        }
    }
    if which & 0x80 == 0 {
        reader.finish();
    }
}
