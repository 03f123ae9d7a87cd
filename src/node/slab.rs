//! Memory that is read into and that JavaScript sees: one ArrayBuffer, filled from front to back, then the next.
//!
//! A native Buffer per message costs 2 us; a `Buffer` cut in JS out of a shared ArrayBuffer costs 50-70 ns. Small reads
//! share a slab of 64 KiB (as Node's own Buffer pool does), large ones get slabs of up to 1 MiB.
//!
//! The memory is V8's own, not ours lent to it: V8 collects young garbage when it has allocated 32 MB of it itself, but
//! learns of lent memory only in a full collection, with a finalizer each. A stream read at 1 GB/s had 200-2000 MB
//! waiting for that; with V8's own it stays near 80 MB, as in node:net.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use napi::sys;

use super::env::{EnvState, with_scope};

/// The smallest slab.
const SMALL: usize = 64 * 1024;
/// The largest slab; nobody reads more at once.
const LARGE: usize = 1024 * 1024;
/// Less room than this is not worth a read.
const TIGHT: usize = 4 * 1024;

/// The slab of one JS thread.
pub(crate) struct Slab {
    current: RefCell<Option<Current>>,
    renewals: Cell<u64>,
}

struct Current {
    memory: NonNull<u8>,
    size: usize,
    used: usize,
    buffer: sys::napi_ref,
}

impl Current {
    /// Bytes that can still be lent. None once somebody has transferred the ArrayBuffer (`structuredClone`, `postMessage`,
    /// `transfer()`): its memory is another owner's then, and may have been freed.
    fn rest(&self, env: &EnvState) -> usize {
        let mut detached = true;
        with_scope(env.raw(), || {
            let mut value = ptr::null_mut();
            // SAFETY: a live env, and our reference.
            unsafe { sys::napi_get_reference_value(env.raw(), self.buffer, &raw mut value) };
            // SAFETY: a value of the scope that is open; of none it says an error, and `detached` stays.
            unsafe { sys::napi_is_detached_arraybuffer(env.raw(), value, &raw mut detached) };
        });
        if detached { 0 } else { self.size - self.used }
    }
}

impl Slab {
    pub(super) fn new() -> Self {
        Self { current: RefCell::new(None), renewals: Cell::new(0) }
    }

    /// Room to write into, until the next [`Slab::take`]: some 4 KiB at least, `wanted` bytes if one slab holds them. What
    /// is there now is anything: memory that was used before and not cleared. `None` when memory is out.
    pub(crate) fn reserve(&self, env: &EnvState, wanted: usize) -> Option<NonNull<[MaybeUninit<u8>]>> {
        let wanted = wanted.clamp(TIGHT, LARGE);
        let rest = self.current.borrow().as_ref().map_or(0, |current| current.rest(env));
        if rest < wanted {
            self.renew(env, wanted.max(SMALL).next_power_of_two());
        }
        let current = self.current.borrow();
        let current = current.as_ref()?;
        // SAFETY: `used` never exceeds `size`, the length of the allocation.
        let start = unsafe { current.memory.add(current.used) };
        Some(NonNull::slice_from_raw_parts(start.cast(), current.size - current.used))
    }

    /// The first `length` bytes of what was reserved are a message now: the ArrayBuffer, and the offset in it.
    pub(crate) fn take(&self, length: usize) -> (sys::napi_ref, usize) {
        let mut current = self.current.borrow_mut();
        let Some(current) = current.as_mut() else { return (ptr::null_mut(), 0) };
        let offset = current.used;
        assert!(length <= current.size - offset, "more was taken than reserved");
        // Aligned, so that typed arrays can lie over a message.
        current.used = (offset + length).next_multiple_of(8).min(current.size);
        (current.buffer, offset)
    }

    /// Which of all ArrayBuffers that this slab ever had is in use.
    pub(crate) fn number(&self) -> u64 {
        self.renewals.get()
    }

    fn renew(&self, env: &EnvState, size: usize) {
        self.renewals.set(self.renewals.get() + 1);
        let old = self.current.borrow_mut().take();
        if let Some(old) = old {
            // SAFETY: the env lives, and this was our reference to the slab.
            unsafe { sys::napi_delete_reference(env.raw(), old.buffer) };
        }
        if size > SMALL {
            keep_freed_memory();
        }
        env.inside_js(|| {
            *self.current.borrow_mut() = allocate(env.raw(), size);
        });
    }
}

/// Copies into memory that may be uninitialised, of the same length.
pub(super) fn write(memory: &mut [MaybeUninit<u8>], bytes: &[u8]) {
    // SAFETY: of one layout; what is initialised may be seen as if it were not.
    memory.copy_from_slice(unsafe { &*(ptr::from_ref(bytes) as *const [MaybeUninit<u8>]) });
}

/// glibc gives the top of its heap back to the system when 128 KiB of it are free: after each collection of V8 all slabs'
/// pages, which are then faulted in and zeroed again (measured: a third of the time of a bulk read). It adapts to what it
/// sees freed, so it is shown one large block (24 MiB, never touched), and from then on keeps up to twice as much.
fn keep_freed_memory() {
    static SHOWN: std::sync::Once = std::sync::Once::new();
    SHOWN.call_once(|| {
        let mut block = Vec::<u8>::new();
        // Where there is no such memory, it was not kept either.
        let _ = block.try_reserve_exact(24 * LARGE);
        drop(std::hint::black_box(block));
    });
}

/// An ArrayBuffer for one large message (of V8's, for the reason above), and its memory: anything is there now, to be written before JavaScript sees it.
/// `None` when memory is out. To be called inside a call from JavaScript.
pub(crate) fn one_message(raw: sys::napi_env, size: usize) -> Option<(NonNull<[MaybeUninit<u8>]>, sys::napi_value)> {
    keep_freed_memory();
    let (memory, buffer) = owned_by_v8(raw, size)?;
    Some((NonNull::slice_from_raw_parts(memory, size), buffer))
}

fn allocate(raw: sys::napi_env, size: usize) -> Option<Current> {
    let (memory, buffer) = owned_by_v8(raw, size)?;
    keep_here(raw, buffer);
    Some(Current { memory: memory.cast(), size, used: 0, buffer: refer(raw, buffer)? })
}

thread_local! {
    /// By env, what a slab is given to once, so that it cannot be transferred.
    static KEEPERS: RefCell<HashMap<usize, sys::napi_ref>> = RefCell::default();
}

/// From now on `keep` is called with each new slab of this env: it is to make it an ArrayBuffer that cannot be transferred.
pub(super) fn keep_with(raw: sys::napi_env, keep: sys::napi_value) {
    let Some(reference) = refer(raw, keep) else { return };
    if let Some(old) = KEEPERS.with_borrow_mut(|keepers| keepers.insert(raw.addr(), reference)) {
        // SAFETY: a live env, and our own reference, not used again.
        unsafe { sys::napi_delete_reference(raw, old) };
        return;
    }
    // SAFETY: a live env; the hook gets the env's address, which it only compares.
    unsafe { sys::napi_add_env_cleanup_hook(raw, Some(forget_keeper), raw.cast()) };
}

/// The reference ends with its env, whose address another env may have later.
unsafe extern "C" fn forget_keeper(env: *mut c_void) {
    // Else the thread is over already, and what it had.
    let _ = KEEPERS.try_with(|keepers| keepers.borrow_mut().remove(&env.addr()));
}

/// Many messages are in it: who transfers one of them (`postMessage(bytes, [bytes.buffer])`) would empty all others. Node has the same
/// for its Buffer pool.
fn keep_here(raw: sys::napi_env, buffer: sys::napi_value) {
    let Some(reference) = KEEPERS.with_borrow(|keepers| keepers.get(&raw.addr()).copied()) else { return };
    let (mut keep, mut global, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live env, and our reference.
    unsafe { sys::napi_get_reference_value(raw, reference, &raw mut keep) };
    // SAFETY: a live env.
    unsafe { sys::napi_get_global(raw, &raw mut global) };
    // SAFETY: values of the scope that is open; of no function it says an error.
    let status = unsafe { sys::napi_call_function(raw, global, keep, 1, &raw const buffer, &raw mut result) };
    if status == sys::Status::napi_pending_exception {
        // Only when the thread is being ended: nobody transfers anything any more.
        // SAFETY: a live env.
        unsafe { sys::napi_get_and_clear_last_exception(raw, &raw mut result) };
    }
}

/// A Buffer's memory is not zeroed, as in `Buffer.allocUnsafe()`: it is written before anybody is shown it.
fn owned_by_v8(raw: sys::napi_env, size: usize) -> Option<(NonNull<MaybeUninit<u8>>, sys::napi_value)> {
    let (mut memory, mut bytes, mut buffer) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live env, inside a call from JavaScript.
    let status = unsafe { sys::napi_create_buffer(raw, size, &raw mut memory, &raw mut bytes) };
    if status != sys::Status::napi_ok {
        return None;
    }
    let (mut kind, mut length, mut data, mut offset) = (0, 0, ptr::null_mut(), 0);
    // SAFETY: the typed array just made.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            raw,
            bytes,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            &raw mut buffer,
            &raw mut offset,
        )
    };
    // Offsets count from the start of the ArrayBuffer: it must be the Buffer's alone.
    if status != sys::Status::napi_ok || offset != 0 {
        return None;
    }
    Some((NonNull::new(memory.cast())?, buffer))
}

fn refer(raw: sys::napi_env, value: sys::napi_value) -> Option<sys::napi_ref> {
    let mut reference = ptr::null_mut();
    // SAFETY: a value of the open scope.
    let status = unsafe { sys::napi_create_reference(raw, value, 1, &raw mut reference) };
    (status == sys::Status::napi_ok).then_some(reference)
}
