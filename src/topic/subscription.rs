//! Receiving: a place in the log that nobody else moves.
//!
//! Records are taken in their order, except that one whose publisher is still writing it is passed by and taken later; of each
//! publisher's messages none overtakes another.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::log::Place;
use super::publisher::{Topic, head_of, log, part_of, room};
use crate::queue::member::{Member, Sleeper, add, block};
use crate::queue::part::Part;
use crate::queue::record::{Head, SLOT};
use crate::queue::ring::Record;
use crate::queue::state::{SEATS, Status, advance, is_behind};
use crate::queue::{Bell, Corrupt, Delivery, crash_point};
use crate::shm::Segment;

/// What a seat subscribed to.
pub(super) const RELIABLE: u32 = 1;
pub(super) const LOSSY: u32 = 2;

/// How to subscribe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Publishers do not wait for this subscription: what it has not read when the room is needed is missed, and counted.
    pub lossy: bool,
    /// Leave out what is published by the same handle.
    pub others_only: bool,
}

/// A subscription of a topic. It is for one thread at a time.
#[derive(Debug)]
pub struct Subscription {
    pub(super) topic: Topic,
    pub(super) wish: Wish,
    /// Where the next record is.
    next: u64,
    /// What was passed by because it was being written: position and owner. In the order of positions.
    passed: Vec<(u64, u16)>,
    /// Messages of the topic before `next`, without what was passed by.
    pub(super) seen: u64,
    missed: u64,
    /// The records of the present lease.
    pub(super) held: Vec<Held>,
    /// Bodies of the messages of leases that are beside the ring, until they are asked for.
    pub(super) parts: HashMap<u64, io::Result<Part>>,
    /// Why the body of the last record of a lease could not be opened now; the record is leased again.
    pub(super) refused: Option<io::Error>,
    /// Of what was leased something was overwritten before it was copied.
    pub(super) lost: bool,
    /// A damaged record was met, and not told yet.
    pub(super) damaged: bool,
    pub(super) scratch: Vec<Delivery>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) position: u64,
    pub(super) head: Head,
    owner: u16,
}

impl Subscription {
    pub(super) fn begin(topic: Topic, wish: Wish) -> Result<Self, Corrupt> {
        let (shared, seat) = (topic.member.shared, topic.member.own());
        // Publishers wait for it until it knows where it begins, even if it is to be lossy.
        let place = log(&shared).enter(topic.member.seat, &seat.cursor);
        let mut passed = Vec::new();
        let Place { position: next, count: seen } = log(&shared).begin(
            place,
            |record| head_of(&shared, record).map_or(0, |head| head.count),
            |record| {
                if passed.len() <= SEATS {
                    passed.push((record.position, record.state.owner));
                }
            },
        )?;
        // Each seat writes one at a time: the states lie.
        if passed.len() > SEATS {
            return Err(Corrupt);
        }
        let (held, parts, scratch) = (Vec::new(), HashMap::new(), Vec::new());
        let refused = None;
        let (lost, damaged) = (false, false);
        let subscription =
            Self { topic, wish, next, passed, seen, missed: 0, held, parts, refused, lost, damaged, scratch };
        subscription.move_cursor();
        crash_point!("placed");
        seat.subscribed.store(if wish.lossy { LOSSY } else { RELIABLE }, Ordering::Release);
        if wish.lossy {
            shared.subscribers.disarm(subscription.topic.member.seat);
        }
        Ok(subscription)
    }

    /// Takes records until they hold `most` messages or `bytes`, or there are no more; at least one if there is one. The lease
    /// before it must be finished. Gives the number of messages; those of a lossy subscription may be fewer once they are
    /// copied.
    ///
    /// # Errors
    /// [`Corrupt`]; what was damaged is out of the way then, the next call goes on behind it.
    pub fn lease(&mut self, most: u32, bytes: usize) -> Result<u32, Corrupt> {
        debug_assert!(self.held.is_empty(), "one lease at a time");
        if std::mem::take(&mut self.damaged) {
            return Err(Corrupt);
        }
        loop {
            self.catch_up()?;
            let mut lease = Lease { most, room: bytes, count: 0, over: false };
            if self.fill(&mut lease).is_err() {
                // What was found before is good, and comes first.
                self.damaged = true;
                self.step_over();
            }
            if lease.count > 0 {
                return Ok(lease.count);
            }
            if std::mem::take(&mut self.damaged) {
                self.end_lease(true);
                return Err(Corrupt);
            }
            if !self.lost && !self.is_overtaken() {
                // Nothing but what is not for us, perhaps: that is read, too.
                self.end_lease(true);
                return Ok(0);
            }
        }
    }

    /// Where the record behind a damaged one begins, nobody can say: all that is there now is given up. It is not counted
    /// here, so a lossy subscription that is overtaken later counts it as missed.
    fn step_over(&mut self) {
        let ring = self.topic.member.shared.ring;
        self.passed.retain(|(position, _)| ring.at(*position).is_ok());
        let tail = ring.tail();
        if ring.at(self.next).is_err() && is_behind(self.next, tail) {
            self.next = tail;
        }
    }

    fn fill(&mut self, lease: &mut Lease) -> Result<(), Corrupt> {
        self.take_passed(lease, None)?;
        while !lease.over {
            let Some(record) = self.topic.member.shared.ring.at(self.next)? else { break };
            if record.state.status == Status::Ready {
                self.take_passed(lease, Some(record.state.owner))?;
                if lease.over || !self.hold(&record, lease) {
                    break;
                }
            } else if record.state.status == Status::Writing {
                // Some of those may be complete by now: the next lease takes them.
                if self.passed.len() >= SEATS {
                    break;
                }
                self.passed.push((self.next, record.state.owner));
            }
            self.next = advance(self.next, record.state.slots);
        }
        Ok(())
    }

    /// Of what was passed by, what is complete by now; all of it, or that of `owner`, who goes on to write only then.
    fn take_passed(&mut self, lease: &mut Lease, owner: Option<u16>) -> Result<(), Corrupt> {
        let mut index = 0;
        while index < self.passed.len() && !lease.over {
            let (position, of) = self.passed[index];
            let record = self.topic.member.shared.ring.at(position)?;
            let stays = record.as_ref().is_none_or(|record| record.state.status == Status::Writing);
            if stays || owner.is_some_and(|owner| owner != of) {
                index += 1;
                continue;
            }
            if let Some(record) = record.filter(|record| record.state.status == Status::Ready)
                && !self.hold(&record, lease)
            {
                return Ok(());
            }
            self.passed.remove(index);
        }
        Ok(())
    }

    /// `false`: the lease is over, or the record is not there any more.
    fn hold(&mut self, record: &Record, lease: &mut Lease) -> bool {
        let (shared, member) = (&self.topic.member.shared, &self.topic.member);
        let size = record.state.slots as usize * SLOT;
        if lease.count >= lease.most || (lease.count > 0 && size > lease.room) {
            lease.over = true;
            return false;
        }
        let head = head_of(shared, record);
        if self.wish.lossy && log(shared).overtaken(record.position) {
            lease.over = true;
            return false;
        }
        let Some(head) = head else {
            self.damaged = true;
            return true;
        };
        if self.wish.others_only && record.state.owner == member.seat {
            self.seen = self.seen.wrapping_add(head.count.into());
            return true;
        }
        let part = part_of(shared, record.position, head);
        self.held.push(Held { position: record.position, head, owner: record.state.owner });
        lease.count += head.count;
        lease.room = lease.room.saturating_sub(size);
        // A large one comes alone: its memory is mapped until it is asked for.
        lease.over |= part.is_some();
        true
    }

    /// It is taken later, as what was being written is: publishers wait for it so long.
    pub(super) fn put_off(&mut self, held: Held) {
        let index = self.passed.partition_point(|(position, _)| is_behind(*position, held.position));
        self.passed.insert(index, (held.position, held.owner));
    }

    /// Goes on where there is something, if publishers went past us.
    fn catch_up(&mut self) -> Result<(), Corrupt> {
        if !std::mem::take(&mut self.lost) && !self.is_overtaken() {
            return Ok(());
        }
        let shared = self.topic.member.shared;
        let count = |record: &_| head_of(&shared, record).map_or(0, |head| head.count);
        let Ok(place) = log(&shared).recount(self.next, &mut self.passed, count) else {
            // What was overwritten is behind us then, and is counted when we are overtaken the next time.
            let oldest = shared.ring.free();
            self.passed.clear();
            if is_behind(self.next, oldest) {
                self.next = oldest;
            }
            self.move_cursor();
            return Err(Corrupt);
        };
        let missed = place.count.wrapping_sub(self.seen);
        (self.next, self.seen) = (place.position, place.count);
        self.move_cursor();
        // Nobody can have published so much: the words lie.
        if missed > u64::MAX / 2 {
            return Err(Corrupt);
        }
        self.missed = self.missed.wrapping_add(missed);
        if self.wish.lossy { Ok(()) } else { Err(Corrupt) }
    }

    fn is_overtaken(&self) -> bool {
        let free = self.topic.member.shared.ring.free();
        is_behind(self.cursor(), free)
    }

    /// Before it, there is nothing for us any more.
    fn cursor(&self) -> u64 {
        self.passed.first().map_or(self.next, |(position, _)| *position)
    }

    fn move_cursor(&self) {
        // SYNC: Release, pairs with the Acquire of a publisher who wants the room: what we read, we have read.
        self.topic.member.own().cursor.store(self.cursor(), Ordering::Release);
    }

    /// The lease ends: publishers may write over it.
    pub fn finish(&mut self) {
        let count = self.held.iter().fold(0, |count: u32, held| count.saturating_add(held.head.count));
        self.held.clear();
        self.seen = self.seen.wrapping_add(count.into());
        add(&self.topic.member.own().received, count);
        crash_point!("read");
        if self.lost && self.catch_up().is_err() {
            self.damaged = true;
        }
        self.end_lease(false);
    }

    fn end_lease(&mut self, idle: bool) {
        if !idle || self.topic.member.own().cursor.load(Ordering::Relaxed) != self.cursor() {
            self.move_cursor();
            crash_point!("moved on");
        }
        let shared = &self.topic.member.shared;
        if self.wish.lossy {
            return;
        }
        // SYNC: pairs with the fence in `arm`: either we see the publisher that waits, or it sees the room.
        std::sync::atomic::fence(Ordering::SeqCst);
        if shared.senders.any() && room(shared) >= u64::from(shared.ring.shape.slots()) / 2 {
            self.topic.member.wake_senders(true);
        }
    }

    /// Is there something to lease?
    pub fn ready(&self) -> bool {
        let ring = self.topic.member.shared.ring;
        let is_ready = |position| match ring.at(position) {
            Ok(record) => record.is_some_and(|record| record.state.status == Status::Ready),
            // A damaged topic is something to look at.
            Err(Corrupt) => true,
        };
        let mut found = self.damaged || self.is_overtaken() || self.passed.iter().any(|(at, _)| is_ready(*at));
        let walked = ring.walk(self.next, |record| {
            found |= record.state.status == Status::Ready;
            !found
        });
        found || walked.is_err()
    }

    /// Messages that a lossy subscription did not get because it was too slow: those before what it received last.
    pub fn missed(&self) -> u64 {
        self.missed
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
            block(self, false, deadline, spin, |own| Ok(Some(own.lease(most, bytes)?).filter(|count| *count > 0)))?;
        Ok(found.unwrap_or(0))
    }

    /// Before waiting for messages in an event loop: from now on they ring the [`bell`](Self::bell). Then lease once more.
    pub fn arm_receiver(&self) {
        self.topic.member.shared.receivers.arm(self.topic.member.seat);
    }

    /// After waiting, and after the lease that followed.
    pub fn disarm_receiver(&mut self) {
        self.topic.member.shared.receivers.disarm(self.topic.member.seat);
    }

    /// The bell to watch while armed. Silence it before looking.
    ///
    /// # Errors
    /// When its FIFO cannot be made.
    pub fn bell(&mut self) -> io::Result<&Bell> {
        self.topic.bell()
    }

    /// The handle's other half: for publishing, and for what is to be known of the topic.
    pub fn topic(&mut self) -> &mut Topic {
        &mut self.topic
    }

    /// Whether publishers go past it.
    pub fn lossy(&self) -> bool {
        self.wish.lossy
    }

    /// Where the topic lives.
    pub fn segment(&self) -> &Arc<Segment> {
        self.topic.segment()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let seat = self.topic.member.own();
        seat.subscribed.store(0, Ordering::Release);
        self.topic.member.shared.subscribers.disarm(self.topic.member.seat);
        crash_point!("left");
        // Who waited for us waits no more.
        self.topic.member.wake_senders(true);
    }
}

impl Sleeper for Subscription {
    fn member(&mut self) -> &mut Member {
        &mut self.topic.member
    }

    fn ready(&self) -> bool {
        Self::ready(self)
    }
}

/// How much a lease may still take.
#[derive(Debug)]
struct Lease {
    most: u32,
    room: usize,
    count: u32,
    over: bool,
}
