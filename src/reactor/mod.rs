//! The poll of one JS thread (or of one Rust thread): every descriptor of that thread, its timers, and its turns.
//!
//! A [`Reactor`] owns one `mio::Poll`. Descriptors are registered edge-triggered, each with a [`Source`]. A *turn* asks
//! the poll once, without waiting, and calls the sources that are ready. Who calls [`Reactor::turn`] is the
//! [`Driver`]'s business: libuv ([`uv`]), a tokio task ([`tokio`]), or a plain loop ([`Blocking`]).
//!
//! Everything here stays on one thread (`Rc`); only [`Remote`] may be handed to others.
//! No borrow is held while a source runs, so a source may register, deregister, or ask for another turn.

mod blocking;
mod hold;
mod hot;
mod look;
mod remote;
mod source;
mod timers;
pub mod tokio;
pub mod uv;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use blocking::Blocking;
pub use hold::Hold;
pub use mio::Interest;
use mio::unix::SourceFd;
pub use remote::Remote;
pub use source::{Readiness, Source, Token};
pub use timers::TimerId;

use hot::Hot;
use remote::Mailbox;
use slab::Slab;
use timers::Timers;

/// Who calls [`Reactor::turn`], and keeps the thread's loop alive.
pub trait Driver {
    /// Call `turn` at this time at the latest (at once if it has passed); `None`: no deadline.
    fn wake_at(&self, deadline: Option<Instant>);
    /// `true`: something is going on that a user would want the process to stay alive for.
    fn hold(&self, hold: bool);
    /// Watches this one descriptor for reading in the loop itself, and calls [`Reactor::direct_turn`] as long as there is
    /// something. `false`: this driver cannot.
    fn watch(&self, _fd: RawFd) -> bool {
        false
    }
    /// Ends [`Driver::watch`].
    fn unwatch(&self) {}
    /// Is a turn that is due at once a round of the loop on this very thread? Then a source may look for something in turn
    /// after turn: see [`Reactor::look_soon`].
    fn has_quick_rounds(&self) -> bool {
        false
    }
    /// A source panicked. It goes on; the driver tells the user.
    fn panicked(&self, payload: Box<dyn Any + Send>);
}

/// One poll, its sources and timers.
pub struct Reactor {
    poll: RefCell<mio::Poll>,
    registry: mio::Registry,
    events: RefCell<Option<mio::Events>>,
    sources: RefCell<Slab<Entry>>,
    next_generation: Cell<u32>,
    again: RefCell<VecDeque<(Token, Readiness)>>,
    deferred: RefCell<Vec<Box<dyn FnOnce()>>>,
    timers: RefCell<Timers>,
    mailbox: Arc<Mailbox>,
    driver: RefCell<Option<Rc<dyn Driver>>>,
    armed: Cell<Option<Instant>>,
    holds: Cell<usize>,
    turning: Cell<bool>,
    closed: Cell<bool>,
    hot: Hot,
    /// Who looks in place of sleeping.
    looker: Cell<Option<Token>>,
}

struct Entry {
    generation: u32,
    source: Rc<dyn Source>,
    watch: Option<Watch>,
}

/// How a descriptor is registered.
#[derive(Clone, Copy)]
struct Watch {
    fd: RawFd,
    interest: Interest,
    /// A direct watch was of no use to this source: see [`hot`].
    indirect: bool,
}

/// Descriptors reported per turn; the rest waits in the kernel for the next one.
const EVENTS_PER_TURN: usize = 256;
/// libuv counts time in whole milliseconds.
const COARSE: Duration = Duration::from_millis(2);
const REMOTE: mio::Token = mio::Token(usize::MAX);

impl Reactor {
    /// A reactor without a driver: nothing runs until [`Reactor::drive`] names one.
    ///
    /// # Errors
    /// What `epoll_create`/`kqueue` and `eventfd` say: too many descriptors, out of memory.
    pub fn new() -> io::Result<Rc<Self>> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let mailbox = Arc::new(Mailbox::new(mio::Waker::new(&registry, REMOTE)?));
        Ok(Rc::new(Self {
            poll: RefCell::new(poll),
            registry,
            events: RefCell::new(Some(mio::Events::with_capacity(EVENTS_PER_TURN))),
            sources: RefCell::default(),
            next_generation: Cell::new(0),
            again: RefCell::default(),
            deferred: RefCell::default(),
            timers: RefCell::default(),
            mailbox,
            driver: RefCell::default(),
            armed: Cell::new(None),
            holds: Cell::new(0),
            turning: Cell::new(false),
            closed: Cell::new(false),
            hot: Hot::default(),
            looker: Cell::default(),
        }))
    }

    /// Gives the reactor its driver.
    pub fn drive(&self, driver: Rc<dyn Driver>) {
        driver.hold(self.holds.get() > 0);
        *self.driver.borrow_mut() = Some(driver);
        self.armed.set(None);
        self.rearm();
    }

    /// The descriptor that becomes readable when a turn has something to do.
    pub fn poll_fd(&self) -> RawFd {
        self.poll.borrow().as_raw_fd()
    }

    /// Registers a descriptor, edge-triggered: `source.ready` is called once per change.
    ///
    /// The caller keeps the descriptor open until [`Reactor::deregister`].
    ///
    /// # Errors
    /// What `epoll_ctl` says; `ESHUTDOWN`-like [`io::ErrorKind::NotConnected`] once the reactor is closed.
    pub fn register(&self, fd: BorrowedFd<'_>, interest: Interest, source: Rc<dyn Source>) -> io::Result<Token> {
        let token = self.enroll(source)?;
        let fd = fd.as_raw_fd();
        if let Err(error) = self.registry.register(&mut SourceFd(&fd), token.mio(), interest) {
            self.take(token);
            return Err(error);
        }
        self.set_watch(token, Watch { fd, interest, indirect: false });
        Ok(token)
    }

    /// Changes what a registered descriptor is watched for. A side that is ready already is reported again.
    ///
    /// # Errors
    /// What `epoll_ctl` says.
    pub fn reregister(&self, token: Token, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if self.leave_direct(token) {
            self.registry.register(&mut SourceFd(&fd), token.mio(), interest)?;
        } else {
            self.registry.reregister(&mut SourceFd(&fd), token.mio(), interest)?;
        }
        self.set_watch(token, Watch { fd, interest, indirect: false });
        Ok(())
    }

    /// Ends the registration; `source` is dropped and not called again, even for events already fetched.
    pub fn deregister(&self, token: Token, fd: BorrowedFd<'_>) {
        if !self.leave_direct(token) {
            // The descriptor may have left the poll already (its end was closed elsewhere): the result is the same.
            let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
        self.take(token);
    }

    /// Adds a source without a descriptor: it is called through [`Reactor::again`] and [`Remote::notify`] only.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] once the reactor is closed.
    pub fn enroll(&self, source: Rc<dyn Source>) -> io::Result<Token> {
        if self.closed.get() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "this thread's reactor is closed"));
        }
        let generation = self.next_generation.get();
        self.next_generation.set(generation.wrapping_add(1) & 0x7fff_ffff);
        let key = self.sources.borrow_mut().insert(Entry { generation, source, watch: None });
        Ok(Token::new(key, generation))
    }

    /// Ends what [`Reactor::enroll`] began.
    pub fn dismiss(&self, token: Token) {
        self.take(token);
    }

    /// Calls this source again in the next turn, which comes soon: for a source that stopped at its bound.
    pub fn again(&self, token: Token, readiness: Readiness) {
        self.again.borrow_mut().push_back((token, readiness));
        if !self.turning.get() {
            self.rearm();
        }
    }

    /// Runs `task` at the end of this turn, or in a turn of its own that comes soon.
    pub fn defer(&self, task: impl FnOnce() + 'static) {
        if self.closed.get() {
            return; // Nobody would run it, and it may hold what holds this reactor.
        }
        self.deferred.borrow_mut().push(Box::new(task));
        if !self.turning.get() {
            self.rearm();
        }
    }

    /// Is a turn running now?
    pub fn in_turn(&self) -> bool {
        self.turning.get()
    }

    /// Calls `task` once, in the first turn at or after `deadline`. A timer alone does not keep the loop alive.
    pub fn set_timer(&self, deadline: Instant, task: impl FnOnce() + 'static) -> TimerId {
        if self.closed.get() {
            return Timers::spent(deadline); // As in `defer`.
        }
        let id = self.timers.borrow_mut().insert(deadline, Box::new(task));
        if !self.turning.get() {
            self.rearm();
        }
        id
    }

    /// Forgets a timer; one that fired or was cleared before is ignored.
    pub fn clear_timer(&self, id: TimerId) {
        let task = self.timers.borrow_mut().remove(id);
        drop(task); // Outside the borrow: dropping a task may clear other timers.
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.mailbox))
    }

    /// Counts one more reason to stay alive. [`Hold`] does it by scope.
    fn retain(&self) {
        self.holds.set(self.holds.get() + 1);
        if self.holds.get() == 1 {
            self.with_driver(|driver| driver.hold(true));
        }
    }

    fn release(&self) {
        self.holds.set(self.holds.get() - 1);
        if self.holds.get() == 0 {
            self.with_driver(|driver| driver.hold(false));
        }
    }

    /// Asks the poll once, without waiting, and calls what is ready, what asked for it, and what is due.
    pub fn turn(&self) {
        self.wait(Some(Duration::ZERO));
    }

    /// Drops every source, timer and task; nothing can be registered any more. For the end of the thread.
    pub fn close(&self) {
        self.closed.set(true);
        self.mailbox.close();
        self.forget_direct();
        let sources = std::mem::take(&mut *self.sources.borrow_mut());
        let timers = std::mem::take(&mut *self.timers.borrow_mut());
        let deferred = std::mem::take(&mut *self.deferred.borrow_mut());
        self.again.borrow_mut().clear();
        // Outside every borrow: they may call back here.
        for (_, entry) in &sources {
            Rc::clone(&entry.source).abandon();
        }
        drop((sources, timers, deferred));
        let driver = self.driver.borrow_mut().take();
        drop(driver);
    }

    /// One turn that first waits for at most `timeout`.
    fn wait(&self, timeout: Option<Duration>) {
        self.take_turn(|reactor, events| reactor.poll_once(events, timeout));
    }

    /// Calls what `find` finds ready, and then what is due in any turn.
    fn take_turn(&self, find: impl FnOnce(&Self, &mut mio::Events)) {
        // None: a turn within a turn, which the outer one makes up for.
        let Some(mut events) = self.events.borrow_mut().take() else { return };
        self.turning.set(true);
        let again = std::mem::take(&mut *self.again.borrow_mut());
        find(self, &mut events);
        for (token, readiness) in again {
            self.dispatch(token, readiness);
        }
        self.fire_timers();
        self.run_deferred();
        *self.events.borrow_mut() = Some(events);
        self.turning.set(false);
        self.disarm_if_spent();
        self.rearm();
    }

    fn poll_once(&self, events: &mut mio::Events, timeout: Option<Duration>) {
        // EINTR: what is ready stays ready, the driver calls again.
        if self.poll.borrow_mut().poll(events, timeout).is_err() {
            return;
        }
        for event in &*events {
            if event.token() == REMOTE {
                self.answer_remotes();
            } else {
                self.dispatch(Token::from_mio(event.token()), Readiness::of(event));
            }
        }
        self.find_hot(events);
    }

    /// A driver's clock may be coarse: an alarm that is due about now has rung, or rings in vain.
    fn disarm_if_spent(&self) {
        if self.armed.get().is_some_and(|armed| armed <= Instant::now() + COARSE) {
            self.armed.set(None);
        }
    }

    fn answer_remotes(&self) {
        for token in self.mailbox.take() {
            self.dispatch(token, Readiness { notified: true, ..Readiness::default() });
        }
    }

    fn dispatch(&self, token: Token, readiness: Readiness) {
        let Some(source) = self.find(token) else {
            return;
        };
        self.guard(move || source.ready(readiness));
    }

    fn fire_timers(&self) {
        if self.timers.borrow().next().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(task) = { self.timers.borrow_mut().due(now) } {
            self.guard(task);
        }
    }

    fn run_deferred(&self) {
        // A task may defer another; a bound keeps such a chain from starving the loop.
        for _ in 0..8 {
            let tasks = std::mem::take(&mut *self.deferred.borrow_mut());
            if tasks.is_empty() {
                return;
            }
            for task in tasks {
                self.guard(task);
            }
        }
    }

    /// A panic must not unwind into libuv or V8.
    fn guard(&self, task: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(task)) {
            self.with_driver(|driver| driver.panicked(payload));
        }
    }

    /// Tells the driver when the next turn is due, if that changed to something earlier.
    fn rearm(&self) {
        let busy = !self.again.borrow().is_empty() || !self.deferred.borrow().is_empty();
        let next = if busy { Some(Instant::now()) } else { self.timers.borrow().next() };
        let armed = self.armed.get();
        let Some(deadline) = next else {
            if armed.is_some() {
                self.armed.set(None);
                self.with_driver(|driver| driver.wake_at(None));
            }
            return;
        };
        // A turn that comes too early is harmless and rare; re-arming at every change would not be.
        if armed.is_none_or(|armed| deadline < armed) {
            self.armed.set(Some(deadline));
            self.with_driver(|driver| driver.wake_at(Some(deadline)));
        }
    }

    fn find(&self, token: Token) -> Option<Rc<dyn Source>> {
        let sources = self.sources.borrow();
        let entry = sources.get(token.key())?;
        (entry.generation == token.generation()).then(|| Rc::clone(&entry.source))
    }

    fn take(&self, token: Token) {
        self.end_look(token);
        let mut sources = self.sources.borrow_mut();
        let entry = match sources.get(token.key()) {
            Some(entry) if entry.generation == token.generation() => sources.remove(token.key()),
            _ => return,
        };
        drop(sources);
        drop(entry); // Outside the borrow: this may be the last reference.
    }

    fn set_watch(&self, token: Token, watch: Watch) {
        if let Some(entry) = self.sources.borrow_mut().get_mut(token.key()) {
            entry.watch = Some(watch);
        }
    }

    fn watch_of(&self, token: Token) -> Option<Watch> {
        let sources = self.sources.borrow();
        sources.get(token.key()).filter(|entry| entry.generation == token.generation())?.watch
    }

    fn with_driver<T>(&self, call: impl FnOnce(&dyn Driver) -> T) -> Option<T> {
        let driver = self.driver.borrow().clone();
        driver.map(|driver| call(&*driver))
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor")
            .field("sources", &self.sources.borrow().len())
            .field("holds", &self.holds.get())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
