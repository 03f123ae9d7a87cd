//! Waking others, and sleeping.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::recover::recover;
use super::{Member, SLICE};
use crate::queue::bell::Bell;
use crate::queue::layout::{BELL, Form, SIGNAL};
use crate::queue::part;
use crate::queue::ring::Corrupt;
use crate::queue::state::SEATS;
use crate::shm::futex;

/// Looks between two looks at the clock, which costs more.
const LOOKS: u32 = 32;
/// How long to look before others are offered the core: an answer of another core is there by then.
const ALONE: Duration = Duration::from_micros(2);

impl Member {
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
        let senders = self.shared.senders;
        senders.take_all(|seat| self.wake(seat));
    }

    /// The bell by which others wake this member, made at the first call.
    pub(crate) fn bell(&mut self) -> io::Result<&Bell> {
        if self.bell.is_none() {
            let number = self.own().bell.load(Ordering::Relaxed).wrapping_add(1).max(1);
            // Whoever sat here before may have been killed.
            Bell::remove(&self.aux, self.seat, number - 1);
            let bell = Bell::create(&self.aux, self.seat, number)?;
            self.own().bell.store(number, Ordering::Release);
            self.own().mode.store(BELL, Ordering::SeqCst);
            self.bell = Some(bell);
        }
        self.bell.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A wake-up that we cannot use goes to another.
    pub(crate) fn pass_on(&mut self, senders: bool) {
        if senders {
            self.wake_senders(true);
        } else if self.shared.form == Form::Work {
            // In a topic all were woken.
            self.wake_receivers(1);
        }
    }

    /// Settles what dead members left, if anything is in the queue. `true`: some were found.
    pub(crate) fn look_around(&mut self) -> bool {
        let ring = &self.shared.ring;
        let empty = matches!(ring.at(ring.free()), Ok(None));
        if empty && !self.shared.subscribers.any() {
            return false;
        }
        self.settle_dead()
    }

    /// The same, even if there is nothing that anyone could wait for.
    pub(crate) fn settle_dead(&mut self) -> bool {
        // A failing fcntl tells nothing: nobody is dead without proof.
        if self.segment.recover_dead(&recover).unwrap_or(0) == 0 {
            return false;
        }
        part::sweep(&self.shared, &self.aux);
        self.wake_receivers(SEATS);
        self.wake_senders(true);
        true
    }

    fn wake(&mut self, seat: u16) {
        self.turn = if usize::from(seat) + 1 < SEATS { seat + 1 } else { 0 };
        let sleeper = &self.shared.seats[usize::from(seat)];
        crash_point!("about to wake");
        // SYNC: Release, pairs with the Acquire in `sleep`.
        sleeper.signal.fetch_add(1, Ordering::Release);
        match sleeper.mode.load(Ordering::Acquire) {
            SIGNAL => futex::wake(&sleeper.signal),
            BELL => self.bells.ring(&self.aux, seat, sleeper.bell.load(Ordering::Acquire)),
            _ => {} // It left, or the word is damaged.
        }
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
    if let Some(found) = look(who, senders, deadline, spin, &mut found)? {
        return Ok(Some(found));
    }
    let member = who.member();
    let set = if senders { member.shared.senders } else { member.shared.receivers };
    let (number, seat) = (member.seat, member.own());
    // In an event loop, and on after this.
    let waits = set.has(number);
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
        futex::wait(&seat.signal, signal, left.min(SLICE));
        if set.has(number) {
            // Nobody woke us: the usual reason is that there is nothing, the other is a death.
            who.member().look_around();
        }
    };
    seat.mode.store(before, Ordering::SeqCst);
    let woken = !set.disarm(number);
    if waits {
        set.arm(number);
    }
    // What we were woken for need not be what we found.
    if (woken || waits) && (senders || who.ready()) {
        if !waits {
            who.member().pass_on(senders);
        } else if set.disarm(number) {
            who.member().wake(number);
        }
    }
    result
}

/// Looks for `spin`, but not beyond `deadline`, without sleeping.
fn look<S: Sleeper, T>(
    who: &mut S,
    senders: bool,
    deadline: Option<Instant>,
    spin: Duration,
    found: &mut impl FnMut(&mut S) -> Result<Option<T>, Corrupt>,
) -> Result<Option<T>, Corrupt> {
    if spin.is_zero() {
        return Ok(None);
    }
    let begun = Instant::now();
    let spin = deadline.map_or(spin, |deadline| deadline.saturating_duration_since(begun).min(spin));
    loop {
        for _ in 0..LOOKS {
            // A look at the room is an attempt to send.
            if (senders || who.ready())
                && let Some(found) = found(who)?
            {
                return Ok(Some(found));
            }
            std::hint::spin_loop();
        }
        let passed = begun.elapsed();
        if passed >= spin {
            return Ok(None);
        }
        if passed >= ALONE {
            // The other side may wait for this very core.
            std::thread::yield_now();
        }
    }
}
