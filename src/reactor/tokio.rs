//! The driver of runtimes without libuv (Bun, Deno): a task on the background thread watches the reactor's poll and
//! asks the JS thread for a turn. One engine, another alarm clock.

use std::any::Any;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::{Builder, Handle};
use ::tokio::sync::{Notify, watch};

use super::{Driver, Reactor, uv::OnPanic};

/// Asks the reactor's thread to run [`Reactor::turn`] and then [`Tokio::answered`]. Called on the background thread.
pub type Ask = Box<dyn Fn() + Send + Sync>;
/// Keeps the reactor's thread alive, or lets it go. Called on the reactor's thread.
pub type OnHold = Box<dyn Fn(bool)>;

/// One task that watches a reactor. It ends with this value.
pub struct Tokio {
    answer: Arc<Notify>,
    deadline: watch::Sender<Option<Instant>>,
    on_hold: OnHold,
    on_panic: OnPanic,
}

impl Tokio {
    /// Starts the task.
    ///
    /// # Errors
    /// Out of descriptors, or the background thread cannot be started.
    pub fn start(reactor: &Reactor, ask: Ask, on_hold: OnHold, on_panic: OnPanic) -> io::Result<Rc<Self>> {
        // SAFETY: the reactor, and so its descriptor, lives through this call.
        let poll = unsafe { BorrowedFd::borrow_raw(reactor.poll_fd()) }.try_clone_to_owned()?;
        let background = background()?;
        let answer = Arc::new(Notify::new());
        let (deadline, deadlines) = watch::channel(None);
        let poll = {
            let _context = background.enter();
            // SAFETY: an owned descriptor, kept open and not exchanged until the `AsyncFd` is dropped.
            unsafe { AsyncFd::register_with_interest(poll, ::tokio::io::Interest::READABLE) }?
        };
        background.spawn(watch_poll(poll, ask, Arc::clone(&answer), deadlines));
        Ok(Rc::new(Self { answer, deadline, on_hold, on_panic }))
    }

    /// The turn that was asked for has been taken.
    pub fn answered(&self) {
        self.answer.notify_one();
    }
}

impl Driver for Tokio {
    fn wake_at(&self, deadline: Option<Instant>) {
        self.deadline.send_replace(deadline);
    }

    fn hold(&self, hold: bool) {
        (self.on_hold)(hold);
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) {
        (self.on_panic)(payload);
    }
}

impl std::fmt::Debug for Tokio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokio").finish_non_exhaustive()
    }
}

/// The one background thread of this process, for what may wait or must go on while JS is busy. It never ends.
///
/// # Errors
/// The thread cannot be started.
pub fn background() -> io::Result<Handle> {
    static BACKGROUND: OnceLock<Handle> = OnceLock::new();
    if let Some(handle) = BACKGROUND.get() {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    // Two threads may race to here: the loser's runtime is dropped with its closure.
    if BACKGROUND.set(handle.clone()).is_ok() {
        std::thread::Builder::new()
            .name("interproc-io".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    }
    Ok(BACKGROUND.get().cloned().unwrap_or(handle))
}

/// Ends when the [`Tokio`] is dropped: its `deadline` sender goes with it.
async fn watch_poll(
    poll: AsyncFd<OwnedFd>,
    ask: Ask,
    answer: Arc<Notify>,
    mut deadlines: watch::Receiver<Option<Instant>>,
) {
    loop {
        let deadline = *deadlines.borrow_and_update();
        ::tokio::select! {
            biased;
            changed = deadlines.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            ready = poll.readable() => {
                let Ok(mut ready) = ready else { return };
                // The poll's own readiness is a level, tokio's an edge: ask the poll whether there is still something.
                if ready.try_io(|poll| still_readable(poll.as_fd())).is_err() {
                    continue;
                }
            }
            () = sleep_until(deadline) => {} // The turn names the next deadline.
        }
        ask();
        // A dropped driver never answers.
        ::tokio::select! {
            () = answer.notified() => {}
            () = closed(&mut deadlines) => return,
        }
    }
}

fn still_readable(poll: BorrowedFd<'_>) -> io::Result<()> {
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(poll, rustix::event::PollFlags::IN)];
    let timeout = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::INTR) => Ok(()), // Unknown: a turn that finds nothing is harmless.
        Err(error) => Err(error.into()),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => ::tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

async fn closed(deadlines: &mut watch::Receiver<Option<Instant>>) {
    // Changes stay marked: the caller's next look sees the newest value.
    let mut probe = deadlines.clone();
    while probe.changed().await.is_ok() {}
}
