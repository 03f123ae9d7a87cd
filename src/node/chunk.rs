//! Foreign memory as an ArrayBuffer: what Rust and JavaScript fill and read in turn, and what is mapped anyway.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use napi::{Env, Error, bindgen_prelude::*, sys};

/// Memory that Rust and JavaScript use in turn.
pub(crate) struct Chunk {
    start: NonNull<u8>,
    length: usize,
    /// Bytes allocated.
    room: usize,
}

// SAFETY: an allocation of our own; only one JS thread ever uses it, but its end may come on another.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    pub(crate) fn new(length: usize) -> Arc<Self> {
        let room = if length < LARGE { length.next_multiple_of(8) } else { length.next_multiple_of(LARGE) };
        let start =
            take_kept(room).unwrap_or_else(|| NonNull::from(Box::leak(vec![0u64; room / 8].into_boxed_slice())).cast());
        Arc::new(Self { start, length, room })
    }

    pub(crate) fn lend<'env>(chunk: &Arc<Self>, env: &'env Env) -> Result<Unknown<'env>> {
        external(env, chunk.start.as_ptr(), chunk.length, Box::new(Arc::clone(chunk)))
    }

    /// # Safety
    /// Nobody writes to it meanwhile.
    pub(crate) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: our allocation, all of it initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// # Safety
    /// Nobody else uses it meanwhile.
    #[expect(clippy::mut_from_ref, reason = "shared with JavaScript, which has its turn at other times")]
    pub(crate) unsafe fn bytes_mut(&self) -> &mut [u8] {
        // SAFETY: our allocation, all of it initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// Writes the `index`-th value of that size.
    pub(crate) fn put<T: Copy>(&self, index: usize, value: T) {
        assert!((index + 1) * size_of::<T>() <= self.length && align_of::<T>() <= 8, "the chunk has that place");
        // SAFETY: inside, as was just asserted.
        let place = unsafe { self.start.cast::<T>().add(index) };
        // SAFETY: aligned, our allocation, JavaScript does not run meanwhile.
        unsafe { place.write(value) };
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.room < LARGE || !keep(self.start, self.room) {
            release(self.start, self.room);
        }
    }
}

/// From here on memory is used again: the system would zero it page by page.
const LARGE: usize = 256 * 1024;
/// Bytes kept for that, per thread.
const KEPT: usize = 32 * 1024 * 1024;

/// Memory that waits for its next use. Goes with its thread.
#[derive(Default)]
struct Kept(Vec<(NonNull<u8>, usize)>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|(start, room)| release(start, room));
    }
}

thread_local! {
    static BLOCKS: RefCell<Kept> = RefCell::default();
}

fn take_kept(room: usize) -> Option<NonNull<u8>> {
    BLOCKS.with_borrow_mut(|Kept(blocks)| {
        let index = blocks.iter().rposition(|&(_, size)| size == room)?;
        Some(blocks.swap_remove(index).0)
    })
}

/// `false`: there is enough already, or the thread is ending.
fn keep(start: NonNull<u8>, room: usize) -> bool {
    let keep = |blocks: &RefCell<Kept>| {
        let Kept(blocks) = &mut *blocks.borrow_mut();
        let fits = blocks.iter().map(|&(_, size)| size).sum::<usize>() + room <= KEPT;
        if fits {
            blocks.push((start, room));
        }
        fits
    };
    BLOCKS.try_with(keep).unwrap_or(false)
}

fn release(start: NonNull<u8>, room: usize) {
    let words = ptr::slice_from_raw_parts_mut(start.cast::<u64>().as_ptr(), room / 8);
    // SAFETY: `Chunk::new` leaked it with that size, and nobody has it any more.
    drop(unsafe { Box::from_raw(words) });
}

/// An ArrayBuffer over foreign memory, which `keeper` keeps.
pub(crate) fn external<'env>(
    env: &'env Env,
    start: *mut u8,
    length: usize,
    keeper: Box<dyn std::any::Any>,
) -> Result<Unknown<'env>> {
    let hint = Box::into_raw(Box::new(keeper));
    let mut value = ptr::null_mut();
    // SAFETY: the memory lives until `let_go`, which V8 calls once.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            start.cast(),
            length,
            Some(let_go),
            hint.cast::<c_void>(),
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        // SAFETY: refused, so nobody else has the hint; the finalizer is not called then.
        drop(unsafe { Box::from_raw(hint) });
        return Err(Error::from_reason("NO_EXTERNAL_BUFFERS: this runtime allows no memory that it does not own"));
    }
    // SAFETY: a value of this env and of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
}

unsafe extern "C" fn let_go(_env: sys::napi_env, _start: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint of `external`, given once.
    drop(unsafe { Box::from_raw(hint.cast::<Box<dyn std::any::Any>>()) });
}
