//! One handle's membership in a queue: its seat, publishing, waking and being woken, and settling what the dead left.
//!
//! Work queues and topics differ in how they receive; all else is here.
mod publish;
mod recover;
mod wake;

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub(crate) use recover::settle_reading;
pub(crate) use wake::{Sleeper, block};

use super::JoinError;
use super::bell::{Bell, Bells};
use super::beside::{self, Aux};
use super::layout::{self, Flags, Form, Shared};
use super::record::SLOT;
use super::restore::{Restored, restore};
use super::ring::Corrupt;
use crate::shm::{Alone, Create, Kind, Open, Place, Region, Segment};
use recover::recover;

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
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that were received. Without acknowledgement exact: with those that killed programs had just been handed.
    pub received: u64,
}

pub(crate) struct Member {
    pub(crate) shared: Shared<'static>,
    pub(crate) seat: u16,
    seen_free: u64,
    /// Where the last record is that was published.
    pub(crate) published: u64,
    bell: Option<Bell>,
    bells: Bells,
    /// Whom to look at first for waking: all get their turn.
    turn: u16,
    /// What `shared` points into.
    pub(crate) segment: Arc<Segment>,
    /// What was found in a queue in a file, if it was opened when nobody had it open.
    restored: Option<Restored>,
    /// After the segment: whether that is gone decides what becomes of these files.
    pub(crate) aux: Arc<Aux>,
}

impl Member {
    /// Opens the queue, or creates it if `new` says how. `true`: created.
    pub(crate) fn join(place: &Place, kind: Kind, new: Option<New>) -> Result<(Self, bool), JoinError> {
        let open = Open { kind, recover: &recover };
        let restored = Cell::new(None);
        let first = |alone: &Alone<'_>| {
            if kind == Kind::QUEUE {
                // Of a damaged queue its users are told when they use it.
                restored.set(restore_with_parts(alone).ok());
            }
        };
        let Some(new) = new else {
            let segment = Segment::open_first(place, &open, &first)?;
            return Ok((Self::sit_down(segment, restored.take())?, false));
        };
        let shape = layout::shape_for(new.capacity).ok_or(JoinError::TooLarge)?;
        let form = if kind == Kind::TOPIC { Form::Topic } else { Form::Work };
        let flags = Flags { checked: matches!(place, Place::File(_)), ..new.flags };
        let create = Create {
            kind,
            size: layout::size_for(shape, form),
            persistent: new.persistent,
            params: [0; _],
            init: &|region| {
                // Fails only for a region that is too small, and its size is ours.
                let _ = layout::init(region, shape, form, flags);
            },
        };
        let (segment, created) = match place {
            Place::Anonymous => (Segment::create(place, &create)?, true),
            _ => Segment::open_first_or_create(place, &open, &create, &first)??,
        };
        let member = Self::sit_down(segment, restored.take())?;
        if created {
            // What cannot be removed now is found by a sweep.
            let _ = member.aux.remove_predecessors();
            beside::sweep_now_and_then(&member.aux);
        }
        Ok((member, created))
    }

    /// One more member of the same segment.
    pub(crate) fn beside(&self) -> Result<Self, JoinError> {
        Self::sit_down(Arc::clone(&self.segment), None)
    }

    fn sit_down(segment: Arc<Segment>, restored: Option<Restored>) -> Result<Self, JoinError> {
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
        Ok(Self {
            shared,
            seat,
            seen_free,
            published: 0,
            bell: None,
            bells: Bells::default(),
            turn: seat,
            segment,
            restored,
            aux,
        })
    }

    /// Slots that are not in use.
    pub(crate) fn room(&self) -> u64 {
        let ring = &self.shared.ring;
        u64::from(ring.shape.slots()).saturating_sub(ring.used(ring.free()))
    }

    pub(crate) fn own(&self) -> &'static layout::Seat {
        &self.shared.seats[usize::from(self.seat)]
    }

    pub(crate) fn restored(&self) -> Option<Restored> {
        self.restored
    }

    pub(crate) fn aux(&self) -> &Arc<Aux> {
        &self.aux
    }

    pub(crate) fn stats(&self) -> Stats {
        let slots = u64::from(self.shared.ring.shape.slots());
        let exact = self.shared.form == Form::Work && !self.shared.flags.ack;
        let sum = |of: &dyn Fn(&layout::Seat) -> u64| self.shared.seats.iter().map(of).fold(0, u64::wrapping_add);
        Stats {
            capacity: slots * SLOT as u64,
            used: (slots - self.room().min(slots)) * SLOT as u64,
            sent: sum(&|seat| seat.sent.load(Ordering::Relaxed)),
            received: sum(&|seat| seat.received(exact)),
        }
    }
}

/// Puts a queue in a file in order, and removes the files beside it that nothing in it names.
fn restore_with_parts(alone: &Alone<'_>) -> Result<Restored, Corrupt> {
    let aux = Aux::beside(alone.path, alone.id);
    let mut named = HashSet::new();
    let restored = restore(alone.region, alone.coherent, &mut |part| {
        let there = part.is_there(&aux);
        if there {
            named.insert(part.file().into_bytes());
        }
        there
    })?;
    // What cannot be removed is only in the way.
    let _ = aux.remove_all_but(|name| named.contains(name));
    Ok(restored)
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.subscribers.disarm(self.seat);
        self.shared.senders.disarm(self.seat);
        if !self.shared.receivers.disarm(self.seat) {
            // A wake-up may be on its way to us.
            self.pass_on(false);
        }
        // What we freed may have been too little so far to wake anyone for.
        self.pass_on(true);
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

/// Only the seat's owner writes it.
pub(crate) fn add(counter: &crate::sync::counted::AtomicU64, count: u32) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(u64::from(count)), Ordering::Relaxed);
}

fn free_seat(shared: &Shared<'_>, segment: &Segment) -> Option<u16> {
    static HANDLES: AtomicU16 = AtomicU16::new(0);
    let ours = layout::occupant(segment.own(), HANDLES.fetch_add(1, Ordering::Relaxed));
    for (number, seat) in (0..).zip(shared.seats) {
        // SYNC: Acquire, pairs with the Release stores of 0: the seat's past is over.
        if seat.occupant.load(Ordering::Relaxed) == 0
            && seat.occupant.compare_exchange(0, ours, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            seat.clear_mark();
            return Some(number);
        }
    }
    None
}
