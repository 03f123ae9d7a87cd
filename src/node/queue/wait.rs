//! Waiting in the event loop: for messages, or for room.

use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::time::Instant;

use napi_derive::napi;

use super::{Inner, QueueHandle};
use crate::node::env::errno;
use crate::queue::{SLICE, Work};
use crate::reactor::{Interest, Readiness, Source};

/// What is waited for.
const MESSAGES: u8 = 1;
const ROOM: u8 = 2;

#[napi]
impl QueueHandle {
    /// From now on `on_wake` is called once there are messages (or `room`). Look once more after this.
    #[napi(catch_unwind)]
    pub fn arm(&self, room: bool) -> i32 {
        if let Err(error) = self.inner.listen() {
            return errno(&error);
        }
        let what = if room { ROOM } else { MESSAGES };
        self.inner.armed.set(self.inner.armed.get() | what);
        self.inner.start_timer();
        self.inner.with(|work| {
            if room {
                work.arm_sender()
            } else {
                work.arm_receiver()
            }
            0
        })
    }

    /// Nothing is waited for any more.
    #[napi(catch_unwind)]
    pub fn disarm(&self, room: bool) {
        let what = if room { ROOM } else { MESSAGES };
        self.inner.armed.set(self.inner.armed.get() & !what);
        self.inner.with(|work| {
            if room {
                work.disarm_sender()
            } else {
                work.disarm_receiver()
            }
            0
        });
    }

    /// Keeps the process alive, or not.
    #[napi(catch_unwind)]
    pub fn hold(&self, on: bool) {
        self.inner.hold.set(on);
    }
}

impl Inner {
    /// Registers the bell, at the first call.
    fn listen(&self) -> std::io::Result<()> {
        let mut work = self.work.borrow_mut();
        let Some(work) = work.as_mut().filter(|_| self.token.get().is_none()) else { return Ok(()) };
        let bell = work.bell()?;
        let source = Rc::new(Ear(Weak::clone(&self.this)));
        let fd = bell.as_fd();
        self.token.set(Some(self.state.reactor().register(fd, Interest::READABLE, source)?));
        Ok(())
    }

    fn start_timer(&self) {
        if self.timer.get().is_none() {
            let this = Weak::clone(&self.this);
            let task = move || this.upgrade().iter().for_each(|inner| inner.look_around());
            self.timer.set(Some(self.state.reactor().set_timer(Instant::now() + 2 * SLICE, task)));
        }
    }

    /// Nobody rang for a while: someone may have died before he could.
    fn look_around(&self) {
        self.timer.set(None);
        let armed = self.armed.get();
        if armed == 0 {
            return;
        }
        let found = match self.work.borrow_mut().as_mut() {
            Some(work) => work.look_around() || armed & ROOM != 0 || work.ready(),
            None => return,
        };
        self.start_timer();
        if found {
            self.wake();
        }
    }

    fn wake(&self) {
        // Out of the cell during the call: it may close this very handle.
        let Some(callback) = self.on_wake.take() else { return };
        callback.call(&[]);
        if self.work.borrow().is_some() {
            *self.on_wake.borrow_mut() = Some(callback);
        }
    }
}

/// What the reactor calls when the bell rings.
struct Ear(Weak<Inner>);

impl Source for Ear {
    fn ready(self: Rc<Self>, _readiness: Readiness) {
        let Some(inner) = self.0.upgrade() else { return };
        if let Some(Ok(bell)) = inner.work.borrow_mut().as_mut().map(Work::bell) {
            bell.silence();
        }
        inner.wake();
    }
}
