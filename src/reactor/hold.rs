//! What keeps the loop, and so the process, alive.

use std::cell::Cell;
use std::rc::Rc;

use super::Reactor;

/// One reason for the loop to stay alive, switched by `ref()`/`unref()` and by starting and ending. Off at first.
#[derive(Debug)]
pub struct Hold {
    reactor: Rc<Reactor>,
    on: Cell<bool>,
}

impl Hold {
    /// A reason that is not given yet.
    pub fn new(reactor: &Rc<Reactor>) -> Self {
        Self { reactor: Rc::clone(reactor), on: Cell::new(false) }
    }

    /// `true`: stay alive for this.
    pub fn set(&self, on: bool) {
        if self.on.replace(on) == on {
            return;
        }
        if on { self.reactor.retain() } else { self.reactor.release() }
    }

    /// Is it given?
    pub fn is_on(&self) -> bool {
        self.on.get()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set(false);
    }
}
