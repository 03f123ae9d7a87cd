//! JavaScript functions for the hottest paths: numbers in, one out, and no object looked up on the way.
//!
//! A method of a class costs 200-300 ns before its first line runs: its `this` is unwrapped, its type tag compared as a
//! BigInt, and its borrow entered into a table. A direct function knows what it works on, and costs 40-50 ns.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::{Env, bindgen_prelude::*, sys};

use super::env::check;

type Code<const N: usize> = Box<dyn Fn([f64; N]) -> i32>;

/// A function of `N` numbers; what is none counts as 0. `code` lives as long as JavaScript has the function.
pub(crate) fn function<'env, const N: usize>(
    env: &'env Env,
    code: impl Fn([f64; N]) -> i32 + 'static,
) -> Result<Unknown<'env>> {
    let code: Box<Code<N>> = Box::new(Box::new(code));
    let data: *mut c_void = Box::into_raw(code).cast();
    let mut value = ptr::null_mut();
    // SAFETY: a live env; the code lives until `let_go`.
    let status = unsafe { sys::napi_create_function(env.raw(), ptr::null(), 0, Some(call::<N>), data, &raw mut value) };
    let added = check(status).and_then(|()| {
        let (env, hint, reference) = (env.raw(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: a live env and the function just made.
        check(unsafe { sys::napi_add_finalizer(env, value, data, Some(let_go::<N>), hint, reference) })
    });
    if let Err(error) = added {
        // Nobody can call a function that JavaScript never got.
        // SAFETY: ours still, and not used again.
        drop(unsafe { Box::from_raw(data.cast::<Code<N>>()) });
        return Err(error);
    }
    // SAFETY: a value of this env and of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), value) })
}

unsafe extern "C" fn call<const N: usize>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (mut count, mut values, mut data) = (N, [ptr::null_mut(); N], ptr::null_mut());
    // SAFETY: a call from JavaScript; room for `count` values.
    unsafe { sys::napi_get_cb_info(env, info, &raw mut count, values.as_mut_ptr(), ptr::null_mut(), &raw mut data) };
    let args = values.map(|value| {
        let mut number = 0.0;
        // SAFETY: a value of this call; of what is no number it says so and leaves 0.
        unsafe { sys::napi_get_value_double(env, value, &raw mut number) };
        number
    });
    // SAFETY: the data of `function`, alive as long as the function that is being called.
    let code = unsafe { &*data.cast::<Code<N>>() };
    let mut value = ptr::null_mut();
    // What a panic leaves half changed is in cells of this one object.
    match catch_unwind(AssertUnwindSafe(|| code(args))) {
        // SAFETY: a live env.
        Ok(result) => unsafe { sys::napi_create_int32(env, result, &raw mut value) },
        // SAFETY: a live env, and a string that ends in NUL.
        Err(_) => unsafe { sys::napi_throw_error(env, ptr::null(), c"a panic in native code".as_ptr()) },
    };
    value
}

unsafe extern "C" fn let_go<const N: usize>(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the data of `function`, given once.
    drop(unsafe { Box::from_raw(data.cast::<Code<N>>()) });
}
