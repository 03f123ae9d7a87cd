//! Linux: a vfork that costs the same whatever the parent's size, and pidfds. Raw system calls live here only.
//!
//! `clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD)`: the child runs on a stack of its own in the parent's memory while the
//! calling thread waits in the kernel, until the child executes its program or exits. Between, the child allocates
//! nothing, takes no lock, and makes system calls only. Every signal is blocked from before the clone, so no handler of
//! the parent can run in the child. Where glibc wraps a call with work on all threads (setuid and relatives), the call is
//! made raw: in the child there is one thread. Sources: clone(2), vfork(2), signal-safety(7), libuv's `uv_spawn`.

use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use super::Exit;
use super::answer::Spawned;
use super::plan::{Plan, SHELL, Tables};

/// What becomes readable when the process has ended: a pidfd. It names that process and no later one of its number.
#[derive(Debug)]
pub(super) struct Lifeline(OwnedFd);

/// Everything the child reads, and the one number it writes.
struct Shared<'a> {
    plan: &'a Plan,
    tables: Tables,
    parent: i32,
    errno: AtomicI32,
}

/// Words of 16 bytes: 64 KiB. The child's frames need a few hundred bytes, a debug build's a few thousand.
const STACK: usize = 4096;

/// Starts the process; returns when it has executed its program, or could not. On any thread.
///
/// # Errors
/// The `errno` of the system call that failed, in the parent or in the child.
pub(super) fn spawn(plan: &Plan) -> io::Result<Spawned> {
    let mut shared = Shared { plan, tables: plan.tables(), parent: own_pid(), errno: AtomicI32::new(0) };
    let (pid, pidfd) = with_signals_blocked(|| clone_child(&mut shared))?;
    // SYNC: none needed; the child wrote before it let the kernel wake us.
    let errno = shared.errno.load(Ordering::Relaxed);
    let pidfd = match pidfd {
        Some(pidfd) => pidfd,
        // A kernel or sandbox that knows no CLONE_PIDFD.
        None => open_pidfd(pid)?,
    };
    let lifeline = Lifeline(pidfd);
    if errno != 0 {
        while matches!(lifeline.ended(true), Err(error) if error.kind() == io::ErrorKind::Interrupted) {}
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(Spawned { pid, lifeline })
}

/// Runs `finish` inside `exit(3)`.
pub(super) fn at_exit(finish: extern "C" fn()) {
    // SAFETY: `finish` is a function without arguments, as atexit(3) wants; its code stays loaded (or glibc runs it at
    // unloading).
    unsafe { libc::atexit(finish) };
}

impl Lifeline {
    /// How it ended, if it has. The first who asks takes the zombie away.
    ///
    /// # Errors
    /// `ECHILD` if someone else did.
    pub(super) fn wait(&self) -> io::Result<Option<Exit>> {
        self.ended(false)
    }

    /// Sends a signal; 0 only asks.
    ///
    /// # Errors
    /// `ESRCH`, `EPERM`, `EINVAL`.
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        let no_info = std::ptr::null::<c_void>();
        // SAFETY: pidfd_send_signal(2) reads nothing through a null siginfo.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0) };
        check(result).map(drop)
    }

    fn ended(&self, block: bool) -> io::Result<Option<Exit>> {
        let flags = libc::WEXITED | if block { 0 } else { libc::WNOHANG };
        // SAFETY: all zeroes is a siginfo_t.
        let mut info = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
        let id = u32::try_from(self.0.as_raw_fd()).unwrap_or_default();
        // SAFETY: waitid(2) writes the one siginfo_t that it is given.
        let result = unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, flags) };
        check(result.into())?;
        // SAFETY: waitid filled in a SIGCHLD siginfo, or left zeroes.
        let (pid, status) = unsafe { child_status(&info) };
        Ok((pid != 0).then_some(match info.si_code {
            libc::CLD_EXITED => Exit::Code(status),
            _ => Exit::Signal(status),
        }))
    }
}

/// # Safety
/// `info` is what waitid filled in, or zeroes.
unsafe fn child_status(info: &libc::siginfo_t) -> (i32, i32) {
    // SAFETY: the caller says so.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    (pid, status)
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn clone_child(shared: &mut Shared<'_>) -> io::Result<(i32, Option<OwnedFd>)> {
    let mut stack = Vec::<u128>::with_capacity(STACK); // 16-byte aligned, as calls want it.
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end.cast::<c_void>();
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let argument = std::ptr::from_mut(shared).cast::<c_void>();
    // SAFETY: `child` never returns; the stack and `shared` outlive it, for this thread goes on only after it is gone;
    // the kernel writes one c_int to `pidfd`.
    let result = unsafe { libc::clone(child, top, flags, argument, &raw mut pidfd) };
    check(result.into())?;
    // SAFETY: the kernel made it for us, and nobody else knows it.
    let owned = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((result, owned))
}

fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The kernel's signal set: one bit a signal, 64 of them.
type Signals = u64;

fn with_signals_blocked<T>(task: impl FnOnce() -> T) -> T {
    let before = set_signal_mask(Signals::MAX);
    let result = task();
    set_signal_mask(before);
    result
}

/// Not the C library's: that one leaves out its own two signals.
fn set_signal_mask(mask: Signals) -> Signals {
    let mut before: Signals = 0;
    let (new, old, size) = (&raw const mask, &raw mut before, size_of::<Signals>());
    // SAFETY: rt_sigprocmask(2) reads and writes one set of the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, size) };
    before
}

fn check(result: c_long) -> io::Result<c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

// From here on: the child. No allocation, no lock, no panic.

/// A step's failure: its errno.
type Step<T = ()> = Result<T, c_int>;

extern "C" fn child(argument: *mut c_void) -> c_int {
    // SAFETY: `clone_child` passed a `Shared` that nobody else uses meanwhile.
    let shared = unsafe { &mut *argument.cast::<Shared<'_>>() };
    let errno = match prepare(shared) {
        Ok(()) => execute(shared),
        Err(errno) => errno,
    };
    shared.errno.store(errno, Ordering::Relaxed);
    // SAFETY: ends this process without touching the parent's memory.
    unsafe { libc::_exit(127) }
}

fn prepare(shared: &mut Shared<'_>) -> Step {
    let command = &shared.plan.command;
    reset_signals();
    if command.detached {
        // SAFETY: no preconditions.
        step(c_long::from(unsafe { libc::setsid() }))?;
    }
    if let Some(directory) = &shared.plan.directory {
        // SAFETY: no preconditions.
        step(c_long::from(unsafe { libc::fchdir(directory.as_raw_fd()) }))?;
    }
    if let Some(cwd) = &command.cwd {
        // SAFETY: a C string that outlives the call.
        step(c_long::from(unsafe { libc::chdir(cwd.as_ptr()) }))?;
    }
    place_descriptors(&mut shared.tables.fds)?;
    change_identity(command.uid, command.gid)?;
    if command.die_with_parent {
        // After the change of user, which clears it.
        // SAFETY: prctl(PR_SET_PDEATHSIG) takes a number.
        step(c_long::from(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }))?;
        // SAFETY: no preconditions.
        if unsafe { libc::getppid() } != shared.parent {
            return Err(libc::ESRCH); // It ended before we asked.
        }
    }
    set_signal_mask(0);
    Ok(())
}

/// Every signal acts as it does in a fresh process; but for those, exec keeps "ignored". The C library's own (32 and up)
/// are left alone.
fn reset_signals() {
    for signal in 1..32 {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // SAFETY: the default action is no function of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// Makes `fds[n]` the descriptor `n`, and closes all others at exec.
fn place_descriptors(fds: &mut [c_int]) -> Step {
    let count = c_int::try_from(fds.len()).map_err(|_| libc::EMFILE)?;
    // First out of the way with those that a smaller number will overwrite.
    for (target, fd) in (0..).zip(fds.iter_mut()) {
        if *fd >= 0 && *fd < target {
            *fd = duplicate_above(*fd, count)?;
        }
    }
    for (target, &fd) in (0..).zip(fds.iter()) {
        match fd {
            0.. => place(fd, target)?,
            _ if target <= 2 => open_null(target)?,
            // SAFETY: fcntl(F_SETFD) takes numbers; nothing may be open there, and that is fine.
            _ => drop(unsafe { libc::fcntl(target, libc::F_SETFD, libc::FD_CLOEXEC) }),
        }
    }
    // Before Linux 5.9 only what was opened with CLOEXEC is closed: all that Node and we open is.
    // SAFETY: close_range(2) with CLOEXEC takes numbers and closes nothing now.
    unsafe { libc::syscall(libc::SYS_close_range, count, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

fn duplicate_above(fd: c_int, floor: c_int) -> Step<c_int> {
    // SAFETY: fcntl(F_DUPFD) takes numbers.
    let result = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, floor) };
    step(c_long::from(result))?;
    Ok(result)
}

fn place(fd: c_int, target: c_int) -> Step {
    if fd == target {
        // SAFETY: fcntl(F_SETFD) takes numbers.
        step(c_long::from(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }))?;
    } else {
        // SAFETY: dup2(2) takes numbers; this process's table is its own (no CLONE_FILES).
        step(c_long::from(unsafe { libc::dup2(fd, target) }))?;
    }
    if target > 2 {
        return Ok(());
    }
    // Programs expect standard streams that block, as libuv gives them.
    // SAFETY: fcntl(F_GETFL) takes numbers.
    let flags = unsafe { libc::fcntl(target, libc::F_GETFL) };
    step(c_long::from(flags))?;
    if flags & libc::O_NONBLOCK != 0 {
        // SAFETY: fcntl(F_SETFL) takes numbers.
        step(c_long::from(unsafe { libc::fcntl(target, libc::F_SETFL, flags & !libc::O_NONBLOCK) }))?;
    }
    Ok(())
}

fn open_null(target: c_int) -> Step {
    let mode = if target == 0 { libc::O_RDONLY } else { libc::O_RDWR };
    // SAFETY: a C string.
    let fd = unsafe { libc::open(c"/dev/null".as_ptr(), mode) };
    step(c_long::from(fd))?;
    if fd != target {
        // SAFETY: dup2(2) takes numbers.
        step(c_long::from(unsafe { libc::dup2(fd, target) }))?;
        // SAFETY: this descriptor was opened here, in a table of our own; the copy stays.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

fn change_identity(uid: Option<u32>, gid: Option<u32>) -> Step {
    if uid.is_some() || gid.is_some() {
        // Only the superuser may, and only he has groups to lose: a refusal is no error (as in libuv).
        // SAFETY: setgroups(2) reads nothing for a length of 0.
        unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
    }
    if let Some(gid) = gid {
        // SAFETY: setgid(2) takes a number.
        step(unsafe { libc::syscall(libc::SYS_setgid, gid) })?;
    }
    if let Some(uid) = uid {
        // SAFETY: setuid(2) takes a number.
        step(unsafe { libc::syscall(libc::SYS_setuid, uid) })?;
    }
    Ok(())
}

/// Tries the paths as `execvp` does; returns only the errno of its failure.
fn execute(shared: &mut Shared<'_>) -> c_int {
    let mut refused = false;
    let mut errno = libc::ENOENT;
    for file in &shared.plan.files {
        errno = execute_one(&mut shared.tables, file.as_ptr());
        match errno {
            libc::EACCES => refused = true,
            libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
            _ => return errno,
        }
    }
    if !shared.plan.searched {
        errno
    } else if refused {
        libc::EACCES
    } else {
        libc::ENOENT
    }
}

fn execute_one(tables: &mut Tables, file: *const std::ffi::c_char) -> c_int {
    // SAFETY: C strings and null-ended tables of them, all owned by the waiting parent.
    unsafe { libc::execve(file, tables.argv.as_ptr(), tables.envp.as_ptr()) };
    let errno = own_errno();
    if errno != libc::ENOEXEC {
        return errno;
    }
    // A script without an interpreter line.
    if let Some(place) = tables.script.get_mut(1) {
        *place = file;
    }
    // SAFETY: as above.
    unsafe { libc::execve(SHELL.as_ptr(), tables.script.as_ptr(), tables.envp.as_ptr()) };
    own_errno()
}

fn step(result: c_long) -> Step {
    if result < 0 { Err(own_errno()) } else { Ok(()) }
}

fn own_errno() -> c_int {
    // SAFETY: no preconditions.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: this thread's errno (the thread of the parent, which waits).
    unsafe { *place }
}
