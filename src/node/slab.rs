//! Memory that is read into and that JavaScript sees: one ArrayBuffer, filled from front to back, then the next.
//!
//! A native Buffer per message costs 2 us; a `Buffer` cut in JS out of a shared ArrayBuffer costs 50-70 ns. Small reads
//! share a slab of 64 KiB (as Node's own Buffer pool does), large ones get slabs of up to 1 MiB. A slab's memory comes
//! back when V8 has collected its ArrayBuffer, and is used again: no page faults, no zeroing.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use napi::sys;

use super::env::EnvState;

/// The smallest slab.
const SMALL: usize = 64 * 1024;
/// The largest slab; nobody reads more at once.
const LARGE: usize = 1024 * 1024;
/// Memory kept for the next slabs, per thread.
const KEPT: usize = 16 * LARGE;
/// Less room than this is not worth a read.
const TIGHT: usize = 4 * 1024;

/// The slab of one JS thread.
pub(crate) struct Slab {
    current: RefCell<Option<Current>>,
    kept: Arc<Kept>,
}

struct Current {
    memory: NonNull<u8>,
    size: usize,
    used: usize,
    buffer: sys::napi_ref,
}

impl Slab {
    pub(super) fn new() -> Self {
        Self { current: RefCell::new(None), kept: Arc::default() }
    }

    /// Room to write into, until the next [`Slab::take`]: some 4 KiB at least, `wanted` bytes if one slab holds them.
    /// `None` when memory is out.
    pub(crate) fn reserve(&self, env: &EnvState, wanted: usize) -> Option<(NonNull<u8>, usize)> {
        let wanted = wanted.clamp(TIGHT, LARGE);
        let rest = self.current.borrow().as_ref().map_or(0, |current| current.size - current.used);
        if rest < wanted {
            self.renew(env, wanted.max(SMALL).next_power_of_two());
        }
        let current = self.current.borrow();
        let current = current.as_ref()?;
        // SAFETY: `used` never exceeds `size`, the length of the allocation.
        Some((unsafe { current.memory.add(current.used) }, current.size - current.used))
    }

    /// The first `length` bytes of what was reserved are a message now: the ArrayBuffer, and the offset in it.
    pub(crate) fn take(&self, length: usize) -> (sys::napi_ref, usize) {
        let mut current = self.current.borrow_mut();
        let Some(current) = current.as_mut() else { return (ptr::null_mut(), 0) };
        let offset = current.used;
        assert!(length <= current.size - offset, "more was taken than reserved");
        // Aligned, so that typed arrays can lie over a message.
        current.used = (offset + length).next_multiple_of(8).min(current.size);
        (current.buffer, offset)
    }

    fn renew(&self, env: &EnvState, size: usize) {
        let old = self.current.borrow_mut().take();
        if let Some(old) = old {
            // SAFETY: the env lives, and this was our reference to the slab.
            unsafe { sys::napi_delete_reference(env.raw(), old.buffer) };
        }
        env.inside_js(|| {
            let made = external(env.raw(), &self.kept, size).or_else(|| owned_by_v8(env.raw(), size));
            *self.current.borrow_mut() = made;
        });
    }
}

/// Slab memory that waits for its next use. Deno gives blocks back on its collector's thread.
#[derive(Default)]
struct Kept(Mutex<Vec<Block>>);

/// Memory for one slab, from the global allocator. A pointer, not a `Box`: JavaScript writes to it while it is lent.
struct Block(NonNull<[u8]>);

/// What an external ArrayBuffer gives back at its end.
struct Loan {
    block: Block,
    kept: Arc<Kept>,
}

impl Kept {
    fn take(&self, size: usize) -> Block {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = blocks.iter().rposition(|block| block.0.len() == size) {
            return blocks.swap_remove(index);
        }
        drop(blocks);
        Block(NonNull::from(Box::leak(vec![0; size].into_boxed_slice())))
    }

    fn put(&self, block: Block) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = blocks.iter().map(|block| block.0.len()).sum();
        if kept + block.0.len() <= KEPT {
            blocks.push(block);
        }
    }
}

// SAFETY: a block is plain memory with one owner at a time.
unsafe impl Send for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `Kept::take` leaked it, and no ArrayBuffer has it any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

fn external(raw: sys::napi_env, kept: &Arc<Kept>, size: usize) -> Option<Current> {
    let block = kept.take(size);
    let memory = block.0.cast::<u8>();
    let loan = Box::into_raw(Box::new(Loan { block, kept: Arc::clone(kept) }));
    let mut value = ptr::null_mut();
    // SAFETY: the memory lives until `give_back`, which V8 calls once.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            raw,
            memory.as_ptr().cast(),
            size,
            Some(give_back),
            loan.cast::<c_void>(),
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        // Refused (Electron): then the finalizer is not called.
        // SAFETY: ours again.
        drop(unsafe { Box::from_raw(loan) });
        return None;
    }
    Some(Current { memory, size, used: 0, buffer: refer(raw, value)? })
}

fn owned_by_v8(raw: sys::napi_env, size: usize) -> Option<Current> {
    let (mut memory, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live env, inside a call from JavaScript.
    let status = unsafe { sys::napi_create_arraybuffer(raw, size, &raw mut memory, &raw mut value) };
    if status != sys::Status::napi_ok {
        return None;
    }
    Some(Current { memory: NonNull::new(memory.cast())?, size, used: 0, buffer: refer(raw, value)? })
}

fn refer(raw: sys::napi_env, value: sys::napi_value) -> Option<sys::napi_ref> {
    let mut reference = ptr::null_mut();
    // SAFETY: a value of the open scope.
    let status = unsafe { sys::napi_create_reference(raw, value, 1, &raw mut reference) };
    (status == sys::Status::napi_ok).then_some(reference)
}

unsafe extern "C" fn give_back(_env: sys::napi_env, _memory: *mut c_void, loan: *mut c_void) {
    // SAFETY: `external` made it, and the runtime calls this once, on whatever thread it collects.
    let loan = unsafe { Box::from_raw(loan.cast::<Loan>()) };
    loan.kept.put(loan.block);
}
