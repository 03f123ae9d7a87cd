//! macOS: `posix_spawn`, which is a system call there and copies nothing, and a kqueue per process for its end.

use std::ffi::{c_char, c_int, c_short};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Exit;
use super::answer::Spawned;
use super::plan::{Plan, SHELL, Tables};

/// What becomes readable when the process has ended: a kqueue that watches it, and its number, which stays its own until
/// [`Lifeline::wait`] has taken the zombie away.
#[derive(Debug)]
pub(super) struct Lifeline {
    queue: OwnedFd,
    pid: c_int,
    reaped: AtomicBool,
}

unsafe extern "C" {
    fn posix_spawn_file_actions_addchdir_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        path: *const c_char,
    ) -> c_int;
    fn posix_spawn_file_actions_addfchdir_np(actions: *mut libc::posix_spawn_file_actions_t, fd: c_int) -> c_int;
    fn posix_spawn_file_actions_addinherit_np(actions: *mut libc::posix_spawn_file_actions_t, fd: c_int) -> c_int;
}

const SETSID: c_int = 0x0400;
const CLOEXEC_DEFAULT: c_int = 0x4000;

/// Starts the process; returns when it has executed its program, or could not. On any thread.
///
/// # Errors
/// What `posix_spawn` says; `ENOTSUP` for another user or group and for `die_with_parent`, which it cannot do.
pub(super) fn spawn(plan: &Plan) -> io::Result<Spawned> {
    let command = &plan.command;
    if command.uid.is_some() || command.gid.is_some() || command.die_with_parent {
        return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
    }
    let mut tables = plan.tables();
    let actions = Actions::new(plan, &tables.fds)?;
    let attributes = Attributes::new(command.detached)?;
    let mut refused = false;
    let mut errno = libc::ENOENT;
    for file in &plan.files {
        match try_one(file.as_ptr(), &mut tables, &actions, &attributes) {
            Ok(pid) => return Ok(Spawned { pid, lifeline: Lifeline::new(pid)? }),
            Err(found) => errno = found,
        }
        match errno {
            libc::EACCES => refused = true,
            libc::ENOENT | libc::ENOTDIR if plan.searched => {}
            _ => break,
        }
    }
    let searched_all = plan.searched && matches!(errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES);
    Err(io::Error::from_raw_os_error(match searched_all {
        true if refused => libc::EACCES,
        true => libc::ENOENT,
        false => errno,
    }))
}

/// Runs `finish` inside `exit(3)`.
pub(super) fn at_exit(finish: extern "C" fn()) {
    // SAFETY: `finish` is a function without arguments, as atexit(3) wants.
    unsafe { libc::atexit(finish) };
}

impl Lifeline {
    fn new(pid: c_int) -> io::Result<Self> {
        // SAFETY: no preconditions.
        let queue = unsafe { libc::kqueue() };
        if queue < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: made just now, for us.
        let queue = unsafe { OwnedFd::from_raw_fd(queue) };
        rustix::io::fcntl_setfd(&queue, rustix::io::FdFlags::CLOEXEC)?;
        let ident = usize::try_from(pid).unwrap_or_default();
        let exit = event(ident, libc::EVFILT_PROC, libc::EV_ADD | libc::EV_ONESHOT, libc::NOTE_EXIT);
        if let Err(error) = change(&queue, &exit) {
            if error.raw_os_error() != Some(libc::ESRCH) {
                return Err(error);
            }
            // It has ended already: an event of our own says so.
            change(&queue, &event(0, libc::EVFILT_USER, libc::EV_ADD, 0))?;
            change(&queue, &event(0, libc::EVFILT_USER, 0, libc::NOTE_TRIGGER))?;
        }
        Ok(Self { queue, pid, reaped: AtomicBool::new(false) })
    }

    /// How it ended, if it has. The first who asks takes the zombie away.
    ///
    /// # Errors
    /// `ECHILD` if someone else did.
    pub(super) fn wait(&self) -> io::Result<Option<Exit>> {
        let mut status = 0;
        // SAFETY: waitpid(2) writes the status.
        let result = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
        match result {
            0 => Ok(None),
            -1 => Err(io::Error::last_os_error()),
            _ => {
                self.reaped.store(true, Ordering::Relaxed);
                Ok(Some(match libc::WIFSIGNALED(status) {
                    true => Exit::Signal(libc::WTERMSIG(status)),
                    false => Exit::Code(libc::WEXITSTATUS(status)),
                }))
            }
        }
    }

    /// Sends a signal; 0 only asks.
    ///
    /// # Errors
    /// `ESRCH`, `EPERM`, `EINVAL`.
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        if self.reaped.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: kill(2) takes numbers.
        let result = unsafe { libc::kill(self.pid, signal) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

fn event(ident: usize, filter: i16, flags: u16, fflags: u32) -> libc::kevent {
    libc::kevent { ident, filter, flags, fflags, data: 0, udata: ptr::null_mut() }
}

fn change(queue: &OwnedFd, event: &libc::kevent) -> io::Result<()> {
    // SAFETY: one change to read, no room for events.
    let result = unsafe { libc::kevent(queue.as_raw_fd(), event, 1, ptr::null_mut(), 0, ptr::null()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn try_one(
    file: *const c_char,
    tables: &mut Tables,
    actions: &Actions,
    attributes: &Attributes,
) -> Result<c_int, c_int> {
    match posix_spawn(file, &tables.argv, tables, actions, attributes) {
        Err(libc::ENOEXEC) => {
            // A script without an interpreter line.
            if let Some(place) = tables.script.get_mut(1) {
                *place = file;
            }
            posix_spawn(SHELL.as_ptr(), &tables.script, tables, actions, attributes)
        }
        result => result,
    }
}

fn posix_spawn(
    file: *const c_char,
    argv: &[*const c_char],
    tables: &Tables,
    actions: &Actions,
    attributes: &Attributes,
) -> Result<c_int, c_int> {
    let mut pid = 0;
    let (argv, envp) = (argv.as_ptr().cast::<*mut c_char>(), tables.envp.as_ptr().cast::<*mut c_char>());
    // SAFETY: C strings, null-ended tables of them, and initialised objects; posix_spawn(2) changes none of them.
    let result =
        unsafe { libc::posix_spawn(&raw mut pid, file, &raw const actions.0, &raw const attributes.0, argv, envp) };
    if result == 0 { Ok(pid) } else { Err(result) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new(plan: &Plan, fds: &[c_int]) -> io::Result<Self> {
        let mut actions = Self(ptr::null_mut());
        let raw = &raw mut actions.0;
        // SAFETY: initialises it.
        check(unsafe { libc::posix_spawn_file_actions_init(raw) })?;
        if let Some(directory) = &plan.directory {
            // SAFETY: initialised above; the descriptor is open until after the spawn.
            check(unsafe { posix_spawn_file_actions_addfchdir_np(raw, directory.as_raw_fd()) })?;
        }
        if let Some(cwd) = &plan.command.cwd {
            // SAFETY: initialised above; the string is copied.
            check(unsafe { posix_spawn_file_actions_addchdir_np(raw, cwd.as_ptr()) })?;
        }
        for (target, &fd) in (0..).zip(fds) {
            if fd == target {
                // SAFETY: initialised above.
                check(unsafe { posix_spawn_file_actions_addinherit_np(raw, fd) })?;
            } else if fd >= 0 {
                // `Stdio::copy` and our pipes are above the standard streams; what is above those may not cross.
                // SAFETY: initialised above.
                check(unsafe { libc::posix_spawn_file_actions_adddup2(raw, fd, target) })?;
            } else if target <= 2 {
                let mode = if target == 0 { libc::O_RDONLY } else { libc::O_RDWR };
                // SAFETY: initialised above; the string is copied.
                check(unsafe { libc::posix_spawn_file_actions_addopen(raw, target, c"/dev/null".as_ptr(), mode, 0) })?;
            }
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(detached: bool) -> io::Result<Self> {
        let mut attributes = Self(ptr::null_mut());
        let raw = &raw mut attributes.0;
        // SAFETY: initialises it.
        check(unsafe { libc::posix_spawnattr_init(raw) })?;
        let session = if detached { SETSID } else { 0 };
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK | CLOEXEC_DEFAULT | session;
        // SAFETY: initialised above.
        check(unsafe { libc::posix_spawnattr_setflags(raw, c_short::try_from(flags).unwrap_or_default()) })?;
        let (mut none, mut all) = (0, 0);
        // SAFETY: writes the set.
        unsafe { libc::sigemptyset(&raw mut none) };
        // SAFETY: writes the set.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: initialised above.
        check(unsafe { libc::posix_spawnattr_setsigmask(raw, &raw const none) })?;
        // SAFETY: initialised above.
        check(unsafe { libc::posix_spawnattr_setsigdefault(raw, &raw const all) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}
