//! Large messages: received by reference, or written by JavaScript where they will be read.

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::{Env, JsValue, bindgen_prelude::*};
use napi_derive::napi;

use super::receive::integer;
use super::send::sent;
use super::{DAMAGED, Inner, QueueHandle, bytes, deadline};
use crate::node::chunk::{self, external};
use crate::node::env::errno;
use crate::node::slab::one_message;
use crate::queue::{Loan, Part, Work};

/// How long memory of large messages is kept for the next ones.
const IDLE: Duration = Duration::from_secs(2);

/// A message that JavaScript writes in place.
#[napi]
pub(crate) struct QueueLoan {
    loan: Rc<RefCell<Option<Loan>>>,
}

/// The part that JavaScript got last.
pub(super) type Shown = RefCell<Option<Part>>;

#[napi]
impl QueueHandle {
    /// The body of a message of the lease that was too large for the ring. From `least` bytes on it is the file itself; shorter
    /// ones are copies. A number: an errno.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | number")]
    pub fn part<'env>(&self, env: &'env Env, id: f64, least: f64) -> Result<Unknown<'env>> {
        let mut work = self.inner.work.borrow_mut();
        let Some(work) = work.as_mut() else { return integer(env, -libc::EBADF) };
        let id = bytes(id);
        let length = match work.part_len(id) {
            Ok(length) => length,
            Err(error) => return integer(env, unreadable(&error)),
        };
        self.inner.start_trimming();
        if length as u64 >= bytes(least) {
            let part = match work.part(id) {
                Ok(part) => part,
                Err(error) => return integer(env, unreadable(&error)),
            };
            let (start, shown) = (part.as_ptr(), Rc::new(RefCell::new(Some(part))));
            if let Ok(value) = external(env, start, length, Box::new(Rc::clone(&shown))) {
                *self.inner.shown.borrow_mut() = Rc::downgrade(&shown);
                return Ok(value);
            }
            // A runtime that allows no memory but its own.
        }
        copied(env, work, id, length)
    }

    /// JavaScript needs the part no more that it got last: its memory has length 0 from now on, and is used again.
    #[napi(catch_unwind)]
    pub fn hide_part(&self, env: &Env, memory: Unknown<'_>) {
        if detach(env, &memory)
            && let Some(shown) = self.inner.shown.take().upgrade()
        {
            shown.take();
        }
    }

    /// Memory for a message of `size` bytes, more than 0. A number: an errno.
    #[napi(catch_unwind)]
    pub fn lend(&self, size: f64) -> Either<QueueLoan, i32> {
        let mut work = self.inner.work.borrow_mut();
        let Some(work) = work.as_mut() else { return Either::B(-libc::EBADF) };
        let Ok(size) = usize::try_from(bytes(size)) else { return Either::B(-libc::ENOMEM) };
        self.inner.start_trimming();
        match work.lend(size) {
            Ok(loan) => Either::A(QueueLoan { loan: Rc::new(RefCell::new(Some(loan))) }),
            Err(error) => Either::B(sent(Err(error))),
        }
    }

    /// Sends the first `length` bytes of a loan, blocking the thread for `timeout` milliseconds while there is no room (negative:
    /// for ever): 1, or 0 if there was none. Once it is sent, `memory` has length 0.
    #[napi(catch_unwind)]
    pub fn send_loan(
        &self,
        env: &Env,
        loan: &QueueLoan,
        memory: Unknown<'_>,
        tag: u8,
        length: f64,
        timeout: f64,
    ) -> i32 {
        let length = usize::try_from(bytes(length)).unwrap_or(usize::MAX);
        self.inner.with(|work| {
            let Some(taken) = loan.loan.take() else { return -libc::EINVAL };
            let left = if timeout == 0.0 {
                work.send_loan(tag, taken, length)
            } else {
                work.send_loan_blocking(tag, taken, length, deadline(timeout))
            };
            match left {
                Ok(None) => {
                    // Before anybody runs who could write to it.
                    detach(env, &memory);
                    1
                }
                Ok(Some(back)) => {
                    *loan.loan.borrow_mut() = Some(back);
                    0
                }
                Err(error) => {
                    // The loan is gone, and JavaScript did not run since.
                    detach(env, &memory);
                    sent(Err(error))
                }
            }
        })
    }
}

#[napi]
impl QueueLoan {
    /// The message to be. Fails where a runtime allows no memory but its own.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn memory<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let loan = self.loan.borrow();
        let (start, length) = loan.as_ref().map_or((ptr::null_mut(), 0), |loan| (loan.as_ptr(), loan.len()));
        external(env, start, length, Box::new(Rc::clone(&self.loan)))
    }
}

impl Inner {
    /// Memory that large messages used is given up after a while.
    pub(super) fn start_trimming(&self) {
        if self.trimmer.get().is_none() {
            let this = std::rc::Weak::clone(&self.this);
            let task = move || this.upgrade().iter().for_each(|inner| inner.trim());
            self.trimmer.set(Some(self.state.reactor().set_timer(Instant::now() + IDLE, task)));
        }
    }

    fn trim(&self) {
        self.trimmer.set(None);
        if self.work.borrow_mut().as_mut().is_some_and(|work| work.trim(IDLE)) {
            self.start_trimming();
        }
    }
}

fn copied<'env>(env: &'env Env, work: &mut Work, id: u64, length: usize) -> Result<Unknown<'env>> {
    let Some((memory, value)) = one_message(env.raw(), length) else { return integer(env, -libc::ENOMEM) };
    // SAFETY: V8's memory, which JavaScript does not see yet.
    match work.copy_part(id, unsafe { &mut *memory.as_ptr() }) {
        // SAFETY: a value of this env and of the current scope.
        Ok(()) => Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) }),
        Err(error) => integer(env, unreadable(&error)),
    }
}

/// Why a part cannot be read: what names it, or its file, is damaged, or an errno.
pub(in crate::node) fn unreadable(error: &std::io::Error) -> i32 {
    if error.kind() == std::io::ErrorKind::InvalidData { DAMAGED } else { errno(error) }
}

fn detach(env: &Env, memory: &Unknown<'_>) -> bool {
    chunk::detach(env.raw(), memory.raw())
}
