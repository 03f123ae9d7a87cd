//! Out of the queue: copied into a slab, or shown where it is.

use std::mem::MaybeUninit;
use std::ptr;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::{DAMAGED, QueueHandle, bytes, closed, deadline};
use crate::node::chunk::{Chunk, external};
use crate::node::env::{check, errno};
use crate::node::slab::one_message;
use crate::queue::{Corrupt, Part, Work};

/// What one slab holds; a larger message gets memory of its own.
const SLAB: usize = 1024 * 1024;

#[napi]
impl QueueHandle {
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
}

impl QueueHandle {
    fn lease<'env>(
        &self,
        env: &'env Env,
        lease: impl FnOnce(&mut Work) -> StdResult<u32, Corrupt>,
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
            let Some((memory, value)) = one_message(env.raw(), wanted) else { return integer(env, -libc::ENOMEM) };
            // SAFETY: V8's memory, which JavaScript does not see yet.
            self.copy(work, unsafe { &mut *memory.as_ptr() }, 0);
            // SAFETY: a value of this env and of the current scope.
            return Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) });
        }
        let slab = self.inner.state.slab();
        let Some(memory) = slab.reserve(&self.inner.state, wanted) else {
            return integer(env, -libc::ENOMEM);
        };
        let length = wanted.min(memory.len());
        // SAFETY: reserved for us until it is taken; JavaScript does not look there yet.
        let into = &mut unsafe { &mut *memory.as_ptr() }[..length];
        let (reference, offset) = slab.take(wanted);
        self.copy(work, into, offset);
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and the slab's reference to its ArrayBuffer.
        check(unsafe { sys::napi_get_reference_value(env.raw(), reference, &raw mut value) })?;
        // SAFETY: a value of this env and of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
    }

    fn copy(&self, work: &mut Work, into: &mut [MaybeUninit<u8>], offset: usize) {
        // Fails only for memory that is too short, and it is as long as was asked for.
        let _ = work.copy_new(into, |delivery| self.inner.table.push(delivery, offset + delivery.offset));
        self.inner.table.end();
    }
}

fn integer<'env>(env: &'env Env, number: i32) -> Result<Unknown<'env>> {
    let mut value = ptr::null_mut();
    // SAFETY: a live env.
    check(unsafe { sys::napi_create_int32(env.raw(), number, &raw mut value) })?;
    // SAFETY: a value of this env and of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
}

fn rows(most: u32) -> u32 {
    most.clamp(1, 1024)
}
