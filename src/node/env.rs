//! What one JS thread has: its reactor and driver, its read slab, and the way into JavaScript.
//!
//! An addon is initialised once per JS thread and lives in a `napi_env`; worker threads have their own. The state is
//! found by that env, so several copies of the JavaScript side (Jest's module registries) share one reactor.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;

use napi::{Env, sys};

use super::slab::Slab;
use crate::reactor::{Reactor, tokio::Tokio, uv::Uv};

/// One JS thread's state. Ends with its env.
pub(crate) struct EnvState {
    raw: sys::napi_env,
    reactor: Rc<Reactor>,
    slab: Slab,
    driver: RefCell<DriverHandle>,
    with_libuv: bool,
    closing: Cell<bool>,
    task: Cell<Option<*mut dyn FnMut()>>,
    runner: Cell<sys::napi_ref>,
}

enum DriverHandle {
    None,
    Uv(Rc<Uv>),
    Tokio { turns: sys::napi_threadsafe_function, driver: Rc<Tokio> },
}

thread_local! {
    static ENVS: RefCell<HashMap<usize, Rc<EnvState>>> = RefCell::default();
    static WITHOUT_LIBUV: Cell<bool> = const { Cell::new(false) };
}

/// For runtimes without a usable libuv (Bun, Deno), and for tests: the tokio driver. Before anything else is called.
pub(crate) fn drive_without_libuv() {
    WITHOUT_LIBUV.set(true);
}

impl EnvState {
    /// The state of the calling JS thread, made at the first call.
    pub(crate) fn of(env: &Env) -> napi::Result<Rc<Self>> {
        let raw = env.raw();
        if let Some(state) = ENVS.with_borrow(|envs| envs.get(&(raw.addr())).map(Rc::clone)) {
            return Ok(state);
        }
        let state = Self::start(raw)?;
        ENVS.with_borrow_mut(|envs| envs.insert(raw.addr(), Rc::clone(&state)));
        Ok(state)
    }

    pub(crate) fn reactor(&self) -> &Rc<Reactor> {
        &self.reactor
    }

    pub(crate) fn slab(&self) -> &Slab {
        &self.slab
    }

    pub(crate) fn raw(&self) -> sys::napi_env {
        self.raw
    }

    /// The env is being torn down: JavaScript must not be called any more.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Runs `task` where objects may be created: inside a native function called by V8, in the env's context.
    /// Inside a turn there is none otherwise.
    pub(crate) fn inside_js(&self, mut task: impl FnMut()) {
        let mut task: &mut dyn FnMut() = &mut task;
        // SAFETY: only the lifetime is forgotten; the pointer is taken back below, before `task` ends.
        let erased = unsafe { std::mem::transmute::<&mut (dyn FnMut() + '_), *mut (dyn FnMut() + 'static)>(&mut task) };
        let outer = self.task.replace(Some(erased));
        with_scope(self.raw, || {
            let (mut runner, mut global, mut result) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            // SAFETY: a live env and a reference that lives as long as it.
            unsafe { sys::napi_get_reference_value(self.raw, self.runner.get(), &raw mut runner) };
            // SAFETY: a live env.
            unsafe { sys::napi_get_global(self.raw, &raw mut global) };
            // SAFETY: values of the scope that is open.
            unsafe { sys::napi_call_function(self.raw, global, runner, 0, ptr::null(), &raw mut result) };
        });
        self.task.set(outer);
    }

    fn start(raw: sys::napi_env) -> napi::Result<Rc<Self>> {
        let reactor = Reactor::new().map_err(from_io)?;
        let with_libuv = !WITHOUT_LIBUV.get();
        let state = Rc::new(Self {
            raw,
            reactor,
            slab: Slab::new(),
            driver: RefCell::new(DriverHandle::None),
            with_libuv,
            closing: Cell::new(false),
            task: Cell::new(None),
            runner: Cell::new(ptr::null_mut()),
        });
        state.runner.set(make_runner(raw)?);
        if with_libuv {
            state.start_uv()?
        } else {
            state.start_tokio()?
        }
        state.watch_env_end()?;
        Ok(state)
    }

    /// libuv's handles need turns of the loop to close, so Node waits for us. The other driver ends at once, and takes
    /// the plain hook: Deno gives an asynchronous one its env in place of the handle, and frees the handle itself.
    fn watch_env_end(&self) -> napi::Result<()> {
        if self.with_libuv {
            let mut handle = ptr::null_mut();
            // SAFETY: a live env; the hook gets the env's address, which it only compares.
            check(unsafe {
                sys::napi_add_async_cleanup_hook(self.raw, Some(on_env_end), self.raw.cast(), &raw mut handle)
            })
        } else {
            // SAFETY: as above.
            check(unsafe { sys::napi_add_env_cleanup_hook(self.raw, Some(on_env_end_at_once), self.raw.cast()) })
        }
    }

    fn start_uv(self: &Rc<Self>) -> napi::Result<()> {
        let mut uv_loop = ptr::null_mut();
        // SAFETY: a live env.
        check(unsafe { sys::napi_get_uv_event_loop(self.raw, &raw mut uv_loop) })?;
        let raw = self.raw;
        // SAFETY: the loop of this very thread; `on_env_end` closes the driver before Node ends the loop.
        let uv =
            unsafe { Uv::start(&self.reactor, uv_loop.cast(), Box::new(move |payload| report_panic(raw, &*payload))) }
                .map_err(from_io)?;
        self.reactor.drive(Rc::<Uv>::clone(&uv));
        *self.driver.borrow_mut() = DriverHandle::Uv(uv);
        Ok(())
    }

    fn start_tokio(self: &Rc<Self>) -> napi::Result<()> {
        let turns = make_turn_function(self.raw)?;
        let (raw, address) = (self.raw, turns.expose_provenance());
        let ask = move || {
            let turns = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the function is released only at the env's end; after that the call is refused with a status.
            unsafe {
                sys::napi_call_threadsafe_function(turns, ptr::null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking)
            };
        };
        let hold = move |on: bool| {
            let switch = if on { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
            // SAFETY: called on the JS thread with its live env.
            unsafe { switch(raw, turns) };
        };
        let panicked = Box::new(move |payload: Box<dyn Any + Send>| report_panic(raw, &*payload));
        let driver = Tokio::start(&self.reactor, Box::new(ask), Box::new(hold), panicked).map_err(from_io)?;
        self.reactor.drive(Rc::<Tokio>::clone(&driver));
        *self.driver.borrow_mut() = DriverHandle::Tokio { turns, driver };
        Ok(())
    }

    /// `ended` is called when nothing of ours is left on the loop.
    fn end(&self, ended: impl FnOnce() + 'static) {
        self.closing.set(true);
        self.reactor.close();
        match self.driver.replace(DriverHandle::None) {
            DriverHandle::Uv(uv) => uv.close(ended),
            DriverHandle::Tokio { turns, driver } => {
                drop(driver);
                // SAFETY: our one reference; abort: nobody waits for what is queued.
                unsafe { sys::napi_release_threadsafe_function(turns, sys::ThreadsafeFunctionReleaseMode::abort) };
                ended();
            }
            DriverHandle::None => ended(),
        }
    }
}

/// Opens a handle scope around `task`: outside of JavaScript there is none.
pub(super) fn with_scope<T>(raw: sys::napi_env, task: impl FnOnce() -> T) -> T {
    let mut scope = ptr::null_mut();
    // SAFETY: a live env.
    unsafe { sys::napi_open_handle_scope(raw, &raw mut scope) };
    let result = task();
    // SAFETY: the scope that was opened last.
    unsafe { sys::napi_close_handle_scope(raw, scope) };
    result
}

/// A native function that runs the state's pending task: see [`EnvState::inside_js`].
fn make_runner(raw: sys::napi_env) -> napi::Result<sys::napi_ref> {
    let (mut function, mut reference) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: a live env, on a call from JavaScript.
    check(unsafe {
        sys::napi_create_function(raw, ptr::null(), 0, Some(run_task), ptr::null_mut(), &raw mut function)
    })?;
    // SAFETY: a function of the open scope.
    check(unsafe { sys::napi_create_reference(raw, function, 1, &raw mut reference) })?;
    Ok(reference)
}

unsafe extern "C" fn run_task(raw: sys::napi_env, _info: sys::napi_callback_info) -> sys::napi_value {
    let task = ENVS.with_borrow(|envs| envs.get(&raw.addr()).and_then(|state| state.task.take()));
    if let Some(task) = task {
        // SAFETY: `inside_js` waits for this call with the closure on its stack.
        let task = unsafe { &mut *task };
        if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task)) {
            report_panic(raw, &*payload);
        }
    }
    ptr::null_mut()
}

/// A threadsafe function whose call is one turn, unreferenced.
fn make_turn_function(raw: sys::napi_env) -> napi::Result<sys::napi_threadsafe_function> {
    let name = text(raw, "interproc.turn")?;
    let mut function = ptr::null_mut();
    // SAFETY: a live env; no JS function is named, so `on_turn` gets the calls.
    check(unsafe {
        sys::napi_create_threadsafe_function(
            raw,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(on_turn),
            &raw mut function,
        )
    })?;
    // SAFETY: the function just made, on its own thread.
    check(unsafe { sys::napi_unref_threadsafe_function(raw, function) })?;
    Ok(function)
}

unsafe extern "C" fn on_turn(
    raw: sys::napi_env,
    _function: sys::napi_value,
    _context: *mut c_void,
    _data: *mut c_void,
) {
    // At the env's end the queue is flushed with a null env.
    let Some(state) = ENVS.with_borrow(|envs| envs.get(&raw.addr()).map(Rc::clone)) else { return };
    state.reactor.turn();
    if let DriverHandle::Tokio { driver, .. } = &*state.driver.borrow() {
        driver.answered();
    }
}

unsafe extern "C" fn on_env_end(handle: sys::napi_async_cleanup_hook_handle, env: *mut c_void) {
    if let Some(state) = ENVS.with_borrow_mut(|envs| envs.remove(&env.addr())) {
        state.end(move || {
            // SAFETY: Node's handle, given back once.
            unsafe { sys::napi_remove_async_cleanup_hook(handle) };
        });
    }
}

unsafe extern "C" fn on_env_end_at_once(env: *mut c_void) {
    if let Some(state) = ENVS.with_borrow_mut(|envs| envs.remove(&env.addr())) {
        state.end(|| {});
    }
}

/// Gives a panic to the user as an uncaught exception: the process decides, not we.
fn report_panic(raw: sys::napi_env, payload: &(dyn Any + Send)) {
    let words =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!("interproc panicked, this is a bug in it: {}", words.unwrap_or("no message"));
    let Some(state) = ENVS.with_borrow(|envs| envs.get(&raw.addr()).map(Rc::clone)) else { return };
    state.inside_js(|| {
        let (Ok(code), Ok(message)) = (text(raw, "ERR_INTERNAL_ASSERTION"), text(raw, &message)) else { return };
        let mut error = ptr::null_mut();
        // SAFETY: strings of the open scope.
        unsafe { sys::napi_create_error(raw, code, message, &raw mut error) };
        // SAFETY: an error of the open scope.
        unsafe { sys::napi_fatal_exception(raw, error) };
    });
}

/// A JS string in the open scope.
pub(super) fn text(raw: sys::napi_env, text: &str) -> napi::Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    let length = isize::try_from(text.len()).unwrap_or(isize::MAX);
    // SAFETY: a live env; pointer and length are the string's.
    check(unsafe { sys::napi_create_string_utf8(raw, text.as_ptr().cast(), length, &raw mut value) })?;
    Ok(value)
}

pub(super) fn check(status: sys::napi_status) -> napi::Result<()> {
    match status {
        sys::Status::napi_ok => Ok(()),
        status => Err(napi::Error::new(napi::Status::from(status), "a Node-API call failed")),
    }
}

/// The errno goes along as the message's start, which `lib/errors.js` reads.
pub(super) fn from_io(error: std::io::Error) -> napi::Error {
    napi::Error::from_reason(format!("{}: {error}", error.raw_os_error().unwrap_or(0)))
}

/// A failed system call as JavaScript gets it: the negative errno, `-EIO` where there is none.
pub(super) fn errno(error: &std::io::Error) -> i32 {
    use std::io::ErrorKind;
    match error.kind() {
        // Errors of our own carry no number.
        ErrorKind::NotConnected if error.raw_os_error().is_none() => -libc::EBADF,
        ErrorKind::OutOfMemory => -libc::ENOMEM,
        ErrorKind::InvalidInput if error.raw_os_error().is_none() => -libc::EINVAL,
        _ => -error.raw_os_error().unwrap_or(libc::EIO),
    }
}

/// 0 or the negative errno.
pub(super) fn status(result: std::io::Result<()>) -> i32 {
    result.map_or_else(|error| errno(&error), |()| 0)
}
