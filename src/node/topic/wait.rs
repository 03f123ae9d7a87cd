//! Waiting in the event loop: for messages, or for room.

use napi_derive::napi;

use super::{Inner, TopicHandle};
use crate::node::env::errno;
use crate::node::queue::{wake, want};
use crate::queue::{Sleeper, Waiter};

#[napi]
impl TopicHandle {
    /// From now on `on_wake` is called once there are messages (or `room`); then nothing is waited for any more. 1: there may
    /// be some now, try again.
    #[napi(catch_unwind)]
    pub fn arm(&self, room: bool) -> i32 {
        match self.inner.line.borrow_mut().as_mut() {
            None => return -libc::EBADF,
            Some(line) if room => line.topic().look_for_dead(),
            Some(_) => {}
        }
        self.inner.watch.arm(want(room)).map_or_else(|error| errno(&error), i32::from)
    }

    /// This is not waited for any more.
    #[napi(catch_unwind)]
    pub fn disarm(&self, room: bool) {
        self.inner.watch.disarm(want(room));
    }

    /// Whether waiting keeps the process alive; so it does at first.
    #[napi(catch_unwind)]
    pub fn hold(&self, on: bool) {
        self.inner.watch.reference(on);
    }
}

impl Waiter for Inner {
    fn with(&self, task: &mut dyn FnMut(&mut dyn Sleeper)) {
        if let Some(line) = self.line.borrow_mut().as_mut() {
            task(line.sleeper());
        }
    }

    fn wake(&self) {
        wake(&self.on_wake, || self.line.borrow().is_some());
    }
}
