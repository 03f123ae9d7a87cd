//! The one thread that starts processes, and that waits for those which nobody waits for any more.
//!
//! It lives as long as the process: a child that shall die with its parent is killed when the *thread* that forked it
//! ends (prctl(2)). What was handed to it is started even if the process exits right after: `exit(3)` waits for it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mio::unix::SourceFd;

use super::answer::Answer;
use super::plan::Plan;
use super::sys::{self, Lifeline};

/// The thread, seen from the others.
#[derive(Debug)]
pub(super) struct Spawner {
    waker: mio::Waker,
    orders: Mutex<Orders>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    starts: Vec<Start>,
    orphans: Vec<Lifeline>,
    /// Starts that were ordered and not yet answered.
    pending: usize,
}

struct Start {
    plan: Plan,
    answer: Arc<Answer>,
    answered: Box<dyn FnOnce() + Send>,
}

const WAKE: mio::Token = mio::Token(usize::MAX);
/// At exit a start that hangs (a program on a dead network drive) is given this long.
const PATIENCE_AT_EXIT: Duration = Duration::from_secs(10);
static SPAWNER: Mutex<Option<&'static Spawner>> = Mutex::new(None);

impl Spawner {
    /// The thread of this process, started by the first who asks.
    ///
    /// # Errors
    /// What thread or poll cannot be made for: `EAGAIN`, `EMFILE`.
    pub(super) fn get() -> io::Result<&'static Self> {
        let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spawner) = *spawner {
            return Ok(spawner);
        }
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        let started: &'static Self =
            Box::leak(Box::new(Self { waker, orders: Mutex::default(), idle: Condvar::new() }));
        thread::Builder::new().name("interproc-spawn".into()).spawn(move || started.serve(poll))?;
        sys::at_exit(finish);
        *spawner = Some(started);
        Ok(started)
    }

    /// Starts a process, soon. Then gives the answer and calls `answered`, on the spawner's thread.
    pub(super) fn start(&self, plan: Plan, answer: Arc<Answer>, answered: impl FnOnce() + Send + 'static) {
        let mut orders = self.lock();
        orders.starts.push(Start { plan, answer, answered: Box::new(answered) });
        orders.pending += 1;
        drop(orders);
        self.wake();
    }

    /// Waits for the end of a process that nobody else waits for, so that it does not stay a zombie.
    pub(super) fn adopt(&self, lifeline: Lifeline) {
        self.lock().orphans.push(lifeline);
        self.wake();
    }

    fn serve(&self, mut poll: mio::Poll) {
        let mut events = mio::Events::with_capacity(64);
        let mut orphans = HashMap::new();
        loop {
            self.obey(poll.registry(), &mut orphans);
            if poll.poll(&mut events, None).is_err() {
                continue; // EINTR.
            }
            orphans.retain(|_, lifeline: &mut Lifeline| matches!(lifeline.wait(), Ok(None)));
        }
    }

    fn obey(&self, registry: &mio::Registry, waiting: &mut HashMap<i32, Lifeline>) {
        let mut orders = self.lock();
        let starts = std::mem::take(&mut orders.starts);
        let orphans = std::mem::take(&mut orders.orphans);
        drop(orders);
        for start in starts {
            self.begin(start);
        }
        for orphan in orphans {
            let fd = orphan.as_fd().as_raw_fd();
            // Where it cannot be watched, the next wake-up asks again.
            let _ = registry.register(&mut SourceFd(&fd), mio::Token(0), mio::Interest::READABLE);
            if matches!(orphan.wait(), Ok(None)) {
                waiting.insert(fd, orphan);
            }
        }
    }

    fn begin(&self, Start { plan, answer, answered }: Start) {
        let result = sys::spawn(&plan);
        drop(plan); // The child's ends of the pipes: closed before anyone hears of it.
        if let Some(Ok(orphan)) = answer.give(result) {
            self.adopt(orphan.lifeline);
        }
        answered();
        let mut orders = self.lock();
        orders.pending -= 1;
        if orders.pending == 0 {
            self.idle.notify_all();
        }
    }

    fn wake(&self) {
        // An eventfd write fails only at its counter's end, and then the thread is awake anyway.
        let _ = self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// Runs inside `exit(3)`: what was ordered is started first.
extern "C" fn finish() {
    let Some(spawner) = *SPAWNER.lock().unwrap_or_else(PoisonError::into_inner) else { return };
    let pending = |orders: &mut Orders| orders.pending > 0;
    drop(spawner.idle.wait_timeout_while(spawner.lock(), PATIENCE_AT_EXIT, pending));
}
