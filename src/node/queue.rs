//! Queues for JavaScript: one [`QueueHandle`] per `Queue` object.
//!
//! Messages cross in batches: out of an *outbox* that JavaScript fills, into a slab whose messages a *table* names. Results
//! are 0 or more, or a negative errno, or [`DAMAGED`]. A handle that was closed answers `-EBADF`.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::{Env, Error, JsValue, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::callback::Callback;
use super::chunk::{Chunk, external};
use super::env::{EnvState, check, errno};
use crate::queue::{Corrupt, Delivery, Flags, JoinError, New, Part, SLICE, SendError, Sent, Work};
use crate::reactor::{Hold, Interest, Readiness, Source, TimerId, Token};
use crate::shm::{Place, Segment};

/// The queue's shared memory is damaged; lib/queue/handle.js has the same number.
const DAMAGED: i32 = -100_001;

/// Messages in the table, at most: a lease ends at 1024, or up to one record later.
const ROWS: usize = 1024 + 64;
/// Words of a row: offset, length, tag, 1 if it was delivered before.
const ROW: usize = 4;
/// Bytes that JavaScript fills before it hands them over.
const OUTBOX: usize = 64 * 1024;
/// What one slab holds; a larger message gets memory of its own.
const SLAB: usize = 1024 * 1024;

/// What is waited for.
const MESSAGES: u8 = 1;
const ROOM: u8 = 2;

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
    table: Table,
    lent: RefCell<Vec<Lent>>,
    on_wake: RefCell<Option<Callback>>,
    token: Cell<Option<Token>>,
    timer: Cell<Option<TimerId>>,
    hold: Hold,
    armed: Cell<u8>,
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
}

/// Opens a queue, or makes one where there is none. `on_wake` is called in a turn when there may be messages or room that
/// were waited for.
#[napi(catch_unwind)]
pub(crate) fn open_queue(
    env: Env,
    request: QueueRequest,
    #[napi(ts_arg_type = "() => void")] on_wake: Function<'_, (), ()>,
) -> Result<QueueHandle> {
    let QueueRequest { place, path, capacity, persistent, ack, codec } = request;
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
    let inner = Rc::new_cyclic(|this| Inner {
        hold: Hold::new(state.reactor()),
        state,
        work: RefCell::new(Some(work)),
        outbox: Chunk::new(OUTBOX),
        table: Table::new(),
        lent: RefCell::default(),
        on_wake: RefCell::default(),
        token: Cell::default(),
        timer: Cell::default(),
        armed: Cell::default(),
        this: Weak::clone(this),
    });
    *inner.on_wake.borrow_mut() = Some(Callback::new(&env, &on_wake, "interproc.Queue")?);
    Ok(QueueHandle { inner, created })
}

#[napi]
impl QueueHandle {
    /// Where JavaScript puts messages in wire form for [`QueueHandle::send`].
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn outbox<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.outbox, env)
    }

    /// The rows of the last lease: the first holds the number of the others.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn table<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.table.rows, env)
    }

    /// The ids of the messages in the table, as doubles.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn ids<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.table.ids, env)
    }

    /// Where JavaScript writes how many messages of the lease the application has, in case the process is killed.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn mark<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let work = self.inner.work.borrow();
        let work = work.as_ref().ok_or_else(closed)?;
        self.inner.lend(env, ptr::from_ref(work.mark()).cast_mut().cast(), 4, work)
    }

    /// The queue's slots, for reading in place.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn slots<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let work = self.inner.work.borrow();
        let work = work.as_ref().ok_or_else(closed)?;
        let (start, length) = work.slots();
        self.inner.lend(env, start, length, work)
    }

    /// Sends what is in the outbox: the bytes that went in.
    #[napi(catch_unwind)]
    pub fn send(&self, length: u32) -> i32 {
        self.with(|work| {
            // SAFETY: JavaScript does not run meanwhile, and no other thread has the outbox.
            let outbox = unsafe { self.inner.outbox.bytes() };
            let wire = outbox.get(..length as usize).ok_or(Corrupt);
            match wire.and_then(|wire| work.send_batch(wire)) {
                Ok((taken, _)) => i32::try_from(taken).unwrap_or(i32::MAX),
                Err(Corrupt) => DAMAGED,
            }
        })
    }

    /// Sends one message of any size: 1, or 0 if the queue is full.
    #[napi(catch_unwind)]
    pub fn send_one(&self, tag: u8, body: &[u8]) -> i32 {
        self.with(|work| sent(work.send_any(tag, body)))
    }

    /// The same, waiting for room at most `timeout` milliseconds (negative: for ever). Blocks the thread.
    #[napi(catch_unwind)]
    pub fn send_sync(&self, tag: u8, body: &[u8], timeout: f64) -> i32 {
        self.with(|work| sent(work.send_blocking(tag, body, deadline(timeout))))
    }

    /// Bytes that a message in the outbox may have.
    #[napi(getter, catch_unwind)]
    pub fn max_message(&self) -> u32 {
        let work = self.inner.work.borrow();
        let most = work.as_ref().map_or(0, Work::max_message).min(OUTBOX - 8);
        u32::try_from(most).unwrap_or(0)
    }

    /// Leases up to `most` messages, or `bytes` of them, and copies them: their ArrayBuffer. 0: there are none.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn fetch<'env>(&self, env: &'env Env, most: u32, bytes: u32) -> Result<Unknown<'env>> {
        self.lease(env, |work| work.lease(rows(most), bytes as usize))
    }

    /// The same, waiting for messages at most `timeout` milliseconds (negative: for ever), for `spin` microseconds of them
    /// without sleeping. Blocks the thread.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn fetch_sync<'env>(
        &self,
        env: &'env Env,
        most: u32,
        bytes: u32,
        timeout: f64,
        spin: u32,
    ) -> Result<Unknown<'env>> {
        let spin = Duration::from_micros(spin.into());
        self.lease(env, |work| work.lease_blocking(rows(most), bytes as usize, deadline(timeout), spin))
    }

    /// Leases up to `most` messages for reading in place; the table's offsets count from the slots. Their number.
    #[napi(catch_unwind)]
    pub fn view(&self, most: u32) -> i32 {
        let table = &self.inner.table;
        self.with(|work| {
            let leased = work.lease(rows(most), usize::MAX);
            match leased.and_then(|_| work.view(|delivery| table.push(delivery, delivery.offset))) {
                Ok(()) => i32::try_from(table.end()).unwrap_or(i32::MAX),
                Err(Corrupt) => DAMAGED,
            }
        })
    }

    /// The body of a message of the lease that was too large for the ring. A number: an errno.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn part<'env>(&self, env: &'env Env, id: f64) -> Result<Unknown<'env>> {
        let part = match self.inner.work.borrow().as_ref() {
            None => return integer(env, -libc::EBADF),
            Some(work) => work.part(bytes(id)),
        };
        match part {
            Ok(part) => {
                let (start, length) = (part.as_ptr(), part.len());
                external(env, start, length, Box::<Part>::new(part))
            }
            Err(error) => integer(env, errno(&error)),
        }
    }

    /// The lease ends; the application has all of it.
    #[napi(catch_unwind)]
    pub fn finish(&self) -> i32 {
        self.with(|work| work.finish().map_or(DAMAGED, |()| 0))
    }

    /// The lease ends; the application has the first `seen` messages of it, the others go back.
    #[napi(catch_unwind)]
    pub fn give_back(&self, seen: u32) -> i32 {
        self.with(|work| work.give_back(seen).map_or(DAMAGED, |()| 0))
    }

    /// A message is dealt with. 0: this handle does not have it.
    #[napi(catch_unwind)]
    pub fn ack(&self, id: f64) -> i32 {
        self.with(|work| work.ack(bytes(id)).map_or(DAMAGED, i32::from))
    }

    /// A message goes back to the queue. 0: this handle does not have it.
    #[napi(catch_unwind)]
    pub fn release(&self, id: f64) -> i32 {
        self.with(|work| work.release(bytes(id)).map_or(DAMAGED, i32::from))
    }

    /// From now on `on_wake` is called once there are messages (or `room`). Look once more after this.
    #[napi(catch_unwind)]
    pub fn arm(&self, room: bool) -> i32 {
        if let Err(error) = self.inner.listen() {
            return errno(&error);
        }
        let what = if room { ROOM } else { MESSAGES };
        self.inner.armed.set(self.inner.armed.get() | what);
        self.inner.start_timer();
        self.with(|work| {
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
        self.with(|work| {
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

    fn with(&self, action: impl FnOnce(&mut Work) -> i32) -> i32 {
        self.inner.work.borrow_mut().as_mut().map_or(-libc::EBADF, action)
    }

    fn lease<'env>(
        &self,
        env: &'env Env,
        lease: impl FnOnce(&mut Work) -> std::result::Result<u32, Corrupt>,
    ) -> Result<Unknown<'env>> {
        let mut work = self.inner.work.borrow_mut();
        let Some(work) = work.as_mut() else { return integer(env, -libc::EBADF) };
        match lease(work) {
            Err(Corrupt) => return integer(env, DAMAGED),
            Ok(0) => return integer(env, 0),
            Ok(_) => {}
        }
        let wanted = work.leased_bytes();
        if wanted > SLAB {
            let chunk = Chunk::new(wanted);
            // SAFETY: nobody else has it yet.
            self.copy(work, unsafe { chunk.bytes_mut() }, 0);
            return Chunk::lend(&chunk, env);
        }
        let slab = self.inner.state.slab();
        let Some(memory) = slab.reserve(&self.inner.state, wanted) else {
            return integer(env, -libc::ENOMEM);
        };
        let length = wanted.min(memory.len());
        // SAFETY: reserved for us until it is taken; JavaScript does not look there yet.
        let uninitialised = &mut unsafe { &mut *memory.as_ptr() }[..length];
        // Cleared: of a damaged record's place nothing is written.
        uninitialised.fill(MaybeUninit::new(0));
        // SAFETY: all of it was initialised just now, and it stays reserved.
        let into = unsafe { std::slice::from_raw_parts_mut(memory.cast().as_ptr(), length) };
        let (reference, offset) = slab.take(wanted);
        self.copy(work, into, offset);
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and the slab's reference to its ArrayBuffer.
        check(unsafe { sys::napi_get_reference_value(env.raw(), reference, &raw mut value) })?;
        // SAFETY: a value of this env and of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
    }

    fn copy(&self, work: &mut Work, into: &mut [u8], offset: usize) {
        // Fails only for memory that is too short, and it is as long as was asked for.
        let _ = work.copy(into, |delivery| self.inner.table.push(delivery, offset + delivery.offset));
        self.inner.table.end();
    }
}

/// Memory of the queue that JavaScript sees.
struct Lent {
    weak: sys::napi_ref,
    /// Empty once it is detached: then nothing reaches the memory.
    keeper: Rc<RefCell<Option<Arc<Segment>>>>,
}

impl Lent {
    fn detach(self, raw: sys::napi_env) {
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and our reference.
        unsafe { sys::napi_get_reference_value(raw, self.weak, &raw mut value) };
        if !value.is_null() {
            // SAFETY: an ArrayBuffer of this env. Fails only for one that is detached already.
            unsafe { sys::napi_detach_arraybuffer(raw, value) };
        }
        // SAFETY: our own reference, not used again.
        unsafe { sys::napi_delete_reference(raw, self.weak) };
        self.keeper.take();
    }
}

impl Inner {
    fn lend<'env>(&self, env: &'env Env, start: *mut u8, length: usize, work: &Work) -> Result<Unknown<'env>> {
        let keeper = Rc::new(RefCell::new(Some(Arc::clone(work.segment()))));
        let value = external(env, start, length, Box::new(Rc::clone(&keeper)))?;
        let mut weak = ptr::null_mut();
        // SAFETY: a live env and its value; a count of 0 makes the reference weak.
        check(unsafe { sys::napi_create_reference(env.raw(), value.raw(), 0, &raw mut weak) })?;
        self.lent.borrow_mut().push(Lent { weak, keeper });
        Ok(value)
    }

    /// Registers the bell, at the first call.
    fn listen(&self) -> std::io::Result<()> {
        let mut work = self.work.borrow_mut();
        let Some(work) = work.as_mut().filter(|_| self.token.get().is_none()) else { return Ok(()) };
        let bell = work.bell()?;
        let source = Rc::new(Ear(Weak::clone(&self.this)));
        let fd = std::os::fd::AsFd::as_fd(bell);
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

    fn close(&self) {
        self.armed.set(0);
        self.hold.set(false);
        if let Some(timer) = self.timer.take() {
            self.state.reactor().clear_timer(timer);
        }
        if let (Some(mut work), Some(token)) = (self.work.take(), self.token.take())
            && let Ok(bell) = work.bell()
        {
            self.state.reactor().deregister(token, std::os::fd::AsFd::as_fd(bell));
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

/// What a lease's messages are, for JavaScript.
struct Table {
    rows: Arc<Chunk>,
    ids: Arc<Chunk>,
    count: Cell<usize>,
}

impl Table {
    fn new() -> Self {
        Self { rows: Chunk::new((1 + ROWS) * ROW * 4), ids: Chunk::new(ROWS * 8), count: Cell::default() }
    }

    /// Adds a message whose body is at `offset`; one too many is left out.
    fn push(&self, delivery: &Delivery, offset: usize) {
        let row = self.count.get();
        if row == ROWS {
            return;
        }
        self.count.set(row + 1);
        let words = [offset, delivery.length, delivery.tag.into(), delivery.again.into()];
        for (column, word) in words.into_iter().enumerate() {
            self.rows.put((1 + row) * ROW + column, u32::try_from(word).unwrap_or(u32::MAX));
        }
        self.ids.put(row, number(delivery.id));
    }

    /// Says how many there are, and begins anew at the next push.
    fn end(&self) -> u32 {
        let count = u32::try_from(self.count.take()).unwrap_or(0);
        self.rows.put(0, count);
        count
    }
}

fn integer<'env>(env: &'env Env, number: i32) -> Result<Unknown<'env>> {
    let mut value = ptr::null_mut();
    // SAFETY: a live env.
    check(unsafe { sys::napi_create_int32(env.raw(), number, &raw mut value) })?;
    // SAFETY: a value of this env and of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
}

fn sent(result: std::result::Result<Sent, SendError>) -> i32 {
    match result {
        Ok(Sent::Yes) => 1,
        Ok(Sent::Full) => 0,
        // A name of a part always fits; only a damaged queue is that small.
        Ok(Sent::TooLarge) | Err(SendError::Corrupt(_)) => DAMAGED,
        Err(SendError::Io(error)) => errno(&error),
    }
}

fn rows(most: u32) -> u32 {
    most.clamp(1, 1024)
}

fn deadline(timeout: f64) -> Option<Instant> {
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
fn bytes(count: f64) -> u64 {
    count as u64
}

#[expect(clippy::cast_precision_loss, reason = "positions and sizes are below 2^53; counts may round")]
fn number(value: u64) -> f64 {
    value as f64
}

fn closed() -> Error {
    Error::from_reason("CLOSED: the queue is closed")
}

fn join_error(error: &JoinError) -> Error {
    use crate::shm::{CreateError, OpenError};
    let code = match error {
        JoinError::Create(CreateError::Io(io)) | JoinError::Open(OpenError::Io(io)) | JoinError::Io(io) => {
            format!("ERRNO {}", errno(io))
        }
        other => other.code().to_owned(),
    };
    Error::from_reason(format!("{code}: {error}"))
}
