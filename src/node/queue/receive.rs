//! Out of the queue: copied into a slab, or shown where it is.

use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::table::{OWN, RENEWED, UNCHANGED};
use super::{DAMAGED, Inner, QueueHandle, bytes, closed, deadline, size};
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::env::check;
use crate::node::slab::one_message;
use crate::queue::{Corrupt, Work};

/// What one slab holds; a larger message gets memory of its own.
pub(in crate::node) const SLAB: usize = 1024 * 1024;
/// Bytes of messages that are read in place at once, more or less: their senders wait for the end of the lease.
const VIEW: usize = 2 * 1024 * 1024;

#[napi]
impl QueueHandle {
    /// The rows of the last lease, see [`Table`](super::table::Table).
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

    /// Leases up to `most` messages, or `bytes` of them, and copies them to [`QueueHandle::memory`]: their number.
    #[napi(catch_unwind, ts_return_type = "(most: number, bytes: number) => number")]
    pub fn fetcher<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most, bytes]| inner.fetch(|work| work.lease(rows(most), size(bytes))))
    }

    /// The same, waiting for messages at most `timeout` milliseconds (negative: for ever), for `spin` microseconds of them
    /// without sleeping. Blocks the thread.
    #[napi(catch_unwind, ts_return_type = "(most: number, bytes: number, timeout: number, spin: number) => number")]
    pub fn blocking_fetcher<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most, bytes, timeout, spin]| {
            let spin = Duration::from_micros(super::bytes(spin));
            inner.fetch(|work| work.lease_blocking(rows(most), size(bytes), deadline(timeout), spin))
        })
    }

    /// Where the messages of the last lease are, to be asked once when the table says that it is another ArrayBuffer.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn memory<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let reference = self.inner.memory.replace(ptr::null_mut());
        let mut value = ptr::null_mut();
        if !reference.is_null() {
            // SAFETY: a live env, and our reference.
            check(unsafe { sys::napi_get_reference_value(env.raw(), reference, &raw mut value) })?;
            self.inner.forget(reference);
        }
        if value.is_null() {
            return Err(Error::from_reason("NO_MEMORY: the table does not say that there is another"));
        }
        // SAFETY: a value of this env and of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
    }

    /// Leases up to `most` messages for reading in place; the table's offsets count from the slots. Their number.
    #[napi(catch_unwind, ts_return_type = "(most: number) => number")]
    pub fn viewer<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most]| {
            inner.with(|work| {
                let leased = work.lease(rows(most), VIEW);
                match leased.and_then(|_| work.view(|delivery| inner.table.push(delivery, delivery.offset))) {
                    Ok(()) => inner.table.end(UNCHANGED),
                    Err(Corrupt) => DAMAGED,
                }
            })
        })
    }

    /// Is there something to lease? 1 or 0.
    #[napi(catch_unwind, ts_return_type = "() => number")]
    pub fn looker<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[]: [f64; 0]| inner.with(|work| i32::from(work.ready())))
    }

    /// The lease ends; the application has the first `seen` messages of it, the others go back.
    #[napi(catch_unwind, ts_return_type = "(seen: number) => number")]
    pub fn settler<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[seen]| inner.with(|work| work.give_back(count(seen)).map_or(DAMAGED, |()| 0)))
    }

    /// Says of a message that it is dealt with. 0: this handle does not have it.
    #[napi(catch_unwind, ts_return_type = "(id: number) => number")]
    pub fn acker<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[id]| inner.with(|work| work.ack(bytes(id)).map_or(DAMAGED, i32::from)))
    }

    /// Gives a message back to the queue. 0: this handle does not have it.
    #[napi(catch_unwind, ts_return_type = "(id: number) => number")]
    pub fn releaser<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[id]| inner.with(|work| work.release(bytes(id)).map_or(DAMAGED, i32::from)))
    }
}

impl Inner {
    fn fetch(&self, lease: impl FnOnce(&mut Work) -> StdResult<u32, Corrupt>) -> i32 {
        self.with(|work| match lease(work) {
            Ok(0) => 0,
            Ok(_) => {
                let count = self.copy(work);
                if count == 0 {
                    // Nothing but damaged records: JavaScript does not look where they are.
                    self.slab.set(0);
                }
                count
            }
            Err(Corrupt) => DAMAGED,
        })
    }

    /// Copies the lease to where JavaScript sees it: the number of its messages.
    fn copy(&self, work: &mut Work) -> i32 {
        let wanted = work.leased_bytes();
        if wanted > SLAB {
            let Some((memory, value)) = one_message(self.state.raw(), wanted) else { return -libc::ENOMEM };
            // SAFETY: V8's memory, which JavaScript does not see yet.
            self.copy_to(work, unsafe { &mut *memory.as_ptr() }, 0);
            return self.shown(OWN, value);
        }
        let slab = self.state.slab();
        let Some(memory) = slab.reserve(&self.state, wanted) else { return -libc::ENOMEM };
        let length = wanted.min(memory.len());
        // SAFETY: reserved for us until it is taken; JavaScript does not look there yet.
        let into = &mut unsafe { &mut *memory.as_ptr() }[..length];
        let (reference, offset) = slab.take(wanted);
        self.copy_to(work, into, offset);
        if self.slab.replace(slab.number()) == slab.number() {
            return self.table.end(UNCHANGED);
        }
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and the reference that the slab has.
        unsafe { sys::napi_get_reference_value(self.state.raw(), reference, &raw mut value) };
        self.shown(RENEWED, value)
    }

    fn copy_to(&self, work: &mut Work, into: &mut [MaybeUninit<u8>], offset: usize) {
        // Fails only for memory that is too short, and it is as long as was asked for.
        let _ = work.copy_new(into, |delivery| self.table.push(delivery, offset + delivery.offset));
    }

    /// The lease is in another ArrayBuffer than before, which JavaScript will ask for.
    fn shown(&self, which: u32, memory: sys::napi_value) -> i32 {
        let mut reference = ptr::null_mut();
        // SAFETY: a live env, and a value of the scope of this call.
        unsafe { sys::napi_create_reference(self.state.raw(), memory, 1, &raw mut reference) };
        self.forget(self.memory.replace(reference));
        self.table.end(which)
    }

    pub(super) fn forget(&self, reference: sys::napi_ref) {
        if !reference.is_null() {
            // SAFETY: our own reference, not used again.
            unsafe { sys::napi_delete_reference(self.state.raw(), reference) };
        }
    }
}

pub(in crate::node) fn integer<'env>(env: &'env Env, number: i32) -> Result<Unknown<'env>> {
    let mut value = ptr::null_mut();
    // SAFETY: a live env.
    check(unsafe { sys::napi_create_int32(env.raw(), number, &raw mut value) })?;
    // SAFETY: a value of this env and of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
}

pub(in crate::node) fn rows(most: f64) -> u32 {
    count(most).clamp(1, 1024)
}

fn count(count: f64) -> u32 {
    u32::try_from(bytes(count)).unwrap_or(u32::MAX)
}
