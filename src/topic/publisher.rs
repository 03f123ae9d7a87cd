//! Publishing: claim, write, commit, wake everyone who sleeps; and making room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::large::Unread;
use super::log::{Freed, Log};
use super::subscription::{LOSSY, RELIABLE, Subscription, Wish};
use crate::queue::layout::{Form, Shared};
use crate::queue::member::{Member, Sleeper};
use crate::queue::part::{self, NAME_LEN, PART};
use crate::queue::record::{HEAD, Head, MESSAGE_HEAD, SLOT, message_size, parse_message_head};
use crate::queue::ring::Record;
use crate::queue::state::{SEATS, distance, is_behind};
use crate::queue::{Bell, Corrupt, Flags, JoinError, New, SLICE, Sent};
use crate::shm::{Kind, Place, Segment};

/// At most so often a publisher that waits for room asks whether those it waits for are alive.
const LOOK: Duration = Duration::from_millis(5);
/// Of so many parts of the ring one is freed at once: who is lossy loses no more than that.
const CHUNKS: u64 = 8;

/// One handle of a topic, to publish by. Others may be in this process or in others; a handle itself is for one thread at a
/// time.
#[derive(Debug)]
pub struct Topic {
    pub(super) member: Member,
    looked: Option<Instant>,
    pub(super) unread: Unread,
}

/// What a topic holds and did, for listings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes for messages and their heads.
    pub capacity: u64,
    /// Bytes of them that a reliable subscriber has not read yet.
    pub used: u64,
    /// Messages published by the handles that are open now.
    pub sent: u64,
    /// Messages received by the subscriptions that are open now, each on its own count.
    pub received: u64,
    /// Subscriptions.
    pub reliable: u32,
    /// Subscriptions that may miss messages.
    pub lossy: u32,
}

impl Topic {
    /// Opens the topic at `place`, or creates it if there is none and `new` says how. `true`: created. It is gone with its last
    /// user: `new.persistent` is not for topics, nor are files.
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn join(place: &Place, new: Option<New>) -> Result<(Self, bool), JoinError> {
        let (member, created) = Member::join(place, Kind::TOPIC, new)?;
        part::sweep(&member.shared, member.aux());
        Ok((Self::of(member)?, created))
    }

    /// Another handle of the same topic.
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn beside(&self) -> Result<Self, JoinError> {
        Self::of(self.member.beside()?)
    }

    fn of(member: Member) -> Result<Self, JoinError> {
        if member.shared.form != Form::Topic {
            return Err(Corrupt.into());
        }
        Ok(Self { member, looked: None, unread: Unread::default() })
    }

    /// A subscription: it gets all that is published from now on.
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn subscribe(&self, wish: Wish) -> Result<Subscription, JoinError> {
        self.beside()?.into_subscription(wish)
    }

    /// Makes this very handle a subscription; it goes on publishing by [`Subscription::topic`].
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn into_subscription(self, wish: Wish) -> Result<Subscription, JoinError> {
        Ok(Subscription::begin(self, wish)?)
    }

    /// Publishes one message. Without subscribers it is gone.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn publish(&mut self, tag: u8, body: &[u8]) -> Result<Sent, Corrupt> {
        let mut sent = self.member.publish(tag, body)?;
        while sent == Sent::Full && self.reclaim()? {
            sent = self.member.publish(tag, body)?;
        }
        if sent == Sent::Yes {
            self.member.wake_receivers(SEATS);
        }
        Ok(sent)
    }

    /// Publishes messages that are in wire form, one behind the other. Gives the bytes that went in.
    ///
    /// # Errors
    /// [`Corrupt`], also for bytes that are no messages.
    pub fn publish_batch(&mut self, wire: &[u8]) -> Result<(usize, Sent), Corrupt> {
        let mut taken = 0;
        let mut sent = self.member.publish_batch(wire, &mut taken)?;
        while sent == Sent::Full {
            let before = taken;
            // Those who sleep make room when they are awake.
            if before > 0 {
                self.member.wake_receivers(SEATS);
            }
            if !self.reclaim()? {
                break;
            }
            sent = self.member.publish_batch(&wire[before..], &mut taken)?;
        }
        if taken > 0 {
            self.member.wake_receivers(SEATS);
        }
        Ok((taken, sent))
    }

    /// Before waiting for room: those who hold it may be dead. Asks the system now and then only.
    pub fn look_for_dead(&mut self) {
        if self.looked.is_none_or(|at| at.elapsed() > LOOK) {
            self.looked = Some(Instant::now());
            self.member.look_around();
        }
    }

    /// Before waiting for room in an event loop: from now on it rings the [`bell`](Self::bell). Then publish once more.
    pub fn arm_sender(&mut self) {
        self.member.shared.senders.arm(self.member.seat);
        self.look_for_dead();
    }

    /// After waiting.
    pub fn disarm_sender(&mut self) {
        if !self.member.shared.senders.disarm(self.member.seat) {
            self.member.pass_on(true);
        }
    }

    /// The bell to watch while armed. Silence it before looking.
    ///
    /// # Errors
    /// When its FIFO cannot be made.
    pub fn bell(&mut self) -> std::io::Result<&Bell> {
        self.member.bell()
    }

    /// To be called every [`SLICE`] while waiting: drops what killed processes left. `true`: look again.
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

    /// What it holds and did. Whoever died is not counted.
    pub fn stats(&mut self) -> Stats {
        self.member.settle_dead();
        let stats = self.member.stats();
        let count = |what| {
            let seats = self.member.shared.seats.iter();
            u32::try_from(seats.filter(|seat| seat.subscribed.load(Ordering::Relaxed) == what).count()).unwrap_or(0)
        };
        let slots = u64::from(self.member.shared.ring.shape.slots());
        Stats {
            capacity: stats.capacity,
            used: slots.saturating_sub(room(&self.member.shared)) * SLOT as u64,
            sent: stats.sent,
            received: stats.received,
            reliable: count(RELIABLE),
            lossy: count(LOSSY),
        }
    }

    /// Where it lives.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.member.segment
    }

    /// Makes room for a record or two. `false`: those who have not read yet hold all of it.
    pub(super) fn reclaim(&self) -> Result<bool, Corrupt> {
        self.free_up(u64::from(self.member.shared.ring.shape.slots()) / CHUNKS, false)
    }

    /// `spare`: nothing that anybody would still read, lossy or not.
    pub(super) fn free_up(&self, most: u64, spare: bool) -> Result<bool, Corrupt> {
        let shared = &self.member.shared;
        let mut parts = Vec::new();
        let freed = log(shared).reclaim(
            most.max(1),
            |start| {
                let reliable = read_by_all(shared, start);
                if spare { reliable.min(read_by_lossy(shared, start)) } else { reliable }
            },
            |record| {
                let head = head_of(shared, record);
                parts.extend(head.and_then(|head| part_of(shared, record.position, head)));
                head.map_or(0, |head| head.count)
            },
        )?;
        if freed == Freed::Ours {
            // Who is killed before this leaves them to their publisher, or to those who notice that one's death.
            parts.into_iter().for_each(|name| name.remove(self.member.aux()));
        }
        Ok(freed != Freed::Nothing)
    }
}

impl Sleeper for Topic {
    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn ready(&self) -> bool {
        false
    }
}

/// The log in a topic's memory.
pub(super) fn log<'a>(shared: &Shared<'a>) -> Log<'a> {
    Log { ring: shared.ring, counts: shared.counts, subscribers: shared.subscribers }
}

/// A record's head, if it is one.
pub(super) fn head_of(shared: &Shared<'_>, record: &Record) -> Option<Head> {
    let mut bytes = [0; HEAD];
    shared.read(record.position, 0, &mut bytes).ok()?;
    Some(Head::decode(&bytes)).filter(|head| head.fits(record.state.slots))
}

/// The part that a record's only message names.
pub(super) fn part_of(shared: &Shared<'_>, position: u64, head: Head) -> Option<part::Name> {
    if head.count != 1 || head.length != message_size(NAME_LEN) as u64 {
        return None;
    }
    let mut bytes = [0; MESSAGE_HEAD + NAME_LEN];
    shared.read(position, HEAD, &mut bytes).ok()?;
    let (first, name) = bytes.split_first_chunk::<MESSAGE_HEAD>()?;
    let message = parse_message_head(*first, 0).ok()?;
    let name = name.try_into().ok().filter(|_| message.tag & PART != 0 && message.length == NAME_LEN)?;
    part::Name::decode(name)
}

/// Slots that could be written now, if they were freed.
pub(super) fn room(shared: &Shared<'_>) -> u64 {
    let free = shared.ring.free();
    let used = shared.ring.used(free).saturating_sub(read_by_all(shared, free));
    u64::from(shared.ring.shape.slots()).saturating_sub(used)
}

fn read_by_all(shared: &Shared<'_>, start: u64) -> u64 {
    // SYNC: Acquire, pairs with the Release where a subscriber moves on: what it read, it has read.
    log(shared).read_by_all(start, |seat| shared.seats[usize::from(seat)].cursor.load(Ordering::Acquire))
}

fn read_by_lossy(shared: &Shared<'_>, start: u64) -> u64 {
    let lossy = shared.seats.iter().filter(|seat| seat.subscribed.load(Ordering::Acquire) == LOSSY);
    let cursors = lossy.map(|seat| seat.cursor.load(Ordering::Acquire));
    // One that was overtaken goes on at `start`.
    cursors.map(|at| if is_behind(at, start) { 0 } else { distance(start, at) }).min().unwrap_or(u64::MAX)
}

const _: () = assert!(SLICE.as_millis() > LOOK.as_millis());
