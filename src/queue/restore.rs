//! A queue in a file, opened while nobody else has it: what a power cut left of it is put in order, before anyone joins.
//!
//! A mapped file reaches the disk page by page, in any order and at any time. After a power cut each page is as it was at some moment
//! since the last flush, so words, states and records contradict each other. What can be relied on: a record whose checksum fits its
//! position was written there, whole (`docs/queue-layout.md`); a position is never used twice.
//!
//! Every record between *free* and the furthest that any state or record tells of is either kept, or known to be received, or counted
//! as dropped. Who flushed has all its messages kept: pages are only newer than the flush, and nobody writes over what is not received.

use std::sync::atomic::Ordering;

use super::layout::Shared;
use super::member::settle_reading;
use super::part::{self, NAME_LEN, PART};
use super::record::{self, Checksum, HEAD, Head, MESSAGE_HEAD, SLOT};
use super::ring::Corrupt;
use super::state::{POSITION_MASK, State, Status, advance, distance, is_behind, pack_free, unpack_free};
use crate::shm::Region;

/// Bytes that are hashed in one go.
const CHUNK: usize = 16 * 1024;

/// What the first user of a queue in a file found there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Messages that are in the queue.
    pub messages: u64,
    /// Places where a record was, or may have been, that did not reach the disk whole. Each is one message or more.
    pub dropped: u64,
    /// Bytes of the queue that they took.
    pub dropped_bytes: u64,
}

/// Puts a queue in order that nobody uses. `coherent`: its last users were of this boot, no page can be older than another. `part`: is
/// this large message's body there?
pub(super) fn restore(
    region: Region<'_>,
    coherent: bool,
    part: &mut dyn FnMut(part::Name) -> bool,
) -> Result<Restored, Corrupt> {
    let shared = Shared::attach(region)?;
    if coherent {
        settle_all(&shared)?;
    }
    leave_all_seats(&shared);
    if !shared.flags.checked {
        // Not in a file of its own: there is nothing to tell old from new by.
        return Ok(Restored::default());
    }
    Restore { shared: &shared, part, start: 0, end: furthest(&shared), found: Restored::default(), budget: 0 }.run()
}

/// Everyone who had a seat is dead. Marks and states are of one moment: what was seen is known exactly.
fn settle_all(shared: &Shared<'_>) -> Result<(), Corrupt> {
    let mut result = Ok(());
    shared.ring.walk(shared.ring.free(), |record| {
        let mark = shared.seats[usize::from(record.state.owner)].mark().load(Ordering::Relaxed);
        match record.state.status {
            Status::Writing => drop(shared.ring.settle(record, record.state.owner, Status::Aborted)),
            Status::Reading => result = settle_reading(shared, record, mark),
            _ => {}
        }
        result.is_ok()
    })?;
    result
}

fn leave_all_seats(shared: &Shared<'_>) {
    for (number, seat) in (0..).zip(shared.seats) {
        for set in [shared.receivers, shared.senders, shared.subscribers] {
            set.disarm(number);
        }
        seat.mode.store(0, Ordering::Relaxed);
        seat.clear_mark();
        seat.occupant.store(0, Ordering::Relaxed);
    }
}

/// Where the last record ends that any word tells of.
fn furthest(shared: &Shared<'_>) -> u64 {
    let ring = &shared.ring;
    let size = u64::from(ring.shape.slots());
    let mut end = ring.tail.load(Ordering::Relaxed) & POSITION_MASK;
    for (index, word) in (0..).zip(ring.states) {
        let Some(state) = ring.shape.unpack(word.load(Ordering::Relaxed)) else { continue };
        if index + u64::from(state.slots) > size {
            continue;
        }
        let behind = advance(state.lap.wrapping_mul(size).wrapping_add(index) & POSITION_MASK, state.slots);
        if is_behind(end, behind) {
            end = behind;
        }
    }
    end
}

struct Restore<'a> {
    shared: &'a Shared<'a>,
    part: &'a mut dyn FnMut(part::Name) -> bool,
    /// Where it is looked for records: everything before was received.
    start: u64,
    /// Behind the last record known so far.
    end: u64,
    found: Restored,
    /// Bytes that were hashed: a file made on purpose must not keep us for ever.
    budget: u64,
}

impl Restore<'_> {
    fn run(mut self) -> Result<Restored, Corrupt> {
        let ring = &self.shared.ring;
        let size = u64::from(ring.shape.slots());
        let (start, version) = unpack_free(ring.free.load(Ordering::Relaxed));
        let old = distance(start, self.end) > size;
        // Or that word is older than the others by more than a lap.
        self.start = if old { self.end.wrapping_sub(size) & POSITION_MASK } else { start };
        let (mut position, mut hole) = (self.start, self.start);
        loop {
            let known = is_behind(position, self.end);
            let kept = if known { self.known(position, hole)? } else { self.beyond(position, hole)? };
            match kept {
                Some(slots) => {
                    position = advance(position, slots);
                    hole = position;
                }
                None if known => position = advance(position, 1),
                None => break,
            }
            if is_behind(self.end, position) {
                self.end = position;
            }
        }
        self.fill(hole, self.end);
        ring.tail.store(self.end, Ordering::Relaxed);
        ring.free.store(pack_free(self.start, version), Ordering::Relaxed);
        // SYNC: Release, pairs with the Acquire in `Work::lease`, though nobody is there yet.
        self.shared.returned.fetch_add(1, Ordering::Release);
        Ok(self.found)
    }

    /// The slots of the record at a position that some word tells of, kept or not; `None`: nothing is known of this slot.
    fn known(&mut self, position: u64, hole: u64) -> Result<Option<u32>, Corrupt> {
        let shape = self.shared.ring.shape;
        let word = self.shared.ring.states[shape.index(position)].load(Ordering::Relaxed);
        let state = shape.unpack(word).filter(|state| {
            state.lap == shape.lap(position)
                && state.slots <= self.rest(position)
                && !is_behind(self.end, advance(position, state.slots))
        });
        let status = state.map(|state| state.status);
        if let (Some(state), Some(Status::Done | Status::Aborted)) = (state, status) {
            self.fill(hole, position);
            return Ok(Some(state.slots));
        }
        let head = self.intact(position)?;
        if let Some((slots, head)) = head
            && state.is_none_or(|state| state.slots == slots)
        {
            self.fill(hole, position);
            self.keep(position, slots, head, state)?;
            return Ok(Some(slots));
        }
        Ok(state.map(|state| {
            self.fill(hole, position);
            self.fill(position, advance(position, state.slots));
            state.slots
        }))
    }

    /// The record at a position that no word tells of: those that were sent last may have reached the disk before their states.
    fn beyond(&mut self, position: u64, hole: u64) -> Result<Option<u32>, Corrupt> {
        let shape = self.shared.ring.shape;
        let size = u64::from(shape.slots());
        // The next one, or what comes behind a filler at the ring's end.
        for skip in [0, self.rest(position)] {
            let at = advance(position, skip);
            if distance(self.start, at) >= size {
                break;
            }
            if let Some((slots, head)) = self.intact(at)? {
                self.fill(hole, at);
                self.keep(at, slots, head, None)?;
                return Ok(Some(skip + slots));
            }
        }
        Ok(None)
    }

    /// Slots up to the ring's end.
    fn rest(&self, position: u64) -> u32 {
        let shape = self.shared.ring.shape;
        // Below the number of slots, which is an u32.
        shape.slots() - u32::try_from(shape.index(position)).unwrap_or(0)
    }

    /// Slots and head of a record that was written at this position, whole.
    fn intact(&mut self, position: u64) -> Result<Option<(u32, Head)>, Corrupt> {
        let mut bytes = [0; HEAD];
        self.shared.read(position, 0, &mut bytes)?;
        let head = Head::decode(&bytes);
        let size = u64::from(self.shared.ring.shape.slots());
        let most = self.rest(position);
        let limit = 4 * size * SLOT as u64;
        if !head.fits(most) || self.budget > limit {
            return Ok(None);
        }
        self.budget += head.length;
        let length = usize::try_from(head.length).map_err(|_| Corrupt)?;
        let slots = u32::try_from(record::slots_for(length)).map_err(|_| Corrupt)?;
        if distance(self.start, position) + u64::from(slots) > size {
            return Ok(None);
        }
        let mut sum = Checksum::new(position, head.count, length);
        let mut chunk = [0; CHUNK];
        for at in (0..length).step_by(CHUNK) {
            let bytes = &mut chunk[..CHUNK.min(length - at)];
            self.shared.read(position, HEAD + at, bytes)?;
            sum.add(bytes);
        }
        Ok((sum.end() == head.check).then_some((slots, head)))
    }

    fn keep(&mut self, position: u64, slots: u32, head: Head, state: Option<State>) -> Result<(), Corrupt> {
        let status = match state.map(|state| state.status) {
            _ if head.start >= head.count => Status::Done,
            _ if !self.part_is_there(position, head)? => Status::Done,
            Some(Status::Reading | Status::Again) => Status::Again,
            _ => Status::Ready,
        };
        if status != Status::Done {
            self.found.messages += u64::from(head.count - head.start);
        }
        self.store(position, slots, status);
        Ok(())
    }

    /// A large message whose file is gone was received: the file is written before the record, and goes after it.
    fn part_is_there(&mut self, position: u64, head: Head) -> Result<bool, Corrupt> {
        let mut bytes = [0; MESSAGE_HEAD];
        self.shared.read(position, HEAD, &mut bytes)?;
        let message = record::parse_message_head(bytes, 0).map_err(|_| Corrupt)?;
        if head.count != 1 || message.tag & PART == 0 || message.length != NAME_LEN {
            return Ok(true);
        }
        let mut name = [0; NAME_LEN];
        self.shared.read(position, HEAD + MESSAGE_HEAD, &mut name)?;
        // What names nothing is its receiver's error.
        Ok(part::Name::decode(&name).is_none_or(|name| (self.part)(name)))
    }

    /// Makes the slots between two positions, if there are any, records that never came to be: something may have been there.
    fn fill(&mut self, from: u64, to: u64) {
        if from == to {
            return;
        }
        self.found.dropped += 1;
        self.found.dropped_bytes += distance(from, to) * SLOT as u64;
        let mut at = from;
        while is_behind(at, to) {
            let slots = u64::from(self.rest(at)).min(distance(at, to));
            // At most the ring's slots.
            let slots = u32::try_from(slots).unwrap_or(1);
            self.store(at, slots, Status::Aborted);
            at = advance(at, slots);
        }
    }

    fn store(&self, position: u64, slots: u32, status: Status) {
        let shape = self.shared.ring.shape;
        let state = State { lap: shape.lap(position), slots, owner: 0, status };
        self.shared.ring.states[shape.index(position)].store(shape.pack(state), Ordering::Relaxed);
    }
}
