//! Out of the outbox, into the queue.

use std::rc::Rc;
use std::result::Result as StdResult;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::{DAMAGED, OUTBOX, QueueHandle, deadline, size};
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::env::errno;
use crate::queue::{Corrupt, SendError, Sent, Work};

#[napi]
impl QueueHandle {
    /// Where JavaScript puts messages in wire form for [`QueueHandle::sender`].
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn outbox<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.outbox, env)
    }

    /// Sends what is in the outbox: a function of its bytes, that gives those that went in.
    #[napi(catch_unwind, ts_return_type = "(length: number) => number")]
    pub fn sender<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[length]| {
            inner.with(|work| send_outbox(&inner.outbox, length, |wire| work.send_batch(wire)))
        })
    }

    /// Sends one message of any size: 1, or 0 if the queue is full.
    #[napi(catch_unwind)]
    pub fn send_one(&self, tag: u8, body: &[u8]) -> i32 {
        self.inner.with(|work| {
            if body.len() > work.max_message() {
                self.inner.start_trimming();
            }
            sent(work.send_any(tag, body))
        })
    }

    /// The same, waiting for room at most `timeout` milliseconds (negative: for ever), for `spin` microseconds of them without
    /// sleeping. Blocks the thread.
    #[napi(catch_unwind)]
    pub fn send_sync(&self, tag: u8, body: &[u8], timeout: f64, spin: u32) -> i32 {
        let spin = Duration::from_micros(spin.into());
        self.inner.with(|work| sent(work.send_spinning(tag, body, deadline(timeout), spin)))
    }

    /// Bytes that a message in the outbox may have.
    #[napi(getter, catch_unwind)]
    pub fn max_message(&self) -> u32 {
        let work = self.inner.work.borrow();
        let most = work.as_ref().map_or(0, Work::max_message).min(OUTBOX - 8);
        u32::try_from(most).unwrap_or(0)
    }
}

/// Sends the first `length` bytes of the outbox: how many of them went in, or [`DAMAGED`].
pub(in crate::node) fn send_outbox<N>(
    outbox: &Chunk,
    length: f64,
    send: impl FnOnce(&[u8]) -> StdResult<(usize, N), Corrupt>,
) -> i32 {
    // SAFETY: JavaScript does not run meanwhile, and no other thread has the outbox.
    let wire = unsafe { outbox.bytes() }.get(..size(length)).ok_or(Corrupt);
    match wire.and_then(send) {
        Ok((taken, _)) => i32::try_from(taken).unwrap_or(i32::MAX),
        Err(Corrupt) => DAMAGED,
    }
}

pub(in crate::node) fn sent(result: StdResult<Sent, SendError>) -> i32 {
    match result {
        Ok(Sent::Yes) => 1,
        Ok(Sent::Full) => 0,
        // A name of a part always fits; only a damaged queue is that small.
        Ok(Sent::TooLarge) | Err(SendError::Corrupt(_)) => DAMAGED,
        Err(SendError::Io(error)) => errno(&error),
    }
}
