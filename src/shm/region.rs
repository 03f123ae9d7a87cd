//! The data bytes of a segment, with bounds checked at every access.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The data region of a mapped segment, as long as its borrow lives.
///
/// Other processes change these bytes at any time: there is no `&[u8]` into it, only atomics and raw copies, and whatever
/// comes out must be checked before it is trusted. Page-aligned.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    start: NonNull<u8>,
    len: usize,
    mapping: PhantomData<&'a ()>,
}

// SAFETY: a region is only an address and a length; every access goes through atomics or raw copies of memory that other
// processes write anyway.
unsafe impl Send for Region<'_> {}
// SAFETY: as above.
unsafe impl Sync for Region<'_> {}

impl<'a> Region<'a> {
    /// # Safety
    /// `start` must be page-aligned and `len` bytes from it mapped readable and writable for `'a`.
    pub(super) unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len, mapping: PhantomData }
    }

    /// First byte. Reading and writing through it is for atomics and raw copies only.
    #[must_use]
    pub fn as_ptr(self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes, as the creator asked for.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The word at `offset`, or `None` if it is not 4-aligned or not wholly inside.
    #[must_use]
    pub fn atomic_u32(self, offset: usize) -> Option<&'a AtomicU32> {
        let word = self.at(offset, size_of::<u32>())?.cast::<AtomicU32>();
        if !word.is_aligned() {
            return None;
        }
        // SAFETY: aligned, inside the mapping for 'a, and any bits are a u32; others touch it by atomics or raw copies only.
        Some(unsafe { &*word })
    }

    /// The word at `offset`, or `None` if it is not 8-aligned or not wholly inside.
    #[must_use]
    pub fn atomic_u64(self, offset: usize) -> Option<&'a AtomicU64> {
        let word = self.at(offset, size_of::<u64>())?.cast::<AtomicU64>();
        if !word.is_aligned() {
            return None;
        }
        // SAFETY: aligned, inside the mapping for 'a, and any bits are a u64; others touch it by atomics or raw copies only.
        Some(unsafe { &*word })
    }

    /// Copies `bytes` to `offset`. `None`, and nothing copied, if they do not fit.
    pub fn copy_in(self, offset: usize, bytes: &[u8]) -> Option<()> {
        let to = self.at(offset, bytes.len())?;
        // SAFETY: `at` checked the range. `bytes` may be in this very region: a program may send what it was shown there.
        unsafe { to.copy_from(bytes.as_ptr(), bytes.len()) };
        Some(())
    }

    /// Copies from `offset` into `bytes`. `None`, and nothing copied, if the region ends before.
    pub fn copy_out(self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        let from = self.at(offset, bytes.len())?;
        // SAFETY: `at` checked the range; nobody else has `bytes`, so the two do not overlap.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Some(())
    }

    /// Copies from `offset` into memory that need not be initialised, and gives it initialised. `None`, and nothing copied, if
    /// the region ends before.
    pub fn copy_out_new(self, offset: usize, bytes: &mut [MaybeUninit<u8>]) -> Option<&mut [u8]> {
        let from = self.at(offset, bytes.len())?;
        let to = bytes.as_mut_ptr().cast::<u8>();
        // SAFETY: `at` checked the range; nobody else has `bytes`, so the two do not overlap.
        unsafe { from.copy_to_nonoverlapping(to, bytes.len()) };
        // SAFETY: the same memory, all of it written just now.
        Some(unsafe { std::slice::from_raw_parts_mut(to, bytes.len()) })
    }

    fn at(self, offset: usize, len: usize) -> Option<*mut u8> {
        if offset.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: offset <= len, so the address stays inside the mapping or one past it.
        Some(unsafe { self.start.as_ptr().add(offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn nothing_outside_is_touched() {
        let mut words = [0u64; 4];
        // SAFETY: the array outlives the region, and is not touched beside it.
        let region = unsafe { Region::new(NonNull::from(&mut words).cast(), 32) };
        assert_eq!(region.copy_in(24, &[7; 8]), Some(()));
        assert_eq!(region.atomic_u64(24).unwrap().load(Relaxed), 0x0707_0707_0707_0707);
        assert_eq!(region.copy_in(25, &[7; 8]), None);
        assert_eq!(region.copy_out(usize::MAX, &mut [0; 2]), None);
        assert!(region.atomic_u32(2).is_none());
        assert!(region.atomic_u32(32).is_none());
        assert!(region.atomic_u64(usize::MAX - 7).is_none());
        assert_eq!(region.copy_in(32, &[]), Some(()));
    }
}
