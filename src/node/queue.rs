//! Queues for JavaScript: one [`QueueHandle`] per `Queue` object.
//!
//! Messages cross in batches: out of an *outbox* that JavaScript fills, into a slab whose messages a *table* names. Results
//! are 0 or more, or a negative errno, or [`DAMAGED`]. A handle that was closed answers `-EBADF`.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

mod landing;
mod lent;
mod part;
mod receive;
mod send;
mod table;
mod wait;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::{Env, Error, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::callback::Callback;
use super::chunk::Chunk;
use super::env::{EnvState, errno};
use crate::queue::{Flags, JoinError, New, Watch, Work};
use crate::reactor::TimerId;
use crate::shm::Place;
pub(in crate::node) use landing::Landing;
use lent::Lent;
use part::Shown;
pub(in crate::node) use part::unreadable;
pub(in crate::node) use receive::{integer, rows};
pub(in crate::node) use send::{send_outbox, sent};
pub(in crate::node) use wait::{wake, want};

/// The queue's shared memory is damaged; lib/queue/errors.js has the same number.
pub(in crate::node) const DAMAGED: i32 = -100_001;

/// Bytes that JavaScript fills before it hands them over.
pub(in crate::node) const OUTBOX: usize = 64 * 1024;

/// What a queue holds and did.
#[napi(object, object_from_js = false)]
pub(crate) struct QueueStats {
    pub capacity: f64,
    pub used: f64,
    pub sent: f64,
    pub received: f64,
}

/// One handle of a queue.
#[napi]
pub(crate) struct QueueHandle {
    inner: Rc<Inner>,
    created: bool,
}

struct Inner {
    state: Rc<EnvState>,
    work: RefCell<Option<Work>>,
    outbox: Arc<Chunk>,
    landing: Landing,
    lent: RefCell<Vec<Lent>>,
    on_wake: RefCell<Option<Callback>>,
    watch: Rc<Watch>,
    trimmer: Cell<Option<TimerId>>,
    shown: RefCell<Weak<Shown>>,
    this: Weak<Inner>,
}

/// Which queue to open, and how to make it.
#[napi(object, object_to_js = false)]
pub(crate) struct QueueRequest {
    /// Name or ticket; without it and a path, an anonymous queue is made.
    pub place: Option<String>,
    pub path: Option<String>,
    /// Bytes of a new one; 0: one that is there.
    pub capacity: f64,
    pub persistent: bool,
    pub ack: bool,
    pub codec: u8,
    /// Microseconds that a receiver may look for messages before its loop sleeps.
    pub spin: u32,
}

/// Opens a queue, or makes one where there is none. `on_wake` is called in a turn when there may be messages or room that
/// were waited for.
#[napi(catch_unwind)]
pub(crate) fn open_queue(
    env: Env,
    request: QueueRequest,
    #[napi(ts_arg_type = "() => void")] on_wake: Function<'_, (), ()>,
) -> Result<QueueHandle> {
    let QueueRequest { place, path, capacity, persistent, ack, codec, spin } = request;
    let place = match (place, path) {
        (_, Some(path)) => Place::File(PathBuf::from(path)),
        (Some(text), None) => {
            Place::parse(&text).map_err(|error| Error::from_reason(format!("INVALID_NAME: {error}")))?
        }
        (None, None) => Place::Anonymous,
    };
    let flags = Flags { ack, codec, ..Flags::default() };
    // A ticket means a queue that is there: nothing is created for it.
    let new = (capacity > 0.0 && !matches!(place, Place::Ticket(_))).then(|| New {
        capacity: bytes(capacity),
        persistent,
        flags,
    });
    let (work, created) = Work::join(&place, new).map_err(|error| join_error(&error))?;
    let state = EnvState::of(&env)?;
    let inner = Rc::new_cyclic(|this: &Weak<Inner>| Inner {
        watch: Watch::new(state.reactor(), Weak::<Inner>::clone(this), Duration::from_micros(spin.into())),
        landing: Landing::new(&state),
        state,
        work: RefCell::new(Some(work)),
        outbox: Chunk::new(OUTBOX),
        lent: RefCell::default(),
        on_wake: RefCell::default(),
        trimmer: Cell::default(),
        shown: RefCell::default(),
        this: Weak::clone(this),
    });
    *inner.on_wake.borrow_mut() = Some(Callback::new(&env, &on_wake, "interproc.Queue")?);
    Ok(QueueHandle { inner, created })
}

#[napi]
impl QueueHandle {
    /// What it holds and did.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Option<QueueStats> {
        let work = self.inner.work.borrow();
        let stats = work.as_ref()?.stats();
        Some(QueueStats {
            capacity: number(stats.capacity),
            used: number(stats.used),
            sent: number(stats.sent),
            received: number(stats.received),
        })
    }

    /// Whether this handle made the queue.
    #[napi(getter, catch_unwind)]
    pub fn created(&self) -> bool {
        self.created
    }

    /// Whether messages stay until they are acknowledged.
    #[napi(getter, catch_unwind)]
    pub fn acknowledged(&self) -> bool {
        self.inner.work.borrow().as_ref().is_some_and(|work| work.flags().ack)
    }

    /// What was found in a queue in a file that nobody else had open: messages, dropped places, and their bytes.
    #[napi(getter, catch_unwind)]
    pub fn restored(&self) -> Option<Vec<f64>> {
        let restored = self.inner.work.borrow().as_ref().and_then(Work::restored)?;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53: a queue has 64 GiB at most")]
        let numbers = [restored.messages, restored.dropped, restored.dropped_bytes].map(|number| number as f64);
        Some(numbers.to_vec())
    }

    /// What its creator encodes values with.
    #[napi(getter, catch_unwind)]
    pub fn codec(&self) -> u8 {
        self.inner.work.borrow().as_ref().map_or(0, |work| work.flags().codec)
    }

    /// The user's name for it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Option<String> {
        self.inner.work.borrow().as_ref()?.segment().name().map(str::to_owned)
    }

    /// What opens exactly this queue in another thread or process.
    #[napi(getter, catch_unwind)]
    pub fn ticket(&self) -> Option<String> {
        Some(self.inner.work.borrow().as_ref()?.segment().ticket()?.to_string())
    }

    /// Leaves the queue; what JavaScript has of its memory has length 0 from then on.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        for lent in self.inner.lent.take() {
            lent.detach(self.inner.state.raw());
        }
        self.inner.close();
    }
}

impl Inner {
    fn with(&self, action: impl FnOnce(&mut Work) -> i32) -> i32 {
        self.work.borrow_mut().as_mut().map_or(-libc::EBADF, action)
    }

    fn close(&self) {
        if let Some(timer) = self.trimmer.take() {
            self.state.reactor().clear_timer(timer);
        }
        if let Some(mut work) = self.work.take() {
            self.watch.close(&mut work);
        }
        self.on_wake.take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Not closed: JavaScript forgot it, and with it what it had of the memory, or the thread ends.
        for lent in self.lent.take() {
            // SAFETY: our own reference of an env that is not gone yet, not used again.
            unsafe { sys::napi_delete_reference(self.state.raw(), lent.weak) };
        }
        self.close();
    }
}

pub(in crate::node) fn deadline(timeout: f64) -> Option<Instant> {
    if timeout < 0.0 {
        return None;
    }
    // A century is as good as for ever.
    Instant::now().checked_add(Duration::try_from_secs_f64(timeout / 1000.0).ok()?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript passes a whole number of 0 or more"
)]
pub(in crate::node) fn bytes(count: f64) -> u64 {
    count as u64
}

pub(in crate::node) fn size(count: f64) -> usize {
    usize::try_from(bytes(count)).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "positions and sizes are below 2^53; counts may round")]
pub(in crate::node) fn number(value: u64) -> f64 {
    value as f64
}

pub(in crate::node) fn closed() -> Error {
    Error::from_reason("CLOSED: the queue is closed")
}

pub(in crate::node) fn join_error(error: &JoinError) -> Error {
    use crate::shm::{CreateError, OpenError};
    let code = match error {
        JoinError::Create(CreateError::Io(io)) | JoinError::Open(OpenError::Io(io)) | JoinError::Io(io) => {
            format!("ERRNO {}", errno(io))
        }
        other => other.code().to_owned(),
    };
    Error::from_reason(format!("{code}: {error}"))
}
