//! Where the messages of a lease land: memory that JavaScript sees, and the table that tells what is where in it.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;

use napi::{Env, bindgen_prelude::*, sys};

use super::table::{OWN, RENEWED, Table, UNCHANGED};
use crate::node::env::{EnvState, check};
use crate::node::slab::one_message;

/// What one slab holds; a larger message gets memory of its own.
pub(in crate::node) const SLAB: usize = 1024 * 1024;

/// Where the messages of one handle's leases land.
pub(in crate::node) struct Landing {
    state: Rc<EnvState>,
    pub(in crate::node) table: Table,
    /// Which of the thread's slabs JavaScript knows; 0: none yet.
    slab: Cell<u64>,
    /// The ArrayBuffer that JavaScript is to ask for.
    memory: Cell<sys::napi_ref>,
}

impl Landing {
    pub(in crate::node) fn new(state: &Rc<EnvState>) -> Self {
        Self { state: Rc::clone(state), table: Table::new(), slab: Cell::default(), memory: Cell::new(ptr::null_mut()) }
    }

    /// Has `wanted` bytes written to where JavaScript sees them: the number of rows that came into the table, or `-ENOMEM`.
    /// `copy` is given the bytes and the offset that JavaScript has them at.
    pub(in crate::node) fn land(&self, wanted: usize, copy: impl FnOnce(&mut [MaybeUninit<u8>], usize)) -> i32 {
        if wanted > SLAB {
            let Some((memory, value)) = one_message(self.state.raw(), wanted) else { return -libc::ENOMEM };
            // SAFETY: V8's memory, which JavaScript does not see yet.
            copy(unsafe { &mut *memory.as_ptr() }, 0);
            return self.shown(OWN, value);
        }
        let slab = self.state.slab();
        let Some(memory) = slab.reserve(&self.state, wanted) else { return -libc::ENOMEM };
        let length = wanted.min(memory.len());
        // SAFETY: reserved for us until it is taken; JavaScript does not look there yet.
        let into = &mut unsafe { &mut *memory.as_ptr() }[..length];
        let (reference, offset) = slab.take(wanted);
        copy(into, offset);
        if self.slab.replace(slab.number()) == slab.number() {
            return self.table.end(UNCHANGED);
        }
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and the reference that the slab has.
        unsafe { sys::napi_get_reference_value(self.state.raw(), reference, &raw mut value) };
        self.shown(RENEWED, value)
    }

    /// JavaScript did not look where the last lease is: nothing was left of it.
    pub(in crate::node) fn unseen(&self) {
        self.slab.set(0);
    }

    /// Where the messages of the last lease are, to be asked once when the table says that it is another ArrayBuffer.
    pub(in crate::node) fn memory<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        let reference = self.memory.replace(ptr::null_mut());
        let mut value = ptr::null_mut();
        if !reference.is_null() {
            // SAFETY: a live env, and our reference.
            check(unsafe { sys::napi_get_reference_value(env.raw(), reference, &raw mut value) })?;
            self.forget(reference);
        }
        if value.is_null() {
            return Err(Error::from_reason("NO_MEMORY: the table does not say that there is another"));
        }
        // SAFETY: a value of this env and of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
    }

    /// The lease is in another ArrayBuffer than before, which JavaScript will ask for.
    fn shown(&self, which: u32, memory: sys::napi_value) -> i32 {
        let mut reference = ptr::null_mut();
        // SAFETY: a live env, and a value of the scope of this call.
        unsafe { sys::napi_create_reference(self.state.raw(), memory, 1, &raw mut reference) };
        self.forget(self.memory.replace(reference));
        self.table.end(which)
    }

    fn forget(&self, reference: sys::napi_ref) {
        if !reference.is_null() {
            // SAFETY: our own reference, not used again.
            unsafe { sys::napi_delete_reference(self.state.raw(), reference) };
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.forget(self.memory.replace(ptr::null_mut()));
    }
}
