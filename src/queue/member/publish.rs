//! Writing records.

use super::{Member, add};
use crate::queue::Sent;
use crate::queue::record::{self, HEAD, Head, MAX_BATCH, MAX_COUNT, MESSAGE_HEAD, SLOT};
use crate::queue::ring::{Claim, Corrupt};

impl Member {
    /// Bytes that one message may have in the ring.
    pub(crate) fn max_message(&self) -> usize {
        (self.max_slots() as usize) * SLOT - HEAD - MESSAGE_HEAD
    }

    /// Publishes one message. Nobody is woken yet.
    pub(crate) fn publish(&mut self, tag: u8, body: &[u8]) -> Result<Sent, Corrupt> {
        if body.len() > self.max_message() {
            return Ok(Sent::TooLarge);
        }
        if self.shared.flags.checked {
            let mut wire = Vec::with_capacity(record::message_size(body.len()));
            wire.extend_from_slice(&record::message_head(body.len(), tag));
            wire.extend_from_slice(body);
            wire.resize(wire.len().next_multiple_of(8), 0);
            return self.publish_record(&wire, 1);
        }
        let length = record::message_size(body.len());
        let (slots, head) = (slots_for(length)?, Head { count: 1, length: length as u64, ..Head::default() });
        let Claim::At(position) = self.shared.ring.claim(slots, self.seat, &mut self.seen_free)? else {
            return Ok(Sent::Full);
        };
        self.shared.fetch_ahead(position, slots);
        let mut heads = [0; HEAD + MESSAGE_HEAD];
        heads[..HEAD].copy_from_slice(&head.encode());
        heads[HEAD..].copy_from_slice(&record::message_head(body.len(), tag));
        self.shared.write(position, 0, &heads)?;
        crash_point!("half written");
        self.shared.write(position, heads.len(), body)?;
        self.finish(position, slots, 1);
        Ok(Sent::Yes)
    }

    /// Publishes messages in wire form, as many to a record as is good. Adds to `taken` the bytes that were published.
    pub(crate) fn publish_batch(&mut self, wire: &[u8], taken: &mut usize) -> Result<Sent, Corrupt> {
        let most = if self.shared.flags.ack { 1 } else { MAX_COUNT };
        let room = self.max_message() + MESSAGE_HEAD;
        let limit = room.min(MAX_BATCH);
        let (mut begin, mut end, mut count) = (0, 0, 0);
        for message in record::messages(wire) {
            let message = message.map_err(|_| Corrupt)?;
            let size = record::message_size(message.length);
            if count > 0 && (count == most || end - begin + size > limit) {
                match self.publish_record(&wire[begin..end], count)? {
                    Sent::Yes => *taken += end - begin,
                    other => return Ok(other),
                }
                (begin, count) = (end, 0);
            }
            if size > room {
                return Ok(Sent::TooLarge);
            }
            (end, count) = (end + size, count + 1);
        }
        if count > 0 {
            match self.publish_record(&wire[begin..end], count)? {
                Sent::Yes => *taken += end - begin,
                other => return Ok(other),
            }
        }
        Ok(Sent::Yes)
    }

    fn publish_record(&mut self, wire: &[u8], count: u32) -> Result<Sent, Corrupt> {
        let slots = slots_for(wire.len())?;
        let Claim::At(position) = self.shared.ring.claim(slots, self.seat, &mut self.seen_free)? else {
            return Ok(Sent::Full);
        };
        self.shared.fetch_ahead(position, slots);
        let check = if self.shared.flags.checked { record::checksum(position, count, wire) } else { 0 };
        let head = Head { count, length: wire.len() as u64, check, ..Head::default() };
        self.shared.write(position, 0, &head.encode())?;
        crash_point!("half written");
        self.shared.write(position, HEAD, wire)?;
        self.finish(position, slots, count);
        Ok(Sent::Yes)
    }

    fn finish(&mut self, position: u64, slots: u32, count: u32) {
        crash_point!("written");
        self.shared.ring.commit(position, slots, self.seat);
        crash_point!("committed");
        add(&self.own().sent, count);
        self.published = position;
    }

    fn max_slots(&self) -> u32 {
        (self.shared.ring.shape.slots() / 4).max(1)
    }
}

fn slots_for(length: usize) -> Result<u32, Corrupt> {
    u32::try_from(record::slots_for(length)).map_err(|_| Corrupt)
}
