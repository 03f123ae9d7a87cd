//! Out of the outbox, into the topic.

use std::rc::Rc;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::TopicHandle;
use crate::node::chunk::Chunk;
use crate::node::direct;
use crate::node::queue::{OUTBOX, deadline, send_outbox, sent};

#[napi]
impl TopicHandle {
    /// Where JavaScript puts messages in wire form for [`TopicHandle::sender`].
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn outbox<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        Chunk::lend(&self.inner.outbox, env)
    }

    /// Publishes what is in the outbox: a function of its bytes, that gives those that went in.
    #[napi(catch_unwind, ts_return_type = "(length: number) => number")]
    pub fn sender<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[length]| {
            inner.with(|line| send_outbox(&inner.outbox, length, |wire| line.topic().publish_batch(wire)))
        })
    }

    /// Publishes one message of any size: 1, or 0 if there is no room.
    #[napi(catch_unwind)]
    pub fn send_one(&self, tag: u8, body: &[u8]) -> i32 {
        self.inner.with(|line| sent(line.topic().publish_any(tag, body)))
    }

    /// The same, waiting for room at most `timeout` milliseconds (negative: for ever), for `spin` microseconds of them without
    /// sleeping. Blocks the thread.
    #[napi(catch_unwind)]
    pub fn send_sync(&self, tag: u8, body: &[u8], timeout: f64, spin: u32) -> i32 {
        let spin = Duration::from_micros(spin.into());
        self.inner.with(|line| sent(line.topic().publish_blocking(tag, body, deadline(timeout), spin)))
    }

    /// Bytes that a message in the outbox may have.
    #[napi(getter, catch_unwind)]
    pub fn max_message(&self) -> u32 {
        let mut line = self.inner.line.borrow_mut();
        let most = line.as_mut().map_or(0, |line| line.topic().max_message()).min(OUTBOX - 8);
        u32::try_from(most).unwrap_or(0)
    }
}
