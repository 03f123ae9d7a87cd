//! The blocking form: start a process, feed it, collect what it writes, wait for its end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Exit;
use super::answer::Spawned;
use super::command::Command;
use super::plan::Plan;
use super::stdio::pipe;
use super::sys;

/// When to stop a process that goes on for too long or writes too much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It is signalled after this time: `ETIMEDOUT`.
    pub timeout: Option<Duration>,
    /// It is signalled when it has written more bytes than this, all pipes together: `ENOBUFS`.
    pub output: Option<u64>,
    /// With what.
    pub signal: i32,
}

/// A pipe in the place of one of the child's descriptors.
#[derive(Debug)]
pub enum Wire<'a> {
    /// The child reads this, then the end.
    Input(&'a [u8]),
    /// What the child writes is collected.
    Output,
}

/// What has come of it.
#[derive(Debug, Default)]
pub struct Finished {
    /// Its number; `None` if it could not be started.
    pub pid: Option<i32>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The first thing that went wrong, as a positive `errno`: it could not be started, `ETIMEDOUT`, `ENOBUFS`, `EPIPE`.
    pub errno: Option<i32>,
    /// What it wrote, in the order of the output wires.
    pub output: Vec<Vec<u8>>,
}

/// Runs a command to its end on this thread. Each wire takes the place of the `stdio` of its number.
///
/// Returns when the process has ended *and* nobody holds the other ends of its pipes any more, as a shell's `$(…)` does;
/// after a limit is reached: when it has ended.
pub fn run(mut command: Command, wires: Vec<(usize, Wire<'_>)>, limits: Limits) -> Finished {
    let started = lay(&mut command, wires).and_then(|lines| {
        let plan = Plan::new(command)?;
        Ok((sys::spawn(&plan)?, lines))
    });
    match started {
        Ok((spawned, lines)) => Run::new(spawned, lines, limits).drive_to_end(),
        Err(error) => Finished { errno: Some(errno_of(&error)), ..Finished::default() },
    }
}

/// Our end of one wire; `None` once it is closed.
struct Line<'a> {
    file: Option<File>,
    wire: Wire<'a>,
    collected: Vec<u8>,
}

struct Run<'a> {
    spawned: Spawned,
    lines: Vec<Line<'a>>,
    limits: Limits,
    deadline: Option<Instant>,
    written: u64,
    killed: bool,
    exit: Option<Exit>,
    errno: Option<i32>,
}

/// Room for one read.
const CHUNK: usize = 64 * 1024;

fn lay<'a>(command: &mut Command, wires: Vec<(usize, Wire<'a>)>) -> io::Result<Vec<Line<'a>>> {
    wires
        .into_iter()
        .map(|(number, wire)| {
            let (ours, theirs) = pipe(matches!(wire, Wire::Input(_)))?;
            if let Some(place) = command.stdio.get_mut(number) {
                *place = theirs;
            }
            Ok(Line { file: Some(File::from(ours)), wire, collected: Vec::new() })
        })
        .collect()
}

impl<'a> Run<'a> {
    fn new(spawned: Spawned, lines: Vec<Line<'a>>, limits: Limits) -> Self {
        let deadline = limits.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { spawned, lines, limits, deadline, written: 0, killed: false, exit: None, errno: None }
    }

    fn drive_to_end(mut self) -> Finished {
        while self.exit.is_none() || self.lines.iter().any(|line| line.file.is_some()) {
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.stop(libc::ETIMEDOUT);
            } else if let Err(error) = self.step() {
                self.stop(errno_of(&error));
            }
        }
        let collected = self.lines.into_iter().filter(|line| matches!(line.wire, Wire::Output));
        Finished {
            pid: Some(self.spawned.pid),
            exit: self.exit,
            errno: self.errno,
            output: collected.map(|line| line.collected).collect(),
        }
    }

    /// Waits until something is ready, and does it.
    fn step(&mut self) -> io::Result<()> {
        let (ended, ready) = self.wait()?;
        if ended {
            self.exit = self.spawned.lifeline.wait().unwrap_or(Some(Exit::Unknown));
        }
        let open = self.lines.iter_mut().filter(|line| line.file.is_some());
        for (line, _) in open.zip(ready).filter(|(_, ready)| *ready) {
            match line.go_on() {
                Ok(length) => self.written += length,
                Err(error) => {
                    line.file = None;
                    self.errno.get_or_insert(errno_of(&error));
                }
            }
        }
        if self.limits.output.is_some_and(|most| self.written > most) {
            self.stop(libc::ENOBUFS);
        }
        Ok(())
    }

    /// Has the process ended, and which of the open lines are ready?
    fn wait(&self) -> io::Result<(bool, Vec<bool>)> {
        let lines = self.lines.iter().filter_map(|line| {
            let flags = if matches!(line.wire, Wire::Input(_)) { PollFlags::OUT } else { PollFlags::IN };
            line.file.as_ref().map(|file| PollFd::new(file, flags))
        });
        let mut fds: Vec<_> = lines.collect();
        // Only until the end was seen: it would make every later wait return at once.
        let watching = self.exit.is_none();
        if watching {
            fds.push(PollFd::from_borrowed_fd(self.spawned.lifeline.as_fd(), PollFlags::IN));
        }
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ended = watching && ready.pop() == Some(true);
        Ok((ended, ready))
    }

    /// Ends it, for this reason.
    fn stop(&mut self, errno: i32) {
        self.errno.get_or_insert(errno);
        self.deadline = None;
        // First the signal: it shall not end by the pipes that we close.
        if !std::mem::replace(&mut self.killed, true)
            && self.exit.is_none()
            && self.spawned.lifeline.signal(self.limits.signal).is_err()
        {
            // It has ended, or may not be signalled so; this one is the last resort, and we wait for the end either way.
            let _ = self.spawned.lifeline.signal(libc::SIGKILL);
        }
        for line in &mut self.lines {
            line.file = None;
        }
    }
}

impl Line<'_> {
    /// Reads or writes once, and closes the line at its end. The bytes that came.
    fn go_on(&mut self) -> io::Result<u64> {
        let Some(file) = &mut self.file else { return Ok(0) };
        let done = match &mut self.wire {
            Wire::Input(rest) => file.write(rest).map(|length| {
                *rest = &rest[length..];
                (0, rest.is_empty())
            }),
            Wire::Output => {
                self.collected.reserve(CHUNK); // The Vec doubles as it grows, so the reads do.
                let length = rustix::io::read(file, rustix::buffer::spare_capacity(&mut self.collected));
                length.map(|length| (length, length == 0)).map_err(io::Error::from)
            }
        };
        match done {
            Ok((length, end)) => {
                if end {
                    self.file = None;
                }
                Ok(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
