//! The driver of Node.js: the reactor's poll under one `uv_poll_t`, its deadline under one `uv_timer_t`, and a turn
//! that is due at once under one `uv_idle_t`.
//!
//! libuv's functions are looked up in the running program, so the same binary loads where there is no libuv.
//! Source: <https://docs.libuv.org/en/v1.x/poll.html>; libuv keeps its ABI within a major version.

use std::any::Any;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::rc::Rc;
use std::time::Instant;

use super::{Driver, Reactor};

/// A `uv_loop_t`, as `napi_get_uv_event_loop` gives it.
pub type Loop = *mut c_void;
type Handle = *mut c_void;
type PollCallback = unsafe extern "C" fn(Handle, c_int, c_int);
type HandleCallback = unsafe extern "C" fn(Handle);

const UV_IDLE: c_int = 6; // uv_handle_type, fixed in libuv 1.x
const UV_POLL: c_int = 8;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
/// Poll, timer, idle: what [`Uv::close`] waits for.
const HANDLES: u8 = 3;

/// What a panic in a source is told to.
pub type OnPanic = Box<dyn Fn(Box<dyn Any + Send>)>;

/// The libuv handles that call [`Reactor::turn`]. [`Uv::close`] must run before the loop ends.
pub struct Uv {
    api: Api,
    poll: Cell<Handle>,
    timer: Cell<Handle>,
    /// Runs once per round of the loop. A timer of no time would not do: until libuv 1.47, one that is set in a timer's
    /// callback runs in the same round, and a source that always asks for more would keep everybody else's timers away.
    idle: Cell<Handle>,
    /// The watch of [`Driver::watch`], or null.
    direct: Cell<Handle>,
    on_panic: OnPanic,
    closing: Rc<Closing>,
}

impl Uv {
    /// Starts watching `reactor` in `uv_loop`, unreferenced: it keeps nothing alive until the reactor is held.
    ///
    /// # Errors
    /// `Unsupported` where the program exports no libuv; what `uv_poll_init` says.
    ///
    /// # Safety
    /// `uv_loop` is the live loop of the calling thread, and stays so until `close` has called back.
    pub unsafe fn start(reactor: &Rc<Reactor>, uv_loop: Loop, on_panic: OnPanic) -> io::Result<Rc<Self>> {
        let api = Api::find().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no libuv in this program"))?;
        // SAFETY: `uv_handle_size` takes any handle type.
        let poll = alloc(unsafe { (api.handle_size)(UV_POLL) });
        // SAFETY: as above.
        let timer = alloc(unsafe { (api.handle_size)(UV_TIMER) });
        // SAFETY: as above.
        let idle = alloc(unsafe { (api.handle_size)(UV_IDLE) });
        // SAFETY: fresh memory of the right size, a live loop (the caller's word), and the reactor's open descriptor.
        let status = unsafe { (api.poll_init)(uv_loop, poll, reactor.poll_fd()) };
        if status != 0 {
            free(poll);
            free(timer);
            free(idle);
            return Err(io::Error::from_raw_os_error(-status));
        }
        // SAFETY: fresh memory of the right size and a live loop; it cannot fail.
        unsafe { (api.timer_init)(uv_loop, timer) };
        // SAFETY: as above.
        unsafe { (api.idle_init)(uv_loop, idle) };
        for handle in [poll, timer, idle] {
            // One reference per handle, given back in `on_closed`.
            let reactor = Rc::into_raw(Rc::clone(reactor)).cast::<c_void>().cast_mut();
            // SAFETY: an initialised handle of ours.
            unsafe { (api.handle_set_data)(handle, reactor) };
            // SAFETY: as above.
            unsafe { (api.unref)(handle) };
        }
        // SAFETY: an initialised poll handle of ours.
        unsafe { (api.poll_start)(poll, UV_READABLE, on_readable) };
        let (poll, timer, idle) = (Cell::new(poll), Cell::new(timer), Cell::new(idle));
        let direct = Cell::new(ptr::null_mut());
        Ok(Rc::new(Self { api, poll, timer, idle, direct, on_panic, closing: Rc::default() }))
    }

    /// Takes the handles out of the loop; `closed` runs once libuv has let go of them.
    pub fn close(&self, closed: impl FnOnce() + 'static) {
        self.unwatch();
        let [poll, timer, idle] = [&self.poll, &self.timer, &self.idle].map(|handle| handle.replace(ptr::null_mut()));
        if poll.is_null() {
            return closed();
        }
        *self.closing.done.borrow_mut() = Some(Box::new(closed));
        for handle in [poll, timer, idle] {
            // SAFETY: a live handle of ours.
            let reactor = unsafe { (self.api.handle_get_data)(handle) };
            // SAFETY: `start` put it there with `Rc::into_raw`, and nobody took it back.
            drop(unsafe { Rc::from_raw(reactor.cast::<Reactor>()) });
            let closing = Rc::into_raw(Rc::clone(&self.closing)).cast::<c_void>().cast_mut();
            // SAFETY: a live handle of ours; `on_closed` expects a `Closing`.
            unsafe { (self.api.handle_set_data)(handle, closing) };
            // SAFETY: a live handle that is closed once: the cells are null now.
            unsafe { (self.api.close)(handle, on_closed) };
        }
    }
}

impl Driver for Uv {
    fn wake_at(&self, deadline: Option<Instant>) {
        let (timer, idle) = (self.timer.get(), self.idle.get());
        if timer.is_null() {
            return;
        }
        let Some(deadline) = deadline else {
            // SAFETY: a live idle handle of ours.
            unsafe { (self.api.idle_stop)(idle) };
            // SAFETY: a live timer handle of ours.
            unsafe { (self.api.timer_stop)(timer) };
            return;
        };
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            // SAFETY: a live handle of ours; starting one that runs changes nothing.
            unsafe { (self.api.idle_start)(idle, on_idle) };
            return;
        }
        // The loop's notion of now may be old, and a timer would fire too early by as much.
        // SAFETY: a live handle of ours.
        let uv_loop = unsafe { (self.api.handle_get_loop)(timer) };
        // SAFETY: the loop that this live handle belongs to.
        unsafe { (self.api.update_time)(uv_loop) };
        // libuv cuts the present to a whole millisecond; one more, and the alarm never rings before the deadline.
        let millis = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        // SAFETY: as above.
        unsafe { (self.api.timer_start)(timer, on_timer, millis, 0) };
    }

    fn hold(&self, hold: bool) {
        let poll = self.poll.get();
        if poll.is_null() {
            return;
        }
        let switch = if hold { self.api.reference } else { self.api.unref };
        // SAFETY: a live handle of ours.
        unsafe { switch(poll) };
    }

    fn watch(&self, fd: RawFd) -> bool {
        let poll = self.poll.get();
        if poll.is_null() || !self.direct.get().is_null() {
            return false;
        }
        // SAFETY: `uv_handle_size` takes any handle type.
        let direct = alloc(unsafe { (self.api.handle_size)(UV_POLL) });
        // SAFETY: a live handle of ours.
        let uv_loop = unsafe { (self.api.handle_get_loop)(poll) };
        // SAFETY: fresh memory of the right size, a live loop, a descriptor that stays open until `unwatch`.
        if unsafe { (self.api.poll_init)(uv_loop, direct, fd) } != 0 {
            free(direct);
            return false;
        }
        // SAFETY: a live handle of ours.
        let reactor = unsafe { (self.api.handle_get_data)(poll) };
        // Borrowed: `unwatch` runs before `close` gives the poll's reference back.
        // SAFETY: an initialised handle of ours.
        unsafe { (self.api.handle_set_data)(direct, reactor) };
        // SAFETY: as above.
        unsafe { (self.api.unref)(direct) };
        self.direct.set(direct);
        // SAFETY: as above.
        unsafe { (self.api.poll_start)(direct, UV_READABLE, on_directly_readable) };
        true
    }

    fn unwatch(&self) {
        let direct = self.direct.replace(ptr::null_mut());
        if !direct.is_null() {
            // SAFETY: a live handle of ours, closed once: the cell is null now. libuv forgets the descriptor at once.
            unsafe { (self.api.close)(direct, on_direct_closed) };
        }
    }

    fn has_quick_rounds(&self) -> bool {
        true
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) {
        (self.on_panic)(payload);
    }
}

impl std::fmt::Debug for Uv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uv").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Closing {
    closed: Cell<u8>,
    done: std::cell::RefCell<Option<Box<dyn FnOnce()>>>,
}

unsafe extern "C" fn on_readable(handle: Handle, _status: c_int, _events: c_int) {
    turn(handle, Reactor::turn);
}

unsafe extern "C" fn on_timer(handle: Handle) {
    turn(handle, Reactor::turn);
}

unsafe extern "C" fn on_idle(handle: Handle) {
    let Some(api) = Api::find() else { return };
    // It would run in every round, and keep the loop from waiting.
    // SAFETY: libuv calls us with a live idle handle of ours.
    unsafe { (api.idle_stop)(handle) };
    // libuv asks the poll in this very round.
    turn(handle, Reactor::quick_turn);
}

unsafe extern "C" fn on_directly_readable(handle: Handle, _status: c_int, _events: c_int) {
    turn(handle, Reactor::direct_turn);
}

unsafe extern "C" fn on_direct_closed(handle: Handle) {
    free(handle);
}

fn turn(handle: Handle, kind: fn(&Reactor)) {
    let Some(api) = Api::find() else { return };
    // SAFETY: libuv calls us with a live handle of ours.
    let reactor = unsafe { (api.handle_get_data)(handle) }.cast::<Reactor>().cast_const();
    // A reference of our own: the turn may close the handle, and with it the one in its data.
    // SAFETY: `start` put an `Rc` there; callbacks stop before `close` takes it back.
    unsafe { Rc::increment_strong_count(reactor) };
    // SAFETY: as above.
    let reactor = unsafe { Rc::from_raw(reactor) };
    kind(&reactor);
}

unsafe extern "C" fn on_closed(handle: Handle) {
    let Some(api) = Api::find() else { return };
    // SAFETY: libuv calls us with the handle that `close` gave it.
    let closing = unsafe { (api.handle_get_data)(handle) }.cast::<Closing>().cast_const();
    // SAFETY: `close` put an `Rc` there.
    let closing = unsafe { Rc::from_raw(closing) };
    free(handle);
    closing.closed.set(closing.closed.get() + 1);
    if closing.closed.get() == HANDLES
        && let Some(done) = closing.done.borrow_mut().take()
    {
        done();
    }
}

/// libuv handles are allocated by the user; malloc suits their alignment.
fn alloc(size: usize) -> Handle {
    // SAFETY: calloc has no preconditions.
    let memory = unsafe { libc::calloc(1, size) };
    assert!(!memory.is_null(), "out of memory");
    memory
}

fn free(memory: Handle) {
    // SAFETY: `memory` came from `alloc`, and its one owner gives it back.
    unsafe { libc::free(memory) };
}

/// Declares [`Api`]: a field, its name in libuv, its type. The types are libuv 1.x's own.
macro_rules! api {
    ($($field:ident = $name:literal: $type:ty;)*) => {
        /// The functions of libuv that are used.
        #[derive(Clone, Copy)]
        struct Api {
            $($field: $type,)*
        }

        impl Api {
            /// Looks the functions up once; `None` where one is missing.
            fn find() -> Option<Self> {
                static API: std::sync::OnceLock<Option<Api>> = std::sync::OnceLock::new();
                *API.get_or_init(|| Some(Self { $($field: {
                    // SAFETY: a NUL-terminated name; RTLD_DEFAULT searches the whole program.
                    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, $name.as_ptr()) };
                    if found.is_null() {
                        return None;
                    }
                    // SAFETY: libuv 1.x keeps the signature of this function.
                    unsafe { std::mem::transmute::<*mut c_void, $type>(found) }
                },)* }))
            }
        }
    };
}

api! {
    handle_size = c"uv_handle_size": unsafe extern "C" fn(c_int) -> usize;
    handle_set_data = c"uv_handle_set_data": unsafe extern "C" fn(Handle, *mut c_void);
    handle_get_data = c"uv_handle_get_data": unsafe extern "C" fn(Handle) -> *mut c_void;
    handle_get_loop = c"uv_handle_get_loop": unsafe extern "C" fn(Handle) -> Loop;
    update_time = c"uv_update_time": unsafe extern "C" fn(Loop);
    poll_init = c"uv_poll_init": unsafe extern "C" fn(Loop, Handle, c_int) -> c_int;
    poll_start = c"uv_poll_start": unsafe extern "C" fn(Handle, c_int, PollCallback) -> c_int;
    timer_init = c"uv_timer_init": unsafe extern "C" fn(Loop, Handle) -> c_int;
    timer_start = c"uv_timer_start": unsafe extern "C" fn(Handle, HandleCallback, u64, u64) -> c_int;
    timer_stop = c"uv_timer_stop": unsafe extern "C" fn(Handle) -> c_int;
    idle_init = c"uv_idle_init": unsafe extern "C" fn(Loop, Handle) -> c_int;
    idle_start = c"uv_idle_start": unsafe extern "C" fn(Handle, HandleCallback) -> c_int;
    idle_stop = c"uv_idle_stop": unsafe extern "C" fn(Handle) -> c_int;
    reference = c"uv_ref": unsafe extern "C" fn(Handle);
    unref = c"uv_unref": unsafe extern "C" fn(Handle);
    close = c"uv_close": unsafe extern "C" fn(Handle, HandleCallback);
}
