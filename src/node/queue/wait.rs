//! Waiting in the event loop: for messages, or for room.

use std::cell::RefCell;

use napi_derive::napi;

use super::{Inner, QueueHandle};
use crate::node::callback::Callback;
use crate::node::env::errno;
use crate::queue::{Sleeper, Waiter, Want};

#[napi]
impl QueueHandle {
    /// From now on `on_wake` is called once there are messages (or `room`); then nothing is waited for any more. 1: there may
    /// be some now, try again.
    #[napi(catch_unwind)]
    pub fn arm(&self, room: bool) -> i32 {
        if self.inner.work.borrow().is_none() {
            return -libc::EBADF;
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
        if let Some(work) = self.work.borrow_mut().as_mut() {
            task(work);
        }
    }

    fn wake(&self) {
        wake(&self.on_wake, || self.work.borrow().is_some());
    }
}

/// Calls `on_wake`, unless the handle was closed, also by the call itself.
pub(in crate::node) fn wake(on_wake: &RefCell<Option<Callback>>, is_open: impl FnOnce() -> bool) {
    // Out of the cell during the call: it may close this very handle.
    let Some(callback) = on_wake.take() else { return };
    callback.call(&[]);
    if is_open() {
        *on_wake.borrow_mut() = Some(callback);
    }
}

pub(in crate::node) fn want(room: bool) -> Want {
    if room { Want::Room } else { Want::Messages }
}
