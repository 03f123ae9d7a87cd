//! One handle's membership in a queue: its seat, publishing, waking and being woken, and settling what the dead left.
//!
//! Work queues and topics differ in how they receive; all else is here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::aux::{self, Aux};
use super::bell::{Bell, Bells};
use super::layout::{self, BELL, Flags, SIGNAL, Shared};
use super::record::{self, HEAD, Head, MAX_BATCH, MAX_COUNT, MESSAGE_HEAD, SLOT};
use super::ring::{Claim, Corrupt, Record};
use super::state::{SEATS, Status, distance};
use super::{JoinError, Sent, sys_unix as sys};
use crate::shm::{Create, Dead, Kind, Open, Place, Region, Segment};

/// The longest sleep without a look around: repairs what a killed process could not say any more.
pub const SLICE: Duration = Duration::from_millis(100);

/// What a new queue shall be like.
#[derive(Clone, Copy, Debug)]
pub struct New {
    /// Bytes for messages and their heads, rounded up to a power of two.
    pub capacity: u64,
    /// Whether it stays when the last user leaves. Queues in files always stay.
    pub persistent: bool,
    /// Choices for all users.
    pub flags: Flags,
}

/// What a queue holds and did, for listings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes for messages and their heads.
    pub capacity: u64,
    /// Bytes of them that are in use.
    pub used: u64,
    /// Messages sent by the handles that are open now.
    pub sent: u64,
    /// Messages received by the handles that are open now.
    pub received: u64,
}

pub(crate) struct Member {
    pub(crate) shared: Shared<'static>,
    pub(crate) seat: u16,
    seen_free: u64,
    bell: Option<Bell>,
    bells: Bells,
    /// Whom to look at first for waking: all get their turn.
    turn: u16,
    /// What `shared` points into.
    pub(crate) segment: Arc<Segment>,
    /// After the segment: whether that is gone decides what becomes of these files.
    aux: Arc<Aux>,
}

impl Member {
    /// Opens the queue, or creates it if `new` says how. `true`: created.
    pub(crate) fn join(place: &Place, kind: Kind, new: Option<New>) -> Result<(Self, bool), JoinError> {
        let open = Open { kind, recover: &recover };
        let Some(new) = new else {
            return Ok((Self::sit_down(Segment::open(place, &open)?)?, false));
        };
        let shape = layout::shape_for(new.capacity).ok_or(JoinError::TooLarge)?;
        let flags = Flags { checked: matches!(place, Place::File(_)), ..new.flags };
        let create = Create {
            kind,
            size: layout::size_for(shape),
            persistent: new.persistent,
            params: [0; _],
            init: &|region| {
                // Fails only for a region that is too small, and its size is ours.
                let _ = layout::init(region, shape, flags);
            },
        };
        let (segment, created) = match place {
            Place::Anonymous => (Segment::create(place, &create)?, true),
            _ => Segment::open_or_create(place, &open, &create)??,
        };
        let member = Self::sit_down(segment)?;
        if created {
            aux::sweep_now_and_then(&member.aux);
        }
        Ok((member, created))
    }

    fn sit_down(segment: Arc<Segment>) -> Result<Self, JoinError> {
        let region = segment.region();
        // SAFETY: only the lifetime is forgotten: the memory stays mapped as long as `segment`, which the member keeps.
        let region = unsafe { std::mem::transmute::<Region<'_>, Region<'static>>(region) };
        let shared = Shared::attach(region)?;
        let aux = Arc::new(Aux::of(&segment));
        let mut seat = free_seat(&shared, &segment);
        // Also settles what the dead left in a queue that nobody used for a while.
        segment.recover_dead(&recover)?;
        if seat.is_none() {
            seat = free_seat(&shared, &segment);
        }
        let seat = seat.ok_or(JoinError::NoSeat)?;
        let seen_free = shared.ring.free();
        Ok(Self { shared, seat, seen_free, bell: None, bells: Bells::default(), turn: seat, segment, aux })
    }

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
        let check = if self.shared.flags.checked { record::checksum(wire) } else { 0 };
        let head = Head { count, length: wire.len() as u64, check, ..Head::default() };
        self.shared.write(position, 0, &head.encode())?;
        crash_point!("half written");
        self.shared.write(position, HEAD, wire)?;
        self.finish(position, slots, count);
        Ok(Sent::Yes)
    }

    fn finish(&self, position: u64, slots: u32, count: u32) {
        crash_point!("written");
        self.shared.ring.commit(position, slots, self.seat);
        crash_point!("committed");
        add(&self.own().sent, count);
    }

    /// After publishing up to `most` records (or giving them back): wakes as many receivers.
    pub(crate) fn wake_receivers(&mut self, most: usize) {
        for round in 0..most {
            let receivers = self.shared.receivers;
            let found = if round == 0 { receivers.pick(self.turn) } else { receivers.pick_again(self.turn) };
            let Some(seat) = found else { return };
            self.wake(seat);
        }
    }

    /// After slots became free: wakes those who wait for room, once that is worth it. `idle`: nothing else will come.
    pub(crate) fn wake_senders(&mut self, idle: bool) {
        let half = u64::from(self.shared.ring.shape.slots()) / 2;
        // SYNC: pairs with the fence in `arm`: either we see the sender, or it sees the room.
        std::sync::atomic::fence(Ordering::SeqCst);
        if !self.shared.senders.any() || (!idle && self.room() < half) {
            return;
        }
        while let Some(seat) = self.shared.senders.pick_again(self.turn) {
            self.wake(seat);
        }
    }

    fn wake(&mut self, seat: u16) {
        self.turn = if usize::from(seat) + 1 < SEATS { seat + 1 } else { 0 };
        let sleeper = &self.shared.seats[usize::from(seat)];
        crash_point!("about to wake");
        // SYNC: Release, pairs with the Acquire in `sleep`.
        sleeper.signal.fetch_add(1, Ordering::Release);
        match sleeper.mode.load(Ordering::Acquire) {
            SIGNAL => sys::wake(&sleeper.signal),
            BELL => self.bells.ring(&self.aux, seat, sleeper.bell.load(Ordering::Acquire)),
            _ => {} // It left, or the word is damaged.
        }
    }

    /// The bell by which others wake this member, made at the first call.
    pub(crate) fn bell(&mut self) -> io::Result<&Bell> {
        if self.bell.is_none() {
            let number = self.own().bell.load(Ordering::Relaxed).wrapping_add(1).max(1);
            let bell = Bell::create(&self.aux, self.seat, number)?;
            self.own().bell.store(number, Ordering::Release);
            self.own().mode.store(BELL, Ordering::SeqCst);
            self.bell = Some(bell);
        }
        self.bell.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A wake-up that we cannot use goes to another.
    pub(crate) fn pass_on(&mut self, senders: bool) {
        if senders { self.wake_senders(true) } else { self.wake_receivers(1) }
    }

    /// Settles what dead members left, if anything is in the queue. `true`: some were found.
    pub(crate) fn look_around(&mut self) -> bool {
        let ring = &self.shared.ring;
        let empty = matches!(ring.at(ring.free()), Ok(None));
        if empty && !self.shared.subscribers.any() {
            return false;
        }
        // A failing fcntl tells nothing: nobody is dead without proof.
        if self.segment.recover_dead(&recover).unwrap_or(0) == 0 {
            return false;
        }
        self.wake_receivers(SEATS);
        self.wake_senders(true);
        true
    }

    /// Slots that are not in use.
    pub(crate) fn room(&self) -> u64 {
        let ring = &self.shared.ring;
        let (free, tail) = (ring.free(), ring.tail());
        u64::from(ring.shape.slots()).saturating_sub(distance(free, tail))
    }

    pub(crate) fn own(&self) -> &'static layout::Seat {
        &self.shared.seats[usize::from(self.seat)]
    }

    pub(crate) fn aux(&self) -> &Arc<Aux> {
        &self.aux
    }

    pub(crate) fn stats(&self) -> Stats {
        let slots = u64::from(self.shared.ring.shape.slots());
        let sum = |of: fn(&layout::Seat) -> u64| self.shared.seats.iter().map(of).fold(0, u64::wrapping_add);
        Stats {
            capacity: slots * SLOT as u64,
            used: (slots - self.room().min(slots)) * SLOT as u64,
            sent: sum(|seat| seat.sent.load(Ordering::Relaxed)),
            received: sum(|seat| seat.received.load(Ordering::Relaxed)),
        }
    }

    fn max_slots(&self) -> u32 {
        (self.shared.ring.shape.slots() / 4).max(1)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.subscribers.disarm(self.seat);
        if self.shared.receivers.disarm(self.seat) | self.shared.senders.disarm(self.seat) {
            // A wake-up may be on its way to us; whoever sleeps on looks again.
            self.pass_on(false);
            self.pass_on(true);
        }
        self.own().mode.store(0, Ordering::Relaxed);
        self.bell = None;
        // SYNC: Release, pairs with the Acquire of the CAS in `free_seat`: all that we did here comes before the next.
        self.own().occupant.store(0, Ordering::Release);
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("seat", &self.seat).finish_non_exhaustive()
    }
}

/// What can wait for messages.
pub(crate) trait Sleeper {
    fn member(&mut self) -> &mut Member;
    /// Is there something to receive?
    fn ready(&self) -> bool;
}

/// Blocks until `found` gives something, looking around every [`SLICE`]. `None`: not before `deadline`.
///
/// `who` has the member that sleeps; `senders`: among those who wait for room; `spin`: how long to look without sleeping.
pub(crate) fn block<S: Sleeper, T>(
    who: &mut S,
    senders: bool,
    deadline: Option<Instant>,
    spin: Duration,
    mut found: impl FnMut(&mut S) -> Result<Option<T>, Corrupt>,
) -> Result<Option<T>, Corrupt> {
    let begun = Instant::now();
    let mut looks = 0u32;
    loop {
        if let Some(found) = found(who)? {
            return Ok(Some(found));
        }
        looks += 1;
        // The clock costs more than a look.
        if spin.is_zero() || (looks.is_multiple_of(32) && begun.elapsed() >= spin) {
            break;
        }
        std::hint::spin_loop();
    }
    let member = who.member();
    let set = if senders { member.shared.senders } else { member.shared.receivers };
    let (number, seat) = (member.seat, member.own());
    let before = seat.mode.swap(SIGNAL, Ordering::SeqCst);
    let result = loop {
        // SYNC: Acquire, pairs with the Release in `wake`: a wake-up after this makes `wait` return.
        let signal = seat.signal.load(Ordering::Acquire);
        set.arm(number);
        match found(who) {
            Ok(None) => {}
            done => break done,
        }
        let left = deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            break Ok(None);
        }
        sys::wait(&seat.signal, signal, left.min(SLICE));
        if set.has(number) {
            // Nobody woke us: the usual reason is that there is nothing, the other is a death.
            who.member().look_around();
        }
    };
    seat.mode.store(before, Ordering::SeqCst);
    if !set.disarm(number) && (senders || who.ready()) {
        // What we were woken for need not be what we found.
        who.member().pass_on(senders);
    }
    result
}

fn slots_for(length: usize) -> Result<u32, Corrupt> {
    u32::try_from(record::slots_for(length)).map_err(|_| Corrupt)
}

/// Only the seat's owner writes it.
pub(crate) fn add(counter: &std::sync::atomic::AtomicU64, count: u32) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(u64::from(count)), Ordering::Relaxed);
}

fn free_seat(shared: &Shared<'_>, segment: &Segment) -> Option<u16> {
    let ours = layout::occupant(segment.own());
    for (number, seat) in (0..).zip(shared.seats) {
        // SYNC: Acquire, pairs with the Release stores of 0: the seat's past is over.
        if seat.occupant.load(Ordering::Relaxed) == 0
            && seat.occupant.compare_exchange(0, ours, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            seat.mark.store(0, Ordering::Relaxed);
            return Some(number);
        }
    }
    None
}

/// Settles all that a dead participant left in a queue. Idempotent up to its last line, so that it may die too.
fn recover(region: Region<'_>, dead: Dead) {
    // In a damaged queue nothing can be settled; its users are told so when they use it.
    let Ok(shared) = Shared::attach(region) else { return };
    let who = layout::occupant(dead.participant);
    for (number, seat) in (0..).zip(shared.seats) {
        if seat.occupant.load(Ordering::Acquire) == who {
            let _ = settle_seat(&shared, number, seat.mark.load(Ordering::Acquire));
            shared.subscribers.disarm(number);
            shared.receivers.disarm(number);
            shared.senders.disarm(number);
            seat.mode.store(0, Ordering::Relaxed);
            crash_point!("seat settled");
            // SYNC: Release, pairs with the CAS in `free_seat`.
            seat.occupant.store(0, Ordering::Release);
        }
    }
}

/// Settles the records of a seat whose owner is gone for good. `mark`: how many of its messages the application got.
fn settle_seat(shared: &Shared<'_>, seat: u16, mark: u32) -> Result<(), Corrupt> {
    let mut result = Ok(());
    shared.ring.walk(shared.ring.free(), |record| {
        if record.state.owner == seat {
            crash_point!("settling");
            match record.state.status {
                Status::Writing => {
                    // Fails if another process did it.
                    let _ = shared.ring.settle(record, seat, Status::Aborted);
                }
                Status::Reading => result = settle_reading(shared, record, mark),
                _ => {}
            }
        }
        result.is_ok()
    })?;
    result
}

/// A record that was leased and not finished: what was not seen of it goes back.
pub(crate) fn settle_reading(shared: &Shared<'_>, record: Record, mark: u32) -> Result<(), Corrupt> {
    let mut bytes = [0; HEAD];
    shared.read(record.position, 0, &mut bytes)?;
    let head = Head::decode(&bytes);
    let seen = if shared.flags.ack { 0 } else { mark.saturating_sub(head.base).min(MAX_COUNT) };
    let start = head.start.saturating_add(seen);
    if start >= head.count && !shared.flags.ack {
        let _ = shared.ring.settle(record, record.state.owner, Status::Done);
        return Ok(());
    }
    // `base` is moved along with `start`: settled twice, the same messages count once.
    shared.write_start(record.position, start, head.base.saturating_add(seen))?;
    crash_point!("start written");
    shared.ring.settle(record, record.state.owner, Status::Again);
    // SYNC: Release, pairs with the Acquire in `Work::lease`: who sees the count sees the record.
    shared.returned.fetch_add(1, Ordering::Release);
    Ok(())
}
