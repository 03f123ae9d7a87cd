//! Foreign memory as an ArrayBuffer: what Rust and JavaScript fill and read in turn, and what is mapped anyway.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use napi::{Env, Error, bindgen_prelude::*, sys};

/// Memory that Rust and JavaScript use in turn.
pub(crate) struct Chunk {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: an allocation of our own; only one JS thread ever uses it, but its end may come on another.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    pub(crate) fn new(length: usize) -> Arc<Self> {
        let words = vec![0u64; length.div_ceil(8)].into_boxed_slice();
        Arc::new(Self { start: NonNull::from(Box::leak(words)).cast(), length })
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
        let words = ptr::slice_from_raw_parts_mut(self.start.cast::<u64>().as_ptr(), self.length.div_ceil(8));
        // SAFETY: `new` leaked it, and nobody has it any more.
        drop(unsafe { Box::from_raw(words) });
    }
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

/// Takes its memory from an ArrayBuffer. `false`: it has none any more, and if the program transferred it away (`transfer()`), another
/// ArrayBuffer has it.
pub(crate) fn detach(env: sys::napi_env, buffer: sys::napi_value) -> bool {
    let mut detached = true;
    // SAFETY: a live env and a value of its; of what is no ArrayBuffer it says an error, and `detached` stays.
    unsafe { sys::napi_is_detached_arraybuffer(env, buffer, &raw mut detached) };
    // SAFETY: as above.
    !detached && unsafe { sys::napi_detach_arraybuffer(env, buffer) } == sys::Status::napi_ok
}

unsafe extern "C" fn let_go(_env: sys::napi_env, _start: *mut c_void, hint: *mut c_void) {
    // SAFETY: the hint of `external`, given once.
    drop(unsafe { Box::from_raw(hint.cast::<Box<dyn std::any::Any>>()) });
}
