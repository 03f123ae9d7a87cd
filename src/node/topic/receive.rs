//! Out of the topic: copied to where messages land. What was fetched is read: publishers may write over it.

use std::rc::Rc;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::{Inner, Line, TopicHandle};
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::env::errno;
use crate::node::queue::{DAMAGED, bytes, deadline, integer, rows, size, unreadable};
use crate::node::slab::one_message;
use crate::queue::Corrupt;
use crate::topic::Subscription;

#[napi]
impl TopicHandle {
    /// The rows of the last batch, as a queue's lease has them.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn table<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.landing.table.rows, env)
    }

    /// The ids of the messages in the table, as doubles.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn ids<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.landing.table.ids, env)
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
        self.inner.landing.memory(env)
    }

    /// The body of a message that was too large for the ring; once. A copy: whoever published it could still write to its file.
    /// A number: an errno.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn part<'env>(&self, env: &'env Env, id: f64) -> Result<Unknown<'env>> {
        let mut line = self.inner.line.borrow_mut();
        let Some(subscription) = line.as_mut().and_then(Line::subscription) else {
            return integer(env, -libc::EBADF);
        };
        // First, so that the body is still there if memory is out.
        let length = subscription.part_len(bytes(id)).unwrap_or(0);
        let Some((memory, value)) = one_message(env.raw(), length) else { return integer(env, -libc::ENOMEM) };
        match subscription.part(bytes(id)) {
            Ok(part) => {
                // SAFETY: V8's memory, which JavaScript does not see yet.
                part.copy_to(unsafe { &mut *memory.as_ptr() });
            }
            Err(error) => return integer(env, unreadable(&error)),
        }
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
                let refused = subscription.refused();
                subscription.finish();
                if count > 0 {
                    return count;
                }
                // Publishers wrote over all of it just then, or it is a large message that cannot be had now.
                self.landing.unseen();
                if let Some(error) = refused {
                    return errno(&error);
                }
            }
        })
    }

    /// Copies the lease to where JavaScript sees it: the number of its messages.
    fn copy(&self, subscription: &mut Subscription) -> i32 {
        self.landing.land(subscription.leased_bytes(), |into, offset| {
            subscription.copy_new(into, |delivery| self.landing.table.push(delivery, offset + delivery.offset));
        })
    }
}
