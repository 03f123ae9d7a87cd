//! The driver of a Rust program: a plain loop on this thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Instant;

use super::{Driver, Reactor};

/// Runs a reactor's turns in a loop on the calling thread, waiting in the kernel between them.
#[derive(Debug)]
pub struct Blocking {
    reactor: Rc<Reactor>,
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    deadline: Cell<Option<Instant>>,
    held: Cell<bool>,
    panic: RefCell<Option<Box<dyn Any + Send>>>,
}

impl Blocking {
    /// Becomes the driver of `reactor`.
    pub fn new(reactor: &Rc<Reactor>) -> Self {
        let state = Rc::new(State::default());
        reactor.drive(Rc::<State>::clone(&state));
        Self { reactor: Rc::clone(reactor), state }
    }

    /// Takes turns until `done` says so or nothing holds the loop any more; tells which: `true` for `done`.
    ///
    /// # Panics
    /// When a source panicked: here, where the caller can see it.
    pub fn run_until(&self, mut done: impl FnMut() -> bool) -> bool {
        loop {
            if done() {
                return true;
            }
            if !self.state.held.get() {
                return false;
            }
            let timeout = self.state.deadline.get().map(|at| at.saturating_duration_since(Instant::now()));
            self.reactor.wait(timeout);
            if let Some(payload) = self.state.panic.borrow_mut().take() {
                resume_unwind(payload);
            }
        }
    }
}

impl Driver for State {
    fn wake_at(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    fn hold(&self, hold: bool) {
        self.held.set(hold);
    }

    fn has_quick_rounds(&self) -> bool {
        true
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) {
        *self.panic.borrow_mut() = Some(payload);
    }
}
