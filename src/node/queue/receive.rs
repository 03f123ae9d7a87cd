//! Out of the queue: copied to where messages land, or shown where it is.

use std::ptr;
use std::rc::Rc;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::table::UNCHANGED;
use super::{DAMAGED, Inner, QueueHandle, bytes, closed, deadline, size};
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::env::check;
use crate::queue::{Corrupt, Work};

/// Bytes of messages that are read in place at once, more or less: their senders wait for the end of the lease.
const VIEW: usize = 2 * 1024 * 1024;

#[napi]
impl QueueHandle {
    /// The rows of the last lease, see [`Table`](super::table::Table).
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn table<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.landing.table.rows, env)
    }

    /// The ids of the messages in the table, as doubles.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn ids<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.landing.table.ids, env)
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
        self.inner.landing.memory(env)
    }

    /// Leases up to `most` messages for reading in place; the table's offsets count from the slots. Their number.
    #[napi(catch_unwind, ts_return_type = "(most: number) => number")]
    pub fn viewer<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most]| {
            inner.with(|work| {
                let leased = work.lease(rows(most), VIEW);
                match leased.and_then(|_| work.view(|delivery| inner.landing.table.push(delivery, delivery.offset))) {
                    Ok(()) => inner.landing.table.end(UNCHANGED),
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
                    // Nothing but damaged records.
                    self.landing.unseen();
                }
                count
            }
            Err(Corrupt) => DAMAGED,
        })
    }

    /// Copies the lease to where JavaScript sees it: the number of its messages.
    fn copy(&self, work: &mut Work) -> i32 {
        self.landing.land(work.leased_bytes(), |into, offset| {
            // Fails only for memory that is too short, and it is as long as was asked for.
            let _ = work.copy_new(into, |delivery| self.landing.table.push(delivery, offset + delivery.offset));
        })
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
