//! Out of the topic: copied into a slab. What was fetched is read: publishers may write over it.

use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, Error, bindgen_prelude::*, sys};
use napi_derive::napi;

use super::{Inner, Line, TopicHandle};
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::env::check;
use crate::node::queue::{DAMAGED, OWN, RENEWED, SLAB, UNCHANGED, bytes, deadline, integer, rows, size, unreadable};
use crate::node::slab::one_message;
use crate::queue::Corrupt;
use crate::topic::Subscription;

#[napi]
impl TopicHandle {
    /// The rows of the last batch, as a queue's lease has them.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn table<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.table.rows, env)
    }

    /// The ids of the messages in the table, as doubles.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn ids<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.table.ids, env)
    }

    /// Takes up to `most` messages, or `bytes` of them, and copies them to [`TopicHandle::memory`]: their number.
    #[napi(catch_unwind, ts_return_type = "(most: number, bytes: number) => number")]
    pub fn fetcher<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most, bytes]| inner.fetch(|own| own.lease(rows(most), size(bytes))))
    }

    /// The same, waiting for messages at most `timeout` milliseconds (negative: for ever), for `spin` microseconds of them
    /// without sleeping. Blocks the thread.
    #[napi(catch_unwind, ts_return_type = "(most: number, bytes: number, timeout: number, spin: number) => number")]
    pub fn blocking_fetcher<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[most, count, timeout, spin]| {
            let (deadline, spin) = (deadline(timeout), Duration::from_micros(bytes(spin)));
            inner.fetch(|own| own.lease_blocking(rows(most), size(count), deadline, spin))
        })
    }

    /// Where the messages of the last batch are, to be asked once when the table says that it is another ArrayBuffer.
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

    /// The body of a message that was too large for the ring; once. A copy: whoever published it could still write to its file.
    /// A number: an errno.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn part<'env>(&self, env: &'env Env, id: f64) -> Result<Unknown<'env>> {
        let part = match self.inner.line.borrow_mut().as_mut().and_then(Line::subscription) {
            None => return integer(env, -libc::EBADF),
            Some(subscription) => subscription.part(bytes(id)),
        };
        let part = match part {
            Ok(part) => part,
            Err(error) => return integer(env, unreadable(&error)),
        };
        let Some((memory, value)) = one_message(env.raw(), part.len()) else { return integer(env, -libc::ENOMEM) };
        // SAFETY: the part has so many bytes, and so has V8's memory, which JavaScript does not see yet.
        unsafe { memory.as_ptr().cast::<u8>().copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        // SAFETY: a value of this env and of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
    }
}

impl Inner {
    fn fetch(&self, mut lease: impl FnMut(&mut Subscription) -> StdResult<u32, Corrupt>) -> i32 {
        self.with(|line| {
            let Some(subscription) = line.subscription() else { return -libc::EBADF };
            loop {
                // One is left where memory was out.
                match if subscription.leased_bytes() > 0 { Ok(1) } else { lease(subscription) } {
                    Ok(0) => return 0,
                    Ok(_) => {}
                    Err(Corrupt) => return DAMAGED,
                }
                let count = self.copy(subscription);
                if count < 0 {
                    return count;
                }
                subscription.finish();
                if count > 0 {
                    return count;
                }
                // Publishers wrote over all of it just then. JavaScript does not look where it was.
                self.slab.set(0);
            }
        })
    }

    /// Copies the lease to where JavaScript sees it: the number of its messages.
    fn copy(&self, subscription: &mut Subscription) -> i32 {
        let wanted = subscription.leased_bytes();
        if wanted > SLAB {
            let Some((memory, value)) = one_message(self.state.raw(), wanted) else { return -libc::ENOMEM };
            // SAFETY: V8's memory, which JavaScript does not see yet.
            self.copy_to(subscription, unsafe { &mut *memory.as_ptr() }, 0);
            return self.shown(OWN, value);
        }
        let slab = self.state.slab();
        let Some(memory) = slab.reserve(&self.state, wanted) else { return -libc::ENOMEM };
        let length = wanted.min(memory.len());
        // SAFETY: reserved for us until it is taken; JavaScript does not look there yet.
        let into = &mut unsafe { &mut *memory.as_ptr() }[..length];
        let (reference, offset) = slab.take(wanted);
        self.copy_to(subscription, into, offset);
        if self.slab.replace(slab.number()) == slab.number() {
            return self.table.end(UNCHANGED);
        }
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and the reference that the slab has.
        unsafe { sys::napi_get_reference_value(self.state.raw(), reference, &raw mut value) };
        self.shown(RENEWED, value)
    }

    fn copy_to(&self, subscription: &mut Subscription, into: &mut [MaybeUninit<u8>], offset: usize) {
        subscription.copy_new(into, |delivery| self.table.push(delivery, offset + delivery.offset));
    }

    /// The batch is in another ArrayBuffer than before, which JavaScript will ask for.
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
