//! Waiting for messages or room in the turns of a reactor: by the bell, and before that, where it is worth it, by looking.
//!
//! While it looks, a receiver is awake as far as others can see: nobody rings for it. Only when the time is over it arms, looks
//! once more and sleeps, as any sleeper does; so no wake-up can be lost between the two.

mod look;
mod spin;

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::member::Sleeper;
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, TimerId, Token};
use spin::Spin;

/// How long to sleep before looking whether someone died who should have rung. The tests want to see lost wake-ups, so there
/// is no such repair.
const AROUND: Duration = if cfg!(test) { Duration::from_secs(3600) } else { Duration::from_millis(200) };

/// Whom a [`Watch`] wakes.
pub(crate) trait Waiter {
    /// Calls `task` with the handle, unless it left the queue.
    fn with(&self, task: &mut dyn FnMut(&mut dyn Sleeper));
    /// There may be what was waited for. Nothing is waited for any more, unless it asks again.
    fn wake(&self);
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Messages,
    Room,
}

/// The waiting of one handle. Ends with [`Watch::close`].
pub(crate) struct Watch {
    reactor: Rc<Reactor>,
    waiter: Weak<dyn Waiter>,
    token: Cell<Option<Token>>,
    timer: Cell<Option<TimerId>>,
    hold: Hold,
    referenced: Cell<bool>,
    messages: Cell<bool>,
    room: Cell<bool>,
    /// It looks in place of sleeping.
    looks: Cell<bool>,
    /// When it began to look, or to sleep.
    since: Cell<Option<Instant>>,
    spin: Cell<Spin>,
    this: Weak<Self>,
}

impl Watch {
    /// Nothing is waited for yet. `spin`: for how long it may look before it sleeps, at most.
    pub(crate) fn new(reactor: &Rc<Reactor>, waiter: Weak<dyn Waiter>, spin: Duration) -> Rc<Self> {
        let spin = if look::has_cores() { spin } else { Duration::ZERO };
        Rc::new_cyclic(|this| Self {
            reactor: Rc::clone(reactor),
            waiter,
            token: Cell::default(),
            timer: Cell::default(),
            hold: Hold::new(reactor),
            referenced: Cell::new(true),
            messages: Cell::default(),
            room: Cell::default(),
            looks: Cell::default(),
            since: Cell::default(),
            spin: Cell::new(Spin::new(spin)),
            this: Weak::clone(this),
        })
    }

    /// From now on [`Waiter::wake`] is called once there may be what is wanted. `true`: there may be now, try again.
    ///
    /// # Errors
    /// When there is no descriptor for the bell.
    pub(crate) fn arm(&self, want: Want) -> io::Result<bool> {
        self.listen()?;
        self.start_timer();
        self.cell(want).set(true);
        self.update_hold();
        match want {
            Want::Room => {
                self.with(|sleeper| {
                    let member = sleeper.member();
                    member.shared.senders.arm(member.seat);
                });
                Ok(true)
            }
            Want::Messages if self.begin_look() => Ok(false),
            Want::Messages => Ok(self.sleep()),
        }
    }

    /// This is waited for no more.
    pub(crate) fn disarm(&self, want: Want) {
        if self.cell(want).replace(false) {
            if want == Want::Messages {
                self.end_look();
            }
            self.leave(want);
            self.update_hold();
        }
    }

    /// Whether waiting keeps the loop alive; so it does at first.
    pub(crate) fn reference(&self, on: bool) {
        self.referenced.set(on);
        self.update_hold();
    }

    /// Before the handle, `sleeper`, leaves the queue. It may be on its way out so far that [`Waiter::with`] does not reach it.
    pub(crate) fn close(&self, sleeper: &mut dyn Sleeper) {
        self.messages.set(false);
        self.room.set(false);
        self.looks.set(false);
        self.update_hold();
        if let Some(timer) = self.timer.take() {
            self.reactor.clear_timer(timer);
        }
        if let (Some(token), Ok(bell)) = (self.token.take(), sleeper.member().bell()) {
            self.reactor.deregister(token, bell.as_fd());
        }
    }

    /// Registers the bell, at the first call.
    fn listen(&self) -> io::Result<()> {
        if self.token.get().is_some() {
            return Ok(());
        }
        let mut result = Ok(());
        self.with(|sleeper| {
            let bell = sleeper.member().bell();
            let source = self.this.upgrade();
            result = bell.and_then(|bell| {
                let source = source.ok_or(io::ErrorKind::NotConnected)?;
                self.token.set(Some(self.reactor.register(bell.as_fd(), Interest::READABLE, source)?));
                Ok(())
            });
        });
        result
    }

    /// From now on others ring. `true`: there is something already.
    fn sleep(&self) -> bool {
        if self.since.get().is_none() {
            self.since.set(Some(Instant::now()));
        }
        let mut ready = false;
        self.with(|sleeper| {
            let member = sleeper.member();
            member.shared.receivers.arm(member.seat);
            ready = sleeper.ready();
        });
        ready
    }

    /// The bell rang, perhaps for what was found before.
    fn rang(&self) {
        let mut for_us = false;
        self.with(|sleeper| {
            let member = sleeper.member();
            let (seat, shared) = (member.seat, member.shared);
            for_us = (self.messages.get() && (!shared.receivers.has(seat) || sleeper.ready()))
                || (self.room.get() && !shared.senders.has(seat));
        });
        if !for_us {
            return;
        }
        if let (true, false, Some(since)) = (self.messages.get(), self.looks.get(), self.since.get()) {
            let mut spin = self.spin.get();
            spin.slept(since.elapsed());
            self.spin.set(spin);
        }
        self.wake();
    }

    fn wake(&self) {
        self.end_look();
        let before = (self.messages.replace(false), self.room.replace(false));
        if let Some(waiter) = self.waiter.upgrade() {
            waiter.wake();
        }
        if before.0 && !self.messages.get() {
            self.leave(Want::Messages);
        }
        if before.1 && !self.room.get() {
            self.leave(Want::Room);
        }
        self.update_hold();
    }

    /// A wake-up that was not needed goes to another.
    fn leave(&self, want: Want) {
        self.with(|sleeper| {
            let member = sleeper.member();
            let (seat, shared) = (member.seat, member.shared);
            match want {
                Want::Messages => {
                    if !shared.receivers.disarm(seat) && sleeper.ready() {
                        sleeper.member().pass_on(false);
                    }
                }
                Want::Room => {
                    if !shared.senders.disarm(seat) {
                        member.pass_on(true);
                    }
                }
            }
        });
    }

    fn start_timer(&self) {
        if self.timer.get().is_none() {
            let this = Weak::clone(&self.this);
            let task = move || this.upgrade().iter().for_each(|watch| watch.look_around());
            self.timer.set(Some(self.reactor.set_timer(Instant::now() + AROUND, task)));
        }
    }

    /// Nobody rang for a while: someone may have died before he could.
    fn look_around(&self) {
        self.timer.set(None);
        if !self.messages.get() && !self.room.get() {
            return;
        }
        let mut found = false;
        self.with(|sleeper| found = sleeper.member().look_around() || self.room.get() || sleeper.ready());
        self.start_timer();
        if found {
            self.wake();
        }
    }

    fn update_hold(&self) {
        self.hold.set(self.referenced.get() && (self.messages.get() || self.room.get()));
    }

    fn cell(&self, want: Want) -> &Cell<bool> {
        match want {
            Want::Messages => &self.messages,
            Want::Room => &self.room,
        }
    }

    fn with(&self, mut task: impl FnMut(&mut dyn Sleeper)) {
        if let Some(waiter) = self.waiter.upgrade() {
            waiter.with(&mut task);
        }
    }

    fn silence(&self) -> bool {
        let mut rang = false;
        self.with(|sleeper| rang = sleeper.member().bell().is_ok_and(super::bell::Bell::silence));
        rang
    }
}

impl Source for Watch {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.notified {
            return self.look();
        }
        self.silence();
        self.rang();
    }

    fn directly_readable(self: Rc<Self>) -> bool {
        let rang = self.silence();
        if rang {
            self.rang();
        }
        rang
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("looks", &self.looks.get()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
