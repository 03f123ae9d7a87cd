//! A JS function that turns call, in the async context in which it was given to us.

use std::ptr;
use std::rc::{Rc, Weak};

use napi::{Env, JsValue, bindgen_prelude::*, sys};

use super::env::{EnvState, check, text, with_scope};

/// An argument of a call. Only what can be made outside of a JS context: no objects, no errors (JavaScript makes them).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    /// A number; integers up to 2^53 are exact.
    Number(f64),
    /// A small integer.
    Int(i32),
    /// A boolean.
    Bool(bool),
    /// A string.
    Text(&'a str),
    /// What a reference refers to, such as the slab's ArrayBuffer.
    Reference(sys::napi_ref),
}

/// Keeps a JS function alive until it is dropped.
pub(crate) struct Callback {
    state: Weak<EnvState>,
    raw: sys::napi_env,
    function: sys::napi_ref,
    context: sys::napi_async_context,
}

/// More would be a call that should take a batch.
const MAX_ARGS: usize = 8;

impl Callback {
    /// `name` is the async resource's type, as `async_hooks` shows it.
    pub(crate) fn new<A: JsValuesTupleIntoVec, R: FromNapiValue>(
        env: &Env,
        function: &Function<'_, A, R>,
        name: &str,
    ) -> Result<Self> {
        let raw = env.raw();
        let state = EnvState::of(env)?;
        let (mut reference, mut context) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a function of the open scope.
        check(unsafe { sys::napi_create_reference(raw, function.raw(), 1, &raw mut reference) })?;
        // SAFETY: strings of the open scope; a null resource makes one.
        check(unsafe { sys::napi_async_init(raw, ptr::null_mut(), text(raw, name)?, &raw mut context) })?;
        Ok(Self { state: Rc::downgrade(&state), raw, function: reference, context })
    }

    /// Calls the function; ticks and microtasks run after it. What it throws becomes an `uncaughtException`.
    /// Its result, if that is a number.
    pub(crate) fn call(&self, args: &[Arg<'_>]) -> Option<f64> {
        let _alive = self.state.upgrade().filter(|state| !state.is_closing())?;
        with_scope(self.raw, || {
            let mut values = [ptr::null_mut(); MAX_ARGS];
            for (value, arg) in values.iter_mut().zip(args) {
                *value = self.value(arg);
            }
            let (mut function, mut global, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            // SAFETY: a live env and our reference.
            unsafe { sys::napi_get_reference_value(self.raw, self.function, &raw mut function) };
            // SAFETY: a live env.
            unsafe { sys::napi_get_global(self.raw, &raw mut global) };
            let (count, values) = (args.len().min(MAX_ARGS), values.as_ptr());
            // SAFETY: values of the open scope, our async context.
            let status = unsafe {
                sys::napi_make_callback(self.raw, self.context, global, function, count, values, &raw mut result)
            };
            match status {
                sys::Status::napi_ok => self.number(result),
                _ => {
                    self.report();
                    None
                }
            }
        })
    }

    fn value(&self, arg: &Arg<'_>) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // These fail only for a null env or pointer.
        match *arg {
            // SAFETY: a live env.
            Arg::Number(number) => unsafe { sys::napi_create_double(self.raw, number, &raw mut value) },
            // SAFETY: as above.
            Arg::Int(number) => unsafe { sys::napi_create_int32(self.raw, number, &raw mut value) },
            // SAFETY: as above.
            Arg::Bool(flag) => unsafe { sys::napi_get_boolean(self.raw, flag, &raw mut value) },
            Arg::Text(words) => return text(self.raw, words).unwrap_or(value),
            // SAFETY: as above; the caller's reference is alive during the call.
            Arg::Reference(reference) => unsafe { sys::napi_get_reference_value(self.raw, reference, &raw mut value) },
        };
        value
    }

    fn number(&self, value: sys::napi_value) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: a value of the open scope; anything but a number is refused.
        let status = unsafe { sys::napi_get_value_double(self.raw, value, &raw mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// The rest of the turn goes on, so the exception leaves here.
    fn report(&self) {
        let (mut pending, mut exception) = (false, ptr::null_mut());
        // SAFETY: a live env.
        unsafe { sys::napi_is_exception_pending(self.raw, &raw mut pending) };
        if !pending {
            return; // A terminating worker: nothing runs there any more.
        }
        // SAFETY: a live env with an exception pending.
        unsafe { sys::napi_get_and_clear_last_exception(self.raw, &raw mut exception) };
        // SAFETY: a value of the open scope.
        unsafe { sys::napi_fatal_exception(self.raw, exception) };
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: references may be deleted as long as their env lives; what holds a `Callback` is dropped by then.
        unsafe { sys::napi_delete_reference(self.raw, self.function) };
        if !self.context.is_null() {
            // SAFETY: as above; our context, given back once.
            unsafe { sys::napi_async_destroy(self.raw, self.context) };
        }
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}
