//! The work queue: every message goes to one receiver.
//!
//! A receiver *leases* records: they are its own, but still in the queue. It copies them out (or reads them in place), then
//! *finishes* the lease, or gives back what the application did not get. If it is killed meanwhile, the others put back
//! what was not seen: in a queue without acknowledgement the messages up to the receiver's mark count as seen, and are
//! never delivered again; in one with acknowledgement everything counts as unseen until [`Work::ack`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::layout::{Flags, Shared};
use super::member::{Member, New, Sleeper, Stats, add, block, settle_reading};
use super::part::{self, NAME_LEN, PART, Part};
use super::record::{self, HEAD, Head, MESSAGE_HEAD, Message};
use super::ring::{Corrupt, Record};
use super::state::{Status, advance, is_behind};
use super::{JoinError, SendError, Sent, aux::Aux};
use crate::shm::{Kind, Place, Segment};

/// One handle of a work queue. Others may be in this process or in others; a handle itself is for one thread at a time.
#[derive(Debug)]
pub struct Work {
    member: Member,
    /// Before it there is nothing for us.
    cursor: u64,
    /// What the last lease passed by because it was being written: position and owner.
    passed: Vec<(u64, u16)>,
    /// The count of returned records that the cursor has heeded.
    heeded: u64,
    /// The records of the present lease, in the order of their positions.
    held: Vec<Held>,
    /// Received and not acknowledged yet, by position.
    unacknowledged: HashMap<u64, Held>,
    /// A damaged record was met, and not told yet.
    damaged: bool,
    scratch: Vec<Delivery>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    record: Record,
    head: Head,
    /// The file with its one message's body.
    part: Option<part::Name>,
}

/// A message that a lease gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where its body begins: in the caller's memory, or among the slots.
    pub offset: usize,
    /// Bytes of its body.
    pub length: usize,
    /// What the sender said that the body is.
    pub tag: u8,
    /// Names the message for [`Work::ack`].
    pub id: u64,
    /// It was delivered before, to a receiver that died or gave it back.
    pub again: bool,
}

impl Work {
    /// Opens the queue at `place`, or creates it if there is none and `new` says how. `true`: created.
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn join(place: &Place, new: Option<New>) -> Result<(Self, bool), JoinError> {
        let (member, created) = Member::join(place, Kind::QUEUE, new)?;
        let cursor = member.shared.ring.free();
        let work = Self {
            member,
            cursor,
            passed: Vec::new(),
            heeded: 0,
            held: Vec::new(),
            unacknowledged: HashMap::new(),
            damaged: false,
            scratch: Vec::new(),
        };
        Ok((work, created))
    }

    /// Sends one message; it is in the queue when this returns [`Sent::Yes`], whatever becomes of this process.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn send(&mut self, tag: u8, body: &[u8]) -> Result<Sent, Corrupt> {
        let mut sent = self.member.publish(tag, body)?;
        if sent == Sent::Full && self.reclaim()? > 0 {
            sent = self.member.publish(tag, body)?;
        }
        if sent == Sent::Yes {
            self.member.wake_receivers(1);
        }
        Ok(sent)
    }

    /// Sends one message of any size: what does not fit the ring is written beside it.
    ///
    /// # Errors
    /// [`SendError`]: the disk or `/dev/shm` is full, for instance.
    pub fn send_any(&mut self, tag: u8, body: &[u8]) -> Result<Sent, SendError> {
        if body.len() <= self.max_message() {
            return Ok(self.send(tag, body)?);
        }
        let name = part::create(self.aux(), self.member.seat, body)?;
        crash_point!("part written");
        let sent = self.send(tag | PART, &name.encode());
        if sent != Ok(Sent::Yes) {
            name.remove(self.aux());
        }
        Ok(sent?)
    }

    /// Sends messages that are in wire form (see [`record`]) one behind the other. Gives the bytes that went in.
    ///
    /// # Errors
    /// [`Corrupt`], also for bytes that are no messages.
    pub fn send_batch(&mut self, wire: &[u8]) -> Result<(usize, Sent), Corrupt> {
        let mut taken = 0;
        let mut sent = self.member.publish_batch(wire, &mut taken)?;
        if sent == Sent::Full && self.reclaim()? > 0 {
            sent = self.member.publish_batch(&wire[taken..], &mut taken)?;
        }
        if taken > 0 {
            self.member.wake_receivers(1 + taken / (4 * record::MAX_BATCH));
        }
        Ok((taken, sent))
    }

    /// Sends one message, and waits while the queue is full, at most until `deadline`.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn send_blocking(&mut self, tag: u8, body: &[u8], deadline: Option<Instant>) -> Result<Sent, SendError> {
        let large = body.len() > self.max_message();
        // Written once, however often there is no room.
        let name = if large { Some(part::create(self.aux(), self.member.seat, body)?) } else { None };
        let (named, tag) = (name.map(part::Name::encode), if large { tag | PART } else { tag });
        let body = named.as_ref().map_or(body, |name| name.as_slice());
        let sent = block(self, true, deadline, Duration::ZERO, |work| {
            Ok(Some(work.send(tag, body)?).filter(|sent| *sent != Sent::Full))
        });
        if let (Some(name), Err(_) | Ok(None)) = (name, sent) {
            name.remove(self.aux());
        }
        Ok(sent?.unwrap_or(Sent::Full))
    }

    /// Takes records until they hold `most` messages or `bytes`, or there are no more; at least one if there is one. The
    /// lease before it must be finished or given back. Gives the number of messages.
    ///
    /// # Errors
    /// [`Corrupt`]; a damaged record is out of the way then, the next call goes on behind it.
    pub fn lease(&mut self, most: u32, bytes: usize) -> Result<u32, Corrupt> {
        debug_assert!(self.held.is_empty(), "one lease at a time");
        if std::mem::take(&mut self.damaged) {
            return Err(Corrupt);
        }
        let ring = self.member.shared.ring;
        // Before the first claim: a mark of the past must not count for it.
        self.member.own().mark.store(0, Ordering::Release);
        // SYNC: Acquire, pairs with the Release where it is counted up: we see the records that came back.
        let returned = self.member.shared.returned.load(Ordering::Acquire);
        if returned != self.heeded {
            (self.heeded, self.cursor) = (returned, ring.free());
        }
        let (mut position, mut passing, mut count, mut room) = (self.cursor, true, 0, bytes);
        self.passed.clear();
        while count < most {
            let Some(record) = ring.at(position)? else {
                let free = ring.free();
                if !is_behind(position, free) {
                    break;
                }
                // The ring went on without us.
                (position, passing, self.cursor) = (free, true, free);
                continue;
            };
            let size = record.state.slots as usize * record::SLOT;
            match record.state.status {
                Status::Ready | Status::Again => {
                    if count > 0 && size > room {
                        break;
                    }
                    if let Some(earlier) = self.passed_by_now(record.state.owner)? {
                        (position, passing) = (earlier, self.passed.is_empty());
                        continue;
                    }
                    let Some(ours) = ring.settle(record, self.member.seat, Status::Reading) else { continue };
                    crash_point!("leased");
                    count += self.hold(ours, record.state.status == Status::Again, count)?;
                    room = room.saturating_sub(size);
                }
                Status::Writing => {
                    passing = false;
                    self.passed.push((position, record.state.owner));
                }
                Status::Reading | Status::Done | Status::Aborted => {}
            }
            position = advance(position, record.state.slots);
            if passing {
                self.cursor = position;
            }
        }
        if count > 0 {
            return Ok(count);
        }
        if std::mem::take(&mut self.damaged) {
            return Err(Corrupt);
        }
        self.reclaim()?;
        self.member.wake_senders(true);
        Ok(0)
    }

    /// Where to go back to before a record of `owner` is taken: one of his was passed by while he wrote it, and is complete
    /// by now, for he writes one after the other. Else a receiver would take his messages out of their order.
    fn passed_by_now(&mut self, owner: u16) -> Result<Option<u64>, Corrupt> {
        let Some(index) = self.passed.iter().position(|&(_, of)| of == owner) else { return Ok(None) };
        let (position, _) = self.passed[index];
        let record = self.member.shared.ring.at(position)?;
        if record.is_some_and(|record| record.state.status == Status::Writing) {
            return Ok(None);
        }
        self.passed.truncate(index);
        Ok(Some(position))
    }

    fn hold(&mut self, record: Record, again: bool, base: u32) -> Result<u32, Corrupt> {
        let mut bytes = [0; HEAD];
        self.member.shared.read(record.position, 0, &mut bytes)?;
        let mut head = Head::decode(&bytes);
        if !head.fits(record.state.slots) || head.start >= head.count {
            self.member.shared.ring.settle(record, self.member.seat, Status::Done);
            self.damaged = true;
            return Ok(0);
        }
        head.base = base;
        self.member.shared.write_start(record.position, head.start, base)?;
        crash_point!("based");
        let mut record = record;
        // What the state word cannot say any more.
        record.state.status = if again { Status::Again } else { Status::Reading };
        self.held.push(Held { record, head, part: None });
        Ok(head.count - head.start)
    }

    /// Is there something to lease? For [`look_around`](Self::look_around), which repairs wake-ups that a killed process kept.
    pub fn ready(&self) -> bool {
        let ring = self.member.shared.ring;
        let mut ready = false;
        // A damaged queue is something to look at.
        let walked = ring.walk(ring.free(), |record| {
            ready = matches!(record.state.status, Status::Ready | Status::Again);
            !ready
        });
        ready || walked.is_err()
    }

    /// Bytes that [`copy`](Self::copy) writes.
    pub fn leased_bytes(&self) -> usize {
        self.held.iter().map(|held| length(held.head)).sum()
    }

    /// Copies the leased records into `into` (at least [`leased_bytes`](Self::leased_bytes) long) and names the messages. A
    /// damaged record is left out; the next lease tells of it.
    ///
    /// # Errors
    /// [`Corrupt`]: `into` is too short.
    pub fn copy(&mut self, into: &mut [u8], each: impl FnMut(&Delivery)) -> Result<(), Corrupt> {
        let mut at = 0;
        self.each_held(each, |shared, held, found| {
            let length = length(held.head);
            let bytes = into.get_mut(at..at + length).ok_or(Corrupt)?;
            shared.read(held.record.position, HEAD, bytes)?;
            if shared.flags.checked && record::checksum(bytes) != held.head.check {
                return Err(Corrupt);
            }
            for message in record::messages(bytes) {
                found.push(held.delivery(message.map_err(|_| Corrupt)?, at));
            }
            at += length;
            Ok(())
        })
    }

    /// Names the leased messages where they are, as offsets into [`slots`](Self::slots). They stay until the lease ends. A
    /// damaged record is left out; the next lease tells of it.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn view(&mut self, each: impl FnMut(&Delivery)) -> Result<(), Corrupt> {
        self.each_held(each, |shared, held, found| {
            let place = shared.place(held.record.position) + HEAD;
            let (mut at, length) = (0, length(held.head));
            while at < length && found.len() <= held.head.count as usize {
                // Others may write there at any time: a head is read once, and checked.
                let mut head = [0; MESSAGE_HEAD];
                shared.read(held.record.position, HEAD + at, &mut head)?;
                let message = record::parse_message_head(head, at).map_err(|_| Corrupt)?;
                let end = message.offset.checked_add(message.length).ok_or(Corrupt)?;
                if end > length {
                    return Err(Corrupt);
                }
                at = end.next_multiple_of(8);
                found.push(held.delivery(message, place));
            }
            Ok(())
        })
    }

    /// Calls `each` for the messages that `find` finds in the records held. A record that makes no sense is dropped whole.
    fn each_held(
        &mut self,
        mut each: impl FnMut(&Delivery),
        mut find: impl FnMut(&Shared<'_>, &Held, &mut Vec<Delivery>) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        let shared = self.member.shared;
        let (mut found, mut base) = (std::mem::take(&mut self.scratch), 0);
        let mut held = std::mem::take(&mut self.held);
        held.retain_mut(|held| {
            found.clear();
            let fits = find(&shared, held, &mut found).is_ok() && found.len() == held.head.count as usize;
            if !fits {
                shared.ring.settle(held.record, self.member.seat, Status::Done);
                self.damaged = true;
                return false;
            }
            if held.head.base != base {
                // A record before it was dropped.
                held.head.base = base;
                // Fails for no record that was read.
                let _ = shared.write_start(held.record.position, held.head.start, base);
            }
            base += head_count(held.head);
            if let [only] = found.as_slice()
                && only.tag & PART != 0
            {
                let mut name = [0; NAME_LEN];
                // The body is where the first message's is.
                let read = shared.read(held.record.position, HEAD + MESSAGE_HEAD, &mut name);
                held.part = Some(part::Name::decode(&name)).filter(|_| read.is_ok() && only.length == NAME_LEN);
            }
            found[held.head.start as usize..].iter().for_each(&mut each);
            true
        });
        (self.held, self.scratch) = (held, found);
        Ok(())
    }

    /// The body that a message of the lease with [`PART`] in its tag names, in memory of its own.
    ///
    /// # Errors
    /// Its file is gone, or not what was written.
    pub fn part(&self, id: u64) -> std::io::Result<Part> {
        let held = self.held.iter().find(|held| held.record.position == id);
        let name = held.and_then(|held| held.part).ok_or(std::io::ErrorKind::InvalidData)?;
        Part::open(self.aux(), name)
    }

    /// The memory that [`view`](Self::view) counts from: begin and bytes. Mapped as long as [`segment`](Self::segment) is.
    pub fn slots(&self) -> (*mut u8, usize) {
        self.member.shared.slots()
    }

    /// Where the application's progress is written down, for the case that this process is killed: the number of messages
    /// of the lease that it got. Mapped as long as [`segment`](Self::segment) is.
    pub fn mark(&self) -> &std::sync::atomic::AtomicU32 {
        &self.member.own().mark
    }

    /// The application has all of the lease: it ends. In a queue with acknowledgement the messages are unacknowledged now.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn finish(&mut self) -> Result<(), Corrupt> {
        self.give_back(u32::MAX)
    }

    /// The application has the first `seen` messages of the lease; the others go back to their place in the queue.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn give_back(&mut self, seen: u32) -> Result<(), Corrupt> {
        let mut returned = 0;
        self.member.own().mark.store(seen, Ordering::Release);
        for held in std::mem::take(&mut self.held) {
            let count = head_count(held.head);
            let before = held.head.base;
            crash_point!("finishing");
            if seen >= before.saturating_add(count) {
                add(&self.member.own().received, count);
                self.end(held);
            } else {
                if !self.member.shared.flags.ack {
                    add(&self.member.own().received, seen.saturating_sub(before));
                }
                returned += 1;
                settle_reading(&self.member.shared, held.record, seen)?;
            }
        }
        if returned > 0 {
            self.member.wake_receivers(returned);
        }
        if self.reclaim()? > 0 {
            self.member.wake_senders(false);
        }
        Ok(())
    }

    /// One record was seen whole.
    fn end(&mut self, held: Held) {
        if self.member.shared.flags.ack {
            self.unacknowledged.insert(held.record.position, held);
        } else {
            self.member.shared.ring.settle(held.record, self.member.seat, Status::Done);
            self.forget(held);
        }
    }

    fn forget(&self, held: Held) {
        if let Some(name) = held.part {
            name.remove(self.aux());
        }
    }

    /// The message is dealt with; it leaves the queue. `false`: it is not among those that this handle has.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn ack(&mut self, id: u64) -> Result<bool, Corrupt> {
        let Some(held) = self.take_out(id) else { return Ok(false) };
        self.member.shared.ring.settle(held.record, self.member.seat, Status::Done);
        crash_point!("acknowledged");
        self.forget(held);
        if self.reclaim()? > 0 {
            self.member.wake_senders(false);
        }
        Ok(true)
    }

    /// The message goes back into the queue, for any receiver. `false`: it is not among those that this handle has.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn release(&mut self, id: u64) -> Result<bool, Corrupt> {
        let Some(held) = self.take_out(id) else { return Ok(false) };
        settle_reading(&self.member.shared, held.record, 0)?;
        self.member.wake_receivers(1);
        Ok(true)
    }

    /// A message to be acknowledged or released: of an earlier lease, or of this one while others of it are still to come.
    fn take_out(&mut self, id: u64) -> Option<Held> {
        if !self.member.shared.flags.ack {
            return None;
        }
        self.unacknowledged.remove(&id).or_else(|| {
            let index = self.held.iter().position(|held| held.record.position == id)?;
            add(&self.member.own().received, 1);
            Some(self.held.remove(index))
        })
    }

    /// Before waiting for messages in an event loop: from now on they ring the [`bell`](Self::bell). Then lease once more.
    pub fn arm_receiver(&self) {
        self.member.shared.receivers.arm(self.member.seat);
    }

    /// After waiting, and after the lease that followed. A wake-up that was not needed goes to another.
    pub fn disarm_receiver(&mut self) {
        if !self.member.shared.receivers.disarm(self.member.seat) && self.ready() {
            self.member.pass_on(false);
        }
    }

    /// Before waiting for room in an event loop: from now on it rings the [`bell`](Self::bell). Then send once more.
    pub fn arm_sender(&self) {
        self.member.shared.senders.arm(self.member.seat);
    }

    /// After waiting. A wake-up that was not needed goes to another.
    pub fn disarm_sender(&mut self) {
        if !self.member.shared.senders.disarm(self.member.seat) {
            self.member.pass_on(true);
        }
    }

    /// Leases, and waits while there is nothing, at most until `deadline`. For `spin` without sleeping.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn lease_blocking(
        &mut self,
        most: u32,
        bytes: usize,
        deadline: Option<Instant>,
        spin: Duration,
    ) -> Result<u32, Corrupt> {
        let found =
            block(self, false, deadline, spin, |work| Ok(Some(work.lease(most, bytes)?).filter(|count| *count > 0)))?;
        Ok(found.unwrap_or(0))
    }

    /// The bell to watch while armed. Silence it before looking.
    ///
    /// # Errors
    /// When its FIFO cannot be made.
    pub fn bell(&mut self) -> std::io::Result<&Bell> {
        self.member.bell()
    }

    /// To be called every [`SLICE`](super::SLICE) while waiting: settles what killed processes left. `true`: look again.
    pub fn look_around(&mut self) -> bool {
        self.member.look_around()
    }

    /// Bytes that one message may have; larger ones go beside the ring.
    pub fn max_message(&self) -> usize {
        self.member.max_message()
    }

    /// The creator's choices.
    pub fn flags(&self) -> Flags {
        self.member.shared.flags
    }

    /// What it holds and did.
    pub fn stats(&self) -> Stats {
        self.member.stats()
    }

    /// Where it lives.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.member.segment
    }

    /// Where its large messages are.
    pub(crate) fn aux(&self) -> &Arc<Aux> {
        self.member.aux()
    }

    /// Slots that became free.
    fn reclaim(&self) -> Result<u64, Corrupt> {
        self.member.shared.ring.reclaim(|record| matches!(record.state.status, Status::Done | Status::Aborted))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What the application did not get goes back; what it did not acknowledge too. In a damaged queue nothing can.
        let seen = self.member.own().mark.load(Ordering::Acquire);
        let _ = self.give_back(seen);
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        let returned = unacknowledged.len();
        for held in unacknowledged.into_values() {
            let _ = settle_reading(&self.member.shared, held.record, 0);
        }
        if returned > 0 {
            self.member.wake_receivers(returned);
        }
    }
}

impl Sleeper for Work {
    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn ready(&self) -> bool {
        Self::ready(self)
    }
}

impl Held {
    fn delivery(&self, message: Message, begin: usize) -> Delivery {
        Delivery {
            offset: begin + message.offset,
            length: message.length,
            tag: message.tag,
            id: self.record.position,
            again: self.record.state.status == Status::Again,
        }
    }
}

fn length(head: Head) -> usize {
    // `fits` compared it with the ring, which is mapped.
    usize::try_from(head.length).unwrap_or(usize::MAX)
}

/// Messages of a record that were not received before.
fn head_count(head: Head) -> u32 {
    head.count - head.start
}
