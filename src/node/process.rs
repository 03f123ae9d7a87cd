//! `child_process`: starting, signalling and hearing of processes; the blocking form.
//!
//! Errors are negative errnos. Calls to the JS function of a process: see [`event`].

#![expect(clippy::too_many_arguments, reason = "one crossing; an object costs a call per property")]

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use napi::{Env, bindgen_prelude::*};
use napi_derive::napi;

use super::callback::{Arg, Callback};
use super::env::EnvState;
use crate::process::{Command, Events, Exit, Finished, Limits, Process, Stdio, Wire, pipe, run, socketpair};

/// The first argument of a process's function; `lib/child_process/command.js` has the same numbers.
mod event {
    /// It runs.
    pub(super) const STARTED: i32 = 0;
    /// errno (negative)
    pub(super) const FAILED: i32 = 1;
    /// exit code, or -1; signal, or 0
    pub(super) const EXITED: i32 = 2;
}

/// Places of a stdio table; 0 and more are descriptors of this process.
mod place {
    pub(super) const IGNORE: i32 = -1;
    /// A pipe that the child reads.
    pub(super) const INPUT: i32 = -2;
    /// A pipe that the child writes.
    pub(super) const OUTPUT: i32 = -3;
    /// A pair of sockets.
    pub(super) const PAIR: i32 = -4;
}

/// Bits of a command's flags.
mod flag {
    pub(super) const DETACHED: u32 = 1;
    pub(super) const CWD: u32 = 2;
    pub(super) const UID: u32 = 4;
    pub(super) const GID: u32 = 8;
    pub(super) const DIE_WITH_PARENT: u32 = 16;
}

/// A child process.
#[napi]
pub(crate) struct NativeProcess(Rc<Process>);

/// What has come of a process that was waited for.
#[napi(object, object_from_js = false)]
pub(crate) struct NativeFinished {
    pub pid: i32,
    /// The exit code, or -1.
    pub code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// 0, or what went wrong.
    pub errno: i32,
    /// What came through the output pipes, in their order.
    pub output: Vec<Buffer>,
}

/// Starts a process, soon, or says why it cannot be.
///
/// `text` is file, directory (or nothing), arguments, and `NAME=value` pairs, a NUL between each: one crossing in place of
/// fifty. On success each pipe's number in `table` is replaced by the descriptor of our end.
#[napi(catch_unwind)]
pub(crate) fn spawn_process(
    env: Env,
    text: String,
    argc: u32,
    flags: u32,
    uid: i32,
    gid: i32,
    mut table: Int32ArraySlice<'_>,
    #[napi(ts_arg_type = "(event: number, a: number, b: number) => void")] on_event: Function<'_, (), ()>,
) -> Result<Either<NativeProcess, i32>> {
    let mut command = command(&text, argc, flags, uid, gid);
    let ours = match lay(&mut command, &table) {
        Ok(ours) => ours,
        Err(error) => return Ok(Either::B(errno(&error))),
    };
    let on_event = Teller(Callback::new(&env, &on_event, "PROCESSWRAP")?);
    let state = EnvState::of(&env)?;
    match Process::start(state.reactor(), command, Box::new(on_event)) {
        Ok(process) => {
            // SAFETY: JavaScript made the table for this call and waits.
            let places = unsafe { table.as_mut() };
            for (place, end) in places.iter_mut().zip(ours) {
                if let Some(end) = end {
                    *place = end.into_raw_fd();
                }
            }
            Ok(Either::A(NativeProcess(process)))
        }
        Err(error) => Ok(Either::B(errno(&error))),
    }
}

/// Runs a process to its end. `timeout` in milliseconds and `most` in bytes: 0 for none.
#[napi(catch_unwind)]
pub(crate) fn run_process(
    text: String,
    argc: u32,
    flags: u32,
    uid: i32,
    gid: i32,
    table: &[i32],
    input: &[u8],
    timeout: f64,
    most: f64,
    signal: i32,
) -> NativeFinished {
    let mut command = command(&text, argc, flags, uid, gid);
    let mut wires = Vec::new();
    for (number, &place) in table.iter().enumerate() {
        let stdio = match place {
            place::INPUT => {
                wires.push((number, Wire::Input(if number == 0 { input } else { &[] })));
                Ok(Stdio::Ignore)
            }
            place::OUTPUT => {
                wires.push((number, Wire::Output));
                Ok(Stdio::Ignore)
            }
            place => existing(place),
        };
        match stdio {
            Ok(stdio) => command.stdio.push(stdio),
            Err(error) => return finished(Finished { errno: error.raw_os_error(), ..Finished::default() }),
        }
    }
    let limits = Limits {
        timeout: (timeout > 0.0).then(|| Duration::try_from_secs_f64(timeout / 1e3).unwrap_or(Duration::MAX)),
        output: (most > 0.0 && most.is_finite()).then_some(whole(most)),
        signal,
    };
    finished(run(command, wires, limits))
}

#[napi]
#[expect(unreachable_pub, reason = "the macro takes no other methods")]
impl NativeProcess {
    /// Its number, which may take waiting for; -errno if it could not be started.
    #[napi(getter, catch_unwind)]
    pub fn pid(&self) -> i32 {
        self.0.pid().unwrap_or_else(|errno| -errno)
    }

    /// 0, or -errno: `ESRCH` when it has ended.
    #[napi(catch_unwind)]
    pub fn kill(&self, signal: i32) -> i32 {
        match self.0.kill(signal) {
            Ok(()) => 0,
            Err(error) => errno(&error),
        }
    }

    /// Keeps the loop alive until the end, or does not.
    #[napi(catch_unwind)]
    pub fn set_ref(&self, referenced: bool) {
        if referenced { self.0.hold() } else { self.0.unref() }
    }

    /// Does it keep the loop alive?
    #[napi(catch_unwind)]
    pub fn has_ref(&self) -> bool {
        self.0.is_held()
    }
}

/// Tells JavaScript.
struct Teller(Callback);

impl Events for Teller {
    fn started(&self, pid: i32) {
        self.0.call(&[Arg::Int(event::STARTED), Arg::Int(pid), Arg::Int(0)]);
    }

    fn failed(&self, errno: i32) {
        self.0.call(&[Arg::Int(event::FAILED), Arg::Int(-errno), Arg::Int(0)]);
    }

    fn exited(&self, exit: Exit) {
        let (code, signal) = numbers(Some(exit));
        self.0.call(&[Arg::Int(event::EXITED), Arg::Int(code), Arg::Int(signal)]);
    }
}

fn command(text: &str, argc: u32, flags: u32, uid: i32, gid: i32) -> Command {
    let has = |flag| flags & flag != 0;
    // No part has a NUL: they were split at these.
    let mut parts = text.split('\0').map(|part| CString::new(part).unwrap_or_default());
    let file = parts.next().unwrap_or_default();
    let cwd = parts.next().filter(|_| has(flag::CWD));
    let args = parts.by_ref().take(argc as usize).collect();
    Command {
        file,
        args,
        env: parts.filter(|pair| !pair.is_empty()).collect(),
        cwd,
        stdio: Vec::new(),
        detached: has(flag::DETACHED),
        // As the system calls do: -1 is the highest number.
        uid: has(flag::UID).then_some(uid.cast_unsigned()),
        gid: has(flag::GID).then_some(gid.cast_unsigned()),
        die_with_parent: has(flag::DIE_WITH_PARENT),
    }
}

/// Makes the pipes and copies the descriptors of a table; our end of each pipe.
fn lay(command: &mut Command, table: &[i32]) -> io::Result<Vec<Option<OwnedFd>>> {
    let ends = table.iter().map(|&place| {
        let (ours, theirs) = match place {
            place::INPUT => pipe(true).map(|(ours, theirs)| (Some(ours), theirs))?,
            place::OUTPUT => pipe(false).map(|(ours, theirs)| (Some(ours), theirs))?,
            place::PAIR => socketpair().map(|(ours, theirs)| (Some(ours), theirs))?,
            place => (None, existing(place)?),
        };
        command.stdio.push(theirs);
        Ok(ours)
    });
    ends.collect()
}

fn existing(place: i32) -> io::Result<Stdio> {
    if place <= place::IGNORE {
        return Ok(Stdio::Ignore);
    }
    // SAFETY: borrowed for one system call, which refuses what is not open.
    Stdio::copy(unsafe { BorrowedFd::borrow_raw(place) })
}

fn finished(finished: Finished) -> NativeFinished {
    let (code, signal) = numbers(finished.exit);
    NativeFinished {
        pid: finished.pid.unwrap_or(0),
        code,
        signal,
        errno: -finished.errno.unwrap_or(0),
        output: finished.output.into_iter().map(Buffer::from).collect(),
    }
}

fn numbers(exit: Option<Exit>) -> (i32, i32) {
    match exit {
        Some(Exit::Code(code)) => (code, 0),
        Some(Exit::Signal(signal)) => (-1, signal),
        Some(Exit::Unknown) | None => (-1, 0),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript has checked the range")]
fn whole(number: f64) -> u64 {
    number as u64
}

fn errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EAGAIN)
}
