//! A message that its sender writes where it will be read.

use std::path::PathBuf;
use std::ptr::NonNull;

use super::beside::{self, Aux};
use super::own::Own;
use crate::queue::state::SEATS;

/// Shared memory that becomes a message by [`Work::send_loan`](super::super::Work::send_loan), without a copy. What is not sent
/// is gone with its drop.
#[derive(Debug)]
pub struct Loan {
    own: Option<Own>,
    length: usize,
    /// Not the queue's: that may be closed before us.
    path: PathBuf,
}

impl Loan {
    pub(super) fn new(own: Own, length: usize, aux: &Aux) -> Self {
        let path = own.name.path(aux);
        Self { own: Some(own), length, path }
    }

    /// First byte. There may be anything: memory that was used before.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        let memory = self.own.as_ref().and_then(|own| own.memory.as_ref());
        memory.map_or(NonNull::dangling(), super::mapping::Mapping::start).as_ptr()
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The message to be.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: mapped until drop, as long as was asked for, and nobody else's until it is sent.
        unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.length) }
    }

    /// Whether it was lent by the handle at that seat.
    pub(super) fn is_of(&self, writer: u64, seat: u16) -> bool {
        let name = self.own.as_ref().map(|own| own.name);
        name.is_some_and(|name| name.writer == writer && name.number % SEATS as u64 == u64::from(seat))
    }

    pub(super) fn take(&mut self) -> Option<Own> {
        self.own.take()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.own.is_some() {
            beside::remove(&self.path);
        }
    }
}
