//! The binding: the only room that names Node-API. One thin file per class, named like its room.
//!
//! Conventions: JavaScript has checked the arguments. What can fail in the system returns a negative errno, as libuv
//! does, and JavaScript makes the error. Calls into JavaScript go through [`callback::Callback`], bytes through
//! [`slab::Slab`]. Exports that run real code carry `catch_unwind`: a panic becomes an exception there, and an
//! `uncaughtException` in a turn.

#[cfg(unix)]
mod callback;
#[cfg(unix)]
mod chunk;
#[cfg(unix)]
mod dgram;
#[cfg(unix)]
mod direct;
#[cfg(unix)]
mod env;
#[cfg(unix)]
mod locks;
#[cfg(unix)]
mod map;
#[cfg(unix)]
mod map_counters;
#[cfg(unix)]
mod net;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod process_channel;
#[cfg(unix)]
mod queue;
#[cfg(unix)]
mod shm;
#[cfg(unix)]
mod slab;
#[cfg(unix)]
mod topic;
#[cfg(unix)]
mod zmq;

use napi_derive::napi;

/// The version this binary was built from. `lib/native.js` refuses a binary of another version.
#[napi]
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// This thread's runtime has no usable libuv (Bun, Deno), or a test wants it so: turns are asked for by a background
/// thread. To be called before anything else.
#[cfg(unix)]
#[napi]
pub(crate) fn drive_without_libuv() {
    env::drive_without_libuv();
}

/// `keep` makes an ArrayBuffer one that cannot be transferred. It is called with each that many received messages share.
#[cfg(unix)]
#[napi]
pub(crate) fn keep_memory_with(
    env: napi::Env,
    #[napi(ts_arg_type = "(memory: ArrayBuffer) => void")] keep: napi::bindgen_prelude::Unknown<'_>,
) {
    slab::keep_with(env.raw(), napi::JsValue::raw(&keep));
}

/// Node unloads an addon with the last worker that loaded it; our background threads must not lose their code.
#[cfg(unix)]
#[napi_derive::module_init]
fn pin_image() {
    static HERE: u8 = 0;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: an address of this image, and room for the answer.
    let found = unsafe { libc::dladdr((&raw const HERE).cast(), info.as_mut_ptr()) };
    if found != 0 {
        // SAFETY: zeroed is a valid value, and `dladdr` filled it.
        let name = unsafe { info.assume_init() }.dli_fname;
        // SAFETY: the name of a loaded image; the handle is kept on purpose, for ever.
        unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
    }
}
