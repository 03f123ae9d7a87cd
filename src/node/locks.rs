//! Locks, semaphores and waits for JavaScript: one [`LockAgent`] per JS thread and copy of `lib/locks`.
//!
//! JavaScript numbers its requests. An answer is one of [`answer`], or a negative errno: EAGAIN for what is not free, ENOSPC
//! for a full table, EINVAL for a semaphore of another size.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]
#![expect(clippy::too_many_arguments, reason = "one crossing; an object would cost more than the call")]

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::{EnvState, from_io};
use super::shm::{Code, SharedSegment, open_error};
use crate::lock::{Agent, Ask, Event, Mode, Outcome, Patience, Table, What, Word};

/// `lib/locks/agent.js` has the same numbers.
mod answer {
    pub(super) const WAITING: i32 = 0;
    pub(super) const HELD: i32 = 1;
    pub(super) const HELD_AFTER_DEATH: i32 = 2;
    pub(super) const STOLEN: i32 = 3;
    pub(super) const NOTIFIED: i32 = 4;
    pub(super) const TIMED_OUT: i32 = 5;
    pub(super) const NOT_EQUAL: i32 = 6;
}

/// How long `notify` waits for a table that another process changes just now. Longer: that process is stopped.
const NOTIFY_PATIENCE: Duration = Duration::from_secs(1);

/// Bits of `flags`.
const IF_AVAILABLE: u32 = 1;
const STEAL: u32 = 2;

/// A request, for lists.
#[napi(object, object_from_js = false)]
pub(crate) struct LockEntry {
    pub name: String,
    /// 1 exclusive, 2 shared, 3 permits, 4 a wait
    pub mode: u32,
    pub held: bool,
    pub pid: u32,
    /// Tells the threads of a process apart.
    pub agent: String,
    pub count: u32,
}

/// One thread's requests.
#[napi]
pub(crate) struct LockAgent {
    agent: Weak<Agent>,
}

#[napi]
impl LockAgent {
    /// `on_event` gets the request's number and an answer.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        #[napi(ts_arg_type = "(request: number, answer: number) => void")] on_event: Function<'_, (), ()>,
    ) -> std::result::Result<Self, Error<Code>> {
        let table = Table::shared().map_err(open_error)?;
        let other = |error: Error| Error::new(error.status.into(), error.reason.clone());
        let state = EnvState::of(&env).map_err(other)?;
        let on_event = Callback::new(&env, &on_event, "INTERPROCLOCK").map_err(other)?;
        let sink = move |request: u32, event| {
            on_event.call(&[Arg::Number(f64::from(request)), Arg::Int(event_code(&event))]);
        };
        let agent = Agent::start(state.reactor(), table, Box::new(sink)).map_err(|error| other(from_io(error)))?;
        Ok(Self { agent })
    }

    /// Asks. `timeout` in milliseconds blocks the thread: negative without an end. `None`: events follow.
    ///
    /// What blocks may answer WAITING after 100 ms: it is to be gone on with by `block` at once.
    #[napi(catch_unwind)]
    pub fn request(
        &self,
        request: u32,
        name: String,
        mode: u32,
        flags: u32,
        count: u32,
        limit: u32,
        timeout: Option<f64>,
    ) -> i32 {
        let mode = match mode {
            1 => Mode::Exclusive,
            2 => Mode::Shared,
            _ => Mode::Permits,
        };
        let (if_available, steal) = (flags & IF_AVAILABLE != 0, flags & STEAL != 0);
        let ask = Ask { mode, count, limit, agent: 0, if_available, steal };
        let what = What::Lock { name: name.into_bytes(), ask };
        self.with(|agent| match timeout {
            None => agent.request(request, what, None),
            Some(timeout) => agent.block(request, what, deadline(timeout)),
        })
    }

    /// Waits for a notification of the word at `offset`, if it is (`low`, `high`). `timeout` in milliseconds, negative without an end.
    #[napi(catch_unwind)]
    pub fn wait(
        &self,
        request: u32,
        segment: &SharedSegment,
        offset: f64,
        low: u32,
        high: Option<u32>,
        timeout: f64,
        block: bool,
    ) -> i32 {
        let Some(segment) = segment.segment().cloned() else { return -libc::EBADF };
        let expected = u64::from(low) | u64::from(high.unwrap_or(0)) << 32;
        let word = Word { segment, offset: whole(offset), expected, wide: high.is_some() };
        self.with(|agent| {
            if block {
                return agent.block(request, What::Wait(word), deadline(timeout));
            }
            agent.request(request, What::Wait(word), duration(timeout))
        })
    }

    /// Goes on with what blocks the thread: as `request` and `wait`.
    #[napi(catch_unwind)]
    pub fn block(&self, request: u32) -> i32 {
        self.with(|agent| agent.block_on(request))
    }

    /// Wakes up to `limit` who wait for the word at `offset`: their number.
    #[napi(catch_unwind)]
    pub fn notify(&self, segment: &SharedSegment, offset: f64, limit: u32) -> i32 {
        let Some(segment) = segment.segment().cloned() else { return -libc::EBADF };
        let word = Word { segment, offset: whole(offset), expected: 0, wide: false };
        let Some(agent) = self.agent.upgrade() else { return -libc::EBADF };
        let patience = Patience::Until(Instant::now() + NOTIFY_PATIENCE);
        match agent.table().notify(&word.key(), limit, patience) {
            Some(woken) => i32::try_from(woken).unwrap_or(i32::MAX),
            None => -libc::EBUSY,
        }
    }

    /// Gives back or gives up. `false`: it was stolen before.
    #[napi(catch_unwind)]
    pub fn end(&self, request: u32) -> bool {
        self.agent.upgrade().is_some_and(|agent| agent.end(request))
    }

    /// The same for what was granted, and is not to be handed over.
    #[napi(catch_unwind)]
    pub fn decline(&self, request: u32) -> bool {
        self.agent.upgrade().is_some_and(|agent| agent.decline(request))
    }

    /// Gives up if it still waits. `false`: it was granted before, and the event is on its way.
    #[napi(catch_unwind)]
    pub fn cancel(&self, request: u32) -> bool {
        self.agent.upgrade().is_some_and(|agent| agent.cancel(request))
    }

    /// Whether it is held at the moment.
    #[napi(catch_unwind)]
    pub fn holds(&self, request: u32) -> bool {
        self.agent.upgrade().is_some_and(|agent| agent.holds(request))
    }

    /// All requests of the user, oldest first for each name.
    #[napi(catch_unwind)]
    pub fn list(&self) -> Vec<LockEntry> {
        let Some(agent) = self.agent.upgrade() else { return Vec::new() };
        let entries = agent.table().list().into_iter().map(|entry| LockEntry {
            name: String::from_utf8_lossy(&entry.key).into_owned(),
            mode: u32::from(entry.mode as u8),
            held: entry.held,
            pid: entry.pid,
            agent: format!("{:x}", entry.agent | 1),
            count: entry.count,
        });
        entries.collect()
    }

    fn with(&self, task: impl FnOnce(&Rc<Agent>) -> Outcome) -> i32 {
        self.agent.upgrade().map_or(-libc::EBADF, |agent| outcome_code(&task(&agent)))
    }
}

fn outcome_code(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Held { after_death: false, .. } => answer::HELD,
        Outcome::Held { after_death: true, .. } => answer::HELD_AFTER_DEATH,
        Outcome::Waiting { .. } | Outcome::Busy => answer::WAITING,
        Outcome::NotEqual => answer::NOT_EQUAL,
        Outcome::Unavailable => -libc::EAGAIN,
        Outcome::Stolen => answer::STOLEN,
        Outcome::Full => -libc::ENOSPC,
        Outcome::LimitDiffers(_) => -libc::EINVAL,
    }
}

fn event_code(event: &Event) -> i32 {
    match event {
        Event::Held { after_death: false } => answer::HELD,
        Event::Held { after_death: true } => answer::HELD_AFTER_DEATH,
        Event::Stolen => answer::STOLEN,
        Event::Notified => answer::NOTIFIED,
        Event::TimedOut => answer::TIMED_OUT,
        Event::Failed(outcome) => outcome_code(outcome),
    }
}

fn deadline(timeout: f64) -> Option<Instant> {
    Instant::now().checked_add(duration(timeout)?)
}

/// `None`: without an end.
fn duration(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an offset that JavaScript checked")]
fn whole(offset: f64) -> usize {
    offset as usize
}
