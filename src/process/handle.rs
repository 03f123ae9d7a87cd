//! A process started from a reactor's thread: its answer, its end, its signals.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;

use super::Exit;
use super::answer::{Answer, Spawned};
use super::command::Command;
use super::plan::Plan;
use super::spawner::Spawner;
use super::sys::Lifeline;
use crate::reactor::{Hold, Interest, Reactor, Readiness, Source, Token};

/// Who is told about a process, on its reactor's thread, inside a turn.
pub trait Events {
    /// It runs. Comes first.
    fn started(&self, pid: i32);
    /// It could not be started: a positive `errno`. Nothing else comes.
    fn failed(&self, errno: i32);
    /// It ended. Comes last.
    fn exited(&self, exit: Exit);
}

/// A process that is being started, runs, or has ended.
///
/// Holds the loop until the end is told, unless [`Process::unref`] said otherwise. When the reactor closes first, the
/// process runs on, and its zombie is still taken care of.
pub struct Process {
    reactor: Rc<Reactor>,
    events: RefCell<Option<Box<dyn Events>>>,
    answer: Arc<Answer>,
    state: RefCell<State>,
    letters: Cell<Option<Token>>,
    watch: Cell<Option<Token>>,
    /// The end was seen in an earlier turn.
    ripe: Cell<bool>,
    hold: Hold,
}

enum State {
    Starting,
    Running { pid: i32, lifeline: Lifeline },
    Failed { errno: i32 },
    Ended { pid: i32 },
}

/// The errors of starting that [`Events::failed`] tells; Node throws all others from `spawn()`.
pub const TOLD_LATER: [i32; 5] = [libc::EACCES, libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOENT];

impl Process {
    /// Hands the command to the spawner and returns; `events` hears the rest in later turns.
    ///
    /// Where [`Command::may_fail_at_once`] says so, it waits for the answer first.
    ///
    /// # Errors
    /// Nothing was started, and `events` hears nothing: `E2BIG`, `EPERM`, `ENOTDIR`, `ENAMETOOLONG`, everything that the
    /// system may say but what is [`TOLD_LATER`]; of those only what kept the spawner's thread from starting.
    pub fn start(reactor: &Rc<Reactor>, command: Command, events: Box<dyn Events>) -> io::Result<Rc<Self>> {
        let at_once = command.may_fail_at_once();
        let plan = Plan::new(command)?;
        let spawner = Spawner::get()?;
        let process = Rc::new(Self {
            reactor: Rc::clone(reactor),
            events: RefCell::new(Some(events)),
            answer: Arc::default(),
            state: RefCell::new(State::Starting),
            letters: Cell::new(None),
            watch: Cell::new(None),
            ripe: Cell::new(false),
            hold: Hold::new(reactor),
        });
        let letters = reactor.enroll(Rc::<Self>::clone(&process))?;
        process.letters.set(Some(letters));
        process.hold.set(true);
        let remote = reactor.remote();
        spawner.start(plan, Arc::clone(&process.answer), move || remote.notify(letters));
        if at_once
            && let Err(errno) = process.pid()
            && !TOLD_LATER.contains(&errno)
        {
            process.forget();
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(process)
    }

    /// Its number, once it is known; waits for the spawner if need be.
    ///
    /// # Errors
    /// The `errno` it could not be started for.
    pub fn pid(&self) -> Result<i32, i32> {
        if matches!(*self.state.borrow(), State::Starting)
            && let Some(answer) = self.answer.wait()
        {
            self.settle(answer);
        }
        match *self.state.borrow() {
            State::Running { pid, .. } | State::Ended { pid } => Ok(pid),
            State::Failed { errno } => Err(errno),
            State::Starting => Err(libc::ESRCH),
        }
    }

    /// Sends a signal to this very process, never to a later one of the same number. 0 only asks whether it is there.
    ///
    /// # Errors
    /// `ESRCH` when it has ended or never ran, `EPERM`, `EINVAL`.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        let gone = || Err(io::Error::from_raw_os_error(libc::ESRCH));
        if self.pid().is_err() {
            return gone();
        }
        match &*self.state.borrow() {
            State::Running { lifeline, .. } => lifeline.signal(signal),
            _ => gone(),
        }
    }

    /// Keeps the loop alive until the end (as at the start).
    pub fn hold(&self) {
        self.hold.set(self.is_live());
    }

    /// Does not keep the loop alive.
    pub fn unref(&self) {
        self.hold.set(false);
    }

    /// Does it keep the loop alive?
    pub fn is_held(&self) -> bool {
        self.hold.is_on()
    }

    /// It never was.
    fn forget(&self) {
        if let Some(letters) = self.letters.take() {
            self.reactor.dismiss(letters);
        }
        self.hold.set(false);
    }

    fn is_live(&self) -> bool {
        matches!(*self.state.borrow(), State::Starting | State::Running { .. })
    }

    fn settle(&self, answer: io::Result<Spawned>) {
        *self.state.borrow_mut() = match answer {
            Ok(Spawned { pid, lifeline }) => State::Running { pid, lifeline },
            Err(error) => State::Failed { errno: error.raw_os_error().unwrap_or(libc::EAGAIN) },
        };
    }

    /// The answer has come: tells it, and begins to watch for the end.
    fn announce(self: &Rc<Self>) {
        let Some(letters) = self.letters.take() else { return };
        self.reactor.dismiss(letters);
        match self.pid() {
            Ok(pid) => {
                let events = self.events.take();
                if let Some(events) = &events {
                    events.started(pid);
                }
                self.events.replace(events);
                self.watch();
            }
            Err(errno) => {
                self.hold.set(false);
                self.tell_last(|events| events.failed(errno));
            }
        }
    }

    /// Nothing comes after this: who hears may hold what holds us, so he is let go of.
    fn tell_last(&self, tell: impl FnOnce(&dyn Events)) {
        if let Some(events) = self.events.take() {
            tell(&*events);
        }
    }

    fn watch(self: &Rc<Self>) {
        let state = self.state.borrow();
        let State::Running { lifeline, .. } = &*state else { return };
        let registered = self.reactor.register(lifeline.as_fd(), Interest::READABLE, Rc::<Self>::clone(self));
        drop(state);
        match registered {
            Ok(token) => self.watch.set(Some(token)),
            Err(_) => self.cut_loose(), // Only where the reactor is closed, or the kernel is out of memory.
        }
    }

    /// Its end cannot be watched any more: someone else waits for it.
    fn cut_loose(&self) {
        let was = self.state.replace(State::Ended { pid: 0 });
        match was {
            State::Running { lifeline, .. } => adopt(lifeline),
            State::Starting => {
                if let Some(Ok(spawned)) = self.answer.abandon() {
                    adopt(spawned.lifeline);
                }
            }
            State::Failed { .. } | State::Ended { .. } => {
                self.state.replace(was);
            }
        }
    }

    fn reap(&self) {
        let state = self.state.borrow();
        let State::Running { pid, lifeline } = &*state else { return };
        let pid = *pid;
        let ended = match lifeline.wait() {
            Ok(None) => return,
            Ok(Some(ended)) => ended,
            Err(_) => Exit::Unknown,
        };
        if let Some(token) = self.watch.take() {
            self.reactor.deregister(token, lifeline.as_fd());
        }
        drop(state);
        *self.state.borrow_mut() = State::Ended { pid };
        self.hold.set(false);
        self.tell_last(|events| events.exited(ended));
    }
}

impl Source for Process {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        if readiness.notified {
            self.announce();
        } else if self.ripe.replace(true) {
            self.reap();
        } else if let Some(token) = self.watch.get() {
            // What the process wrote before its end lies in its pipes, and is read in this turn at the latest.
            self.reactor.again(token, readiness);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.cut_loose();
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, number) = match *self.state.borrow() {
            State::Starting => ("Starting", 0),
            State::Running { pid, .. } => ("Running", pid),
            State::Failed { errno } => ("Failed", errno),
            State::Ended { pid } => ("Ended", pid),
        };
        f.debug_struct("Process").field(name, &number).finish_non_exhaustive()
    }
}

fn adopt(lifeline: Lifeline) {
    // The spawner runs: it started this process.
    if let Ok(spawner) = Spawner::get() {
        spawner.adopt(lifeline);
    }
}
