//! The channel of `fork` for JavaScript. Calls to its JS function: see [`event`].

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::EnvState;
use super::slab::write;
use crate::process::{Channel, ChannelSink};

/// The first argument of a channel's function; `lib/child_process/channel.js` has the same numbers.
mod event {
    /// slab, offset, length
    pub(super) const DATA: i32 = 0;
    /// A descriptor, which is the function's own now. Comes before the data that it was sent with.
    pub(super) const DESCRIPTOR: i32 = 1;
    pub(super) const END: i32 = 2;
    pub(super) const DRAIN: i32 = 3;
    /// errno
    pub(super) const ERROR: i32 = 4;
}

/// The parent's end.
#[napi]
pub(crate) struct NativeChannel {
    /// The reactor keeps the channel; it ends with the thread even if JavaScript has not closed it.
    channel: RefCell<Weak<Channel>>,
}

#[napi]
#[expect(unreachable_pub, reason = "the macro takes no other methods")]
impl NativeChannel {
    /// Takes over a socket that does not block.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        fd: i32,
        #[napi(ts_arg_type = "(event: number, a?: any, b?: any, c?: any) => void")] on_event: Function<'_, (), ()>,
    ) -> Result<Self> {
        // SAFETY: its owner, who got it from `spawn_process`, hands it over by this call.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let state = EnvState::of(&env)?;
        let sink = JsSink { state: Rc::downgrade(&state), on_event: Callback::new(&env, &on_event, "PIPEWRAP")? };
        let channel = Channel::new(state.reactor(), fd, Rc::new(sink)).map_err(super::env::from_io)?;
        Ok(Self { channel: RefCell::new(Rc::downgrade(&channel)) })
    }

    /// Messages are wanted, from the next turn on.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        self.with(Channel::resume);
    }

    /// Sends `bytes[from..]` as far as there is room, and a copy of a descriptor (-1: none) with it. The number of bytes,
    /// or -errno. After less than all, event DRAIN.
    #[napi(catch_unwind)]
    pub fn write(&self, bytes: &[u8], from: u32, fd: i32) -> i32 {
        let Some(channel) = self.channel.borrow().upgrade() else { return -libc::EBADF };
        // SAFETY: borrowed for one system call, which refuses what is not open.
        let descriptor = (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) });
        match channel.write(bytes.get(from as usize..).unwrap_or_default(), descriptor) {
            Ok(sent) => i32::try_from(sent).unwrap_or(i32::MAX),
            Err(error) => errno(&error),
        }
    }

    /// Closes; no event follows.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.with(Channel::close);
    }

    /// Does it keep the process alive?
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        self.with(|channel| channel.set_ref(referenced));
    }

    /// The descriptor's number, -1 when closed.
    #[napi(getter, catch_unwind)]
    pub fn fd(&self) -> i32 {
        self.channel.borrow().upgrade().and_then(|channel| channel.raw_fd()).unwrap_or(-1)
    }

    fn with(&self, call: impl FnOnce(&Channel)) {
        let channel = self.channel.borrow().upgrade();
        if let Some(channel) = channel {
            call(&channel);
        }
    }
}

/// Closes a descriptor that came on a channel and that nobody wants.
#[napi(catch_unwind)]
pub(crate) fn close_descriptor(fd: i32) {
    if fd >= 0 {
        // SAFETY: its owner gives it up by this call.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

/// A copy, for what has to wait before it can be sent; -errno.
#[napi(catch_unwind)]
pub(crate) fn duplicate_descriptor(fd: i32) -> i32 {
    if fd < 0 {
        return -libc::EBADF;
    }
    // SAFETY: borrowed for one system call, which refuses what is not open.
    match rustix::io::fcntl_dupfd_cloexec(unsafe { BorrowedFd::borrow_raw(fd) }, 3) {
        Ok(copy) => copy.into_raw_fd(),
        Err(error) => -error.raw_os_error(),
    }
}

/// Copies into the thread's slab and calls the channel's function.
struct JsSink {
    state: Weak<EnvState>,
    on_event: Callback,
}

impl ChannelSink for JsSink {
    fn data(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let state = self.state.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let length = bytes.len();
        let memory = state.slab().reserve(&state, length).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the slab's until `take`, and nobody has been shown it; no JavaScript runs here.
        write(&mut unsafe { &mut *memory.as_ptr() }[..length], bytes);
        let (slab, offset) = state.slab().take(length);
        // Node sends one with a message; more are closed here.
        if let Some(descriptor) = descriptors.into_iter().next() {
            self.on_event.call(&[Arg::Int(event::DESCRIPTOR), Arg::Int(descriptor.into_raw_fd())]);
        }
        self.on_event.call(&[Arg::Int(event::DATA), Arg::Reference(slab), int(offset), int(length)]);
        Ok(())
    }

    fn end(&self) {
        self.on_event.call(&[Arg::Int(event::END)]);
    }

    fn drain(&self) {
        self.on_event.call(&[Arg::Int(event::DRAIN)]);
    }

    fn error(&self, error: io::Error) {
        self.on_event.call(&[Arg::Int(event::ERROR), Arg::Int(errno(&error))]);
    }
}

fn int(number: usize) -> Arg<'static> {
    Arg::Int(i32::try_from(number).unwrap_or(i32::MAX))
}

fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EBADF)
}
