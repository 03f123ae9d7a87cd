//! Memory of the queue that JavaScript sees.

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use napi::{Env, JsValue, bindgen_prelude::*, sys};

use super::Inner;
use crate::node::chunk::{self, external};
use crate::node::env::check;
use crate::queue::Work;
use crate::shm::Segment;

/// Memory of the queue that JavaScript sees.
pub(super) struct Lent {
    pub(super) weak: sys::napi_ref,
    /// Empty once we detached it: then nothing reaches the memory. What the program transferred away is in another ArrayBuffer.
    keeper: Rc<RefCell<Option<Arc<Segment>>>>,
}

impl Lent {
    pub(super) fn detach(self, raw: sys::napi_env) {
        let mut value = ptr::null_mut();
        // SAFETY: a live env, and our reference.
        unsafe { sys::napi_get_reference_value(raw, self.weak, &raw mut value) };
        // SAFETY: our own reference, not used again.
        unsafe { sys::napi_delete_reference(raw, self.weak) };
        // Else its end is told by V8.
        if !value.is_null() && chunk::detach(raw, value) {
            self.keeper.take();
        }
    }
}

impl Inner {
    pub(super) fn lend<'env>(
        &self,
        env: &'env Env,
        start: *mut u8,
        length: usize,
        work: &Work,
    ) -> Result<Unknown<'env>> {
        let keeper = Rc::new(RefCell::new(Some(Arc::clone(work.segment()))));
        let value = external(env, start, length, Box::new(Rc::clone(&keeper)))?;
        let mut weak = ptr::null_mut();
        // SAFETY: a live env and its value; a count of 0 makes the reference weak.
        check(unsafe { sys::napi_create_reference(env.raw(), value.raw(), 0, &raw mut weak) })?;
        self.lent.borrow_mut().push(Lent { weak, keeper });
        Ok(value)
    }
}
