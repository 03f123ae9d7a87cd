//! Memory to read into, whatever was in it before.

use std::mem::MaybeUninit;

/// Memory for one read. It may be uninitialised: it can be written through this and not be read, so that whoever lends it
/// need not clear it first.
#[derive(Debug)]
pub struct Room<'a>(&'a mut [MaybeUninit<u8>]);

impl Room<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// For a system call. Bytes that are initialised must stay so: nothing uninitialised is to be put here.
    pub(super) fn memory(&mut self) -> &mut [MaybeUninit<u8>] {
        self.0
    }
}

impl<'a> From<&'a mut [u8]> for Room<'a> {
    fn from(memory: &'a mut [u8]) -> Self {
        // SAFETY: of one layout, and this room puts nothing uninitialised there (see `memory`).
        Self(unsafe { &mut *(std::ptr::from_mut(memory) as *mut [MaybeUninit<u8>]) })
    }
}

impl<'a> From<&'a mut [MaybeUninit<u8>]> for Room<'a> {
    fn from(memory: &'a mut [MaybeUninit<u8>]) -> Self {
        Self(memory)
    }
}
