//! Shared segments for JavaScript: creating, opening, their memory as an ArrayBuffer, listing and sweeping.
//!
//! Errors carry the room's own code; `lib/shared/errors.js` makes them into what users see.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Error, JsValue, Status, sys};
use napi_derive::napi;

use crate::shm::{self, Create, CreateError, Health, Kind, Open, OpenError, Place, PrivateView, Removal, Segment};

type Result<T> = std::result::Result<T, Error<Code>>;

/// The code of a failed call: the room's word, `E…`, or `ERRNO -13` for another error of the system.
pub(crate) struct Code(String);

impl Code {
    /// A word of another room.
    pub(super) fn from_text(code: &str) -> Self {
        Self(code.to_owned())
    }
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<Status> for Code {
    fn from(status: Status) -> Self {
        Self(status.as_ref().to_owned())
    }
}

/// A segment that this thread has open. Its ArrayBuffer keeps the memory mapped too: closing this alone unmaps nothing.
#[napi]
pub(crate) struct SharedSegment {
    open: Option<Memory>,
}

#[derive(Clone)]
enum Memory {
    Shared(Arc<Segment>),
    ReadOnly(Arc<PrivateView>),
}

/// One segment of this user, for lists.
#[napi(object)]
pub(crate) struct SegmentInfo {
    pub file_name: String,
    pub name: Option<String>,
    pub ticket: Option<String>,
    pub kind: Option<String>,
    pub size: f64,
    pub total: f64,
    pub persistent: bool,
    /// Milliseconds since 1970.
    pub created: f64,
    pub users: Vec<SegmentUser>,
    /// `in use`, `unused`, `orphan`, or what is broken about it.
    pub health: String,
}

/// A process that came and did not leave in order.
#[napi(object)]
pub(crate) struct SegmentUser {
    pub pid: u32,
    pub alive: bool,
    /// Milliseconds since 1970.
    pub since: f64,
}

/// Creates a buffer's segment of `size` bytes; without a name only its ticket finds it.
#[napi(catch_unwind)]
pub(crate) fn create_shared_buffer(name: Option<String>, size: f64, persistent: bool) -> Result<SharedSegment> {
    let place = match name {
        None => Place::Anonymous,
        Some(name) => Place::Name(shm::Name::new(&name).map_err(|error| create_error(error.into()))?),
    };
    let what = Create { kind: Kind::BUFFER, size: whole(size), persistent, params: [0; 8], init: &|_| {} };
    let segment = Segment::create(&place, &what).map_err(create_error)?;
    Ok(SharedSegment { open: Some(Memory::Shared(segment)) })
}

/// Opens a buffer's segment by name or ticket.
#[napi(catch_unwind)]
pub(crate) fn open_shared_buffer(place: String, read_only: bool) -> Result<SharedSegment> {
    let place = Place::parse(&place).map_err(|error| open_error(error.into()))?;
    // Plain bytes: there is nothing half-done that a dead user could leave.
    let what = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
    let segment = Segment::open(&place, &what).map_err(open_error)?;
    let open = if read_only {
        let view = PrivateView::new(segment).map_err(|error| open_error(error.into()))?;
        Memory::ReadOnly(Arc::new(view))
    } else {
        Memory::Shared(segment)
    };
    Ok(SharedSegment { open: Some(open) })
}

#[napi]
#[expect(unreachable_pub, reason = "the macro takes no other methods")]
impl SharedSegment {
    /// The memory as an ArrayBuffer: one per JS thread, segment and mode, so the same one again while it lives. `null` once closed.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | null")]
    pub fn memory<'env>(&self, env: &'env Env) -> Result<Option<Unknown<'env>>> {
        let Some(memory) = &self.open else { return Ok(None) };
        let value = array_buffer(env.raw(), memory)?;
        // SAFETY: a value of this env and of the current scope.
        Ok(Some(unsafe { Unknown::from_raw_unchecked(env.raw(), value) }))
    }

    /// The user's name for it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Option<String> {
        self.segment()?.name().map(str::to_owned)
    }

    /// What opens exactly this segment in another thread or process.
    #[napi(getter, catch_unwind)]
    pub fn ticket(&self) -> Option<String> {
        Some(self.segment()?.ticket()?.to_string())
    }

    /// Whether it stays when the last user leaves.
    #[napi(getter, catch_unwind)]
    pub fn persistent(&self) -> bool {
        self.segment().is_some_and(|segment| segment.persistent())
    }

    /// Bytes of its data.
    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> f64 {
        self.segment().map_or(0.0, |segment| number(segment.region().len() as u64))
    }

    /// How often any process opened it so far.
    #[napi(getter, catch_unwind)]
    pub fn joins(&self) -> f64 {
        self.segment().map_or(0.0, |segment| number(segment.joins()))
    }

    /// A second handle of the same segment, to keep it for a while longer.
    #[napi(catch_unwind)]
    pub fn hold(&self) -> SharedSegment {
        SharedSegment { open: self.open.clone() }
    }

    /// Lets go, and detaches the ArrayBuffer if one is given: every view of it has length 0 from then on. Unmaps at once unless
    /// another handle or JS thread has the segment.
    #[napi(catch_unwind)]
    pub fn close(&mut self, env: &Env, #[napi(ts_arg_type = "ArrayBuffer")] bytes: Option<Unknown<'_>>) -> Result<()> {
        let Some(memory) = self.open.take() else { return Ok(()) };
        match bytes {
            Some(bytes) => detach(env.raw(), bytes.raw(), &memory),
            None => Ok(()),
        }
    }

    /// A handle for another room's segment.
    pub(super) fn of(segment: &Arc<Segment>) -> Self {
        Self { open: Some(Memory::Shared(Arc::clone(segment))) }
    }

    /// What it is a handle of; `None` once closed.
    pub(super) fn segment(&self) -> Option<&Arc<Segment>> {
        match self.open.as_ref()? {
            Memory::Shared(segment) => Some(segment),
            Memory::ReadOnly(view) => Some(view.segment()),
        }
    }
}

/// All segments of this user.
#[napi(catch_unwind)]
pub(crate) fn list_segments() -> Result<Vec<SegmentInfo>> {
    let infos = shm::list().map_err(|error| open_error(error.into()))?;
    Ok(infos.into_iter().map(describe).collect())
}

/// Removes what the dead left; gives what it removed.
#[napi(catch_unwind)]
pub(crate) fn cleanup_segments() -> Result<Vec<SegmentInfo>> {
    let failed = |error: std::io::Error| open_error(error.into());
    let removed = shm::cleanup().map_err(failed)?;
    // What stood beside queues that are gone.
    shm::folder().and_then(|folder| crate::queue::sweep(&folder)).map_err(failed)?;
    Ok(removed.into_iter().map(describe).collect())
}

/// Removes one segment by name or ticket. `false`: it is in use, and `force` is not set.
#[napi(catch_unwind)]
pub(crate) fn remove_segment(place: String, force: bool) -> Result<bool> {
    let place = Place::parse(&place).map_err(|error| open_error(error.into()))?;
    let removal = shm::remove(&place, force).map_err(open_error)?;
    Ok(removal == Removal::Removed)
}

/// An ArrayBuffer that JavaScript may still have.
struct Known {
    /// Tells an ArrayBuffer from its successor of the same key.
    number: u64,
    weak: sys::napi_ref,
    /// Lives until `release`, which takes this entry away.
    backing: *mut Backing,
}

/// The env, the segment's id, and whether it is the private view.
type Key = (usize, u128, bool);

thread_local! {
    static KNOWN: RefCell<HashMap<Key, Known>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// What the ArrayBuffer owns.
struct Backing {
    key: Key,
    number: u64,
    /// `None` once detached: nothing reaches the bytes any more.
    memory: Option<Memory>,
}

/// Two ArrayBuffers of one mapping would work, but each counts in full for the garbage collector.
fn array_buffer(env: sys::napi_env, memory: &Memory) -> Result<sys::napi_value> {
    let (start, len) = match memory {
        Memory::Shared(segment) => (segment.region().as_ptr(), segment.region().len()),
        Memory::ReadOnly(view) => (view.as_ptr(), view.len()),
    };
    let key = key_of(env, memory);
    if let Some(value) = known_array_buffer(env, key)? {
        return Ok(value);
    }
    let number = NEXT.get();
    NEXT.set(number + 1);
    let hint = Box::into_raw(Box::new(Backing { key, number, memory: Some(memory.clone()) }));
    let mut value = ptr::null_mut();
    // SAFETY: the bytes stay mapped until `release` drops the hint, which V8 calls once when nothing refers to them.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(env, start.cast(), len, Some(release), hint.cast(), &raw mut value)
    };
    if status != sys::Status::napi_ok {
        // SAFETY: refused, so nobody else has the hint; the finalizer is not called then.
        drop(unsafe { Box::from_raw(hint) });
        return Err(refused(status));
    }
    let mut weak = ptr::null_mut();
    // SAFETY: the env that called us, and its value; a count of 0 makes the reference weak.
    ok(unsafe { sys::napi_create_reference(env, value, 0, &raw mut weak) })?;
    if let Some(old) = KNOWN.with_borrow_mut(|known| known.insert(key, Known { number, weak, backing: hint })) {
        // SAFETY: our own reference of this env, not used again.
        ok(unsafe { sys::napi_delete_reference(env, old.weak) })?;
    }
    Ok(value)
}

/// Detaches the ArrayBuffer of `memory`. One that was transferred away is left alone: its bytes live elsewhere in JavaScript.
fn detach(env: sys::napi_env, bytes: sys::napi_value, memory: &Memory) -> Result<()> {
    let key = key_of(env, memory);
    let Some(value) = known_array_buffer(env, key)? else { return Ok(()) };
    let mut same = false;
    // SAFETY: the env that called us, and two of its values.
    ok(unsafe { sys::napi_strict_equals(env, value, bytes, &raw mut same) })?;
    if !same {
        return Ok(());
    }
    // SAFETY: an ArrayBuffer of this env.
    ok(unsafe { sys::napi_detach_arraybuffer(env, value) })?;
    let Some(known) = KNOWN.with_borrow_mut(|known| known.remove(&key)) else { return Ok(()) };
    // SAFETY: `release` has not run for it yet: that would have removed the entry, on this same thread.
    let unreachable = unsafe { &mut *known.backing }.memory.take();
    // SAFETY: our own reference of this env, not used again.
    ok(unsafe { sys::napi_delete_reference(env, known.weak) })?;
    drop(unreachable);
    Ok(())
}

fn key_of(env: sys::napi_env, memory: &Memory) -> Key {
    match memory {
        Memory::Shared(segment) => (env.addr(), segment.id(), false),
        Memory::ReadOnly(view) => (env.addr(), view.segment().id(), true),
    }
}

fn known_array_buffer(env: sys::napi_env, key: Key) -> Result<Option<sys::napi_value>> {
    let Some(weak) = KNOWN.with_borrow(|known| known.get(&key).map(|known| known.weak)) else {
        return Ok(None);
    };
    let mut value = ptr::null_mut();
    // SAFETY: a reference of this env that nobody has deleted: that goes with its removal from the list.
    ok(unsafe { sys::napi_get_reference_value(env, weak, &raw mut value) })?;
    if value.is_null() {
        return Ok(None);
    }
    let mut detached = false;
    // SAFETY: an ArrayBuffer of this env.
    ok(unsafe { sys::napi_is_detached_arraybuffer(env, value, &raw mut detached) })?;
    Ok((!detached).then_some(value))
}

/// Nothing refers to the memory any more. On the env's thread, maybe while the env ends.
extern "C" fn release(env: sys::napi_env, _start: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint of `array_buffer`, given once.
    let backing = unsafe { Box::from_raw(hint.cast::<Backing>()) };
    // The list is gone already when the thread is ending.
    let _ = KNOWN.try_with(|known| {
        let mut known = known.borrow_mut();
        if known.get(&backing.key).is_some_and(|known| known.number == backing.number)
            && let Some(Known { weak, .. }) = known.remove(&backing.key)
        {
            // SAFETY: our own reference of this env, not used again. It can only fail for an env that is gone.
            let _ = unsafe { sys::napi_delete_reference(env, weak) };
        }
    });
}

fn refused(status: sys::napi_status) -> Error<Code> {
    if status == sys::Status::napi_no_external_buffers_allowed {
        let why = "this runtime allows no memory that it does not own (Electron's V8 sandbox)";
        return Error::new(Code("NO_EXTERNAL_BUFFERS".into()), why.to_owned());
    }
    let status = Status::from(status);
    Error::new(status.into(), "the ArrayBuffer could not be made".to_owned())
}

fn ok(status: sys::napi_status) -> Result<()> {
    match status {
        sys::Status::napi_ok => Ok(()),
        other => Err(Error::new(Status::from(other).into(), "Node-API refused the call".to_owned())),
    }
}

pub(super) fn create_error(error: CreateError) -> Error<Code> {
    match &error {
        CreateError::Io(io) => system_error(io, &error),
        _ => Error::new(Code(error.code().to_owned()), error.to_string()),
    }
}

pub(super) fn open_error(error: OpenError) -> Error<Code> {
    match &error {
        OpenError::Io(io) => system_error(io, &error),
        _ => Error::new(Code(error.code().to_owned()), error.to_string()),
    }
}

fn system_error(io: &std::io::Error, error: &dyn std::fmt::Display) -> Error<Code> {
    let code = io.raw_os_error().map_or_else(|| "IO".to_owned(), |errno| format!("ERRNO {}", -errno));
    Error::new(Code(code), error.to_string())
}

fn describe(info: shm::Info) -> SegmentInfo {
    SegmentInfo {
        file_name: info.file_name,
        name: info.name,
        ticket: info.ticket.map(|ticket| ticket.to_string()),
        kind: info.kind.map(|kind| kind.to_string()),
        size: number(info.size),
        total: number(info.total),
        persistent: info.persistent,
        created: number(info.created),
        users: info
            .users
            .into_iter()
            .map(|user| SegmentUser { pid: user.pid, alive: user.alive, since: number(user.since) })
            .collect(),
        health: match info.health {
            Health::InUse => "in use".into(),
            Health::Unused => "unused".into(),
            Health::Orphan => "orphan".into(),
            Health::Broken(why) => why,
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes and times below 2^53; a damaged file's may round")]
fn number(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "JavaScript checked: a safe integer from 0"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
