//! A command made ready: everything the child needs between fork and exec, where nothing may be allocated.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::OwnedFd;

use super::command::Command;
use super::stdio::{current_directory, raw};

/// Owns the strings and tables that the child reads (and the descriptor table, which it also writes).
#[derive(Debug)]
pub(super) struct Plan {
    /// The command, which owns what the tables point into.
    pub(super) command: Command,
    /// The paths to try, in turn.
    pub(super) files: Vec<CString>,
    /// Was the file looked for in `PATH`? Then a path that is not there is no error while another one is left.
    pub(super) searched: bool,
    /// The directory that relative paths start from.
    pub(super) directory: Option<OwnedFd>,
}

/// Pointers into a [`Plan`]: what `execve` takes. Made on the thread that forks.
#[derive(Debug)]
pub(super) struct Tables {
    /// `argv`, ended by a null.
    pub(super) argv: Vec<*const c_char>,
    /// `envp`, ended by a null.
    pub(super) envp: Vec<*const c_char>,
    /// `argv` for a script without an interpreter line: `/bin/sh`, a place for the path, the arguments after the first.
    pub(super) script: Vec<*const c_char>,
    /// The descriptor to become 0, 1, 2 …, or -1.
    pub(super) fds: Vec<i32>,
}

/// What runs a file that the kernel does not recognise (`execvp(3)`).
pub(super) const SHELL: &CStr = c"/bin/sh";
/// Where glibc looks when there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 4096;

impl Plan {
    /// Looks the file up, as far as that is possible without trying.
    ///
    /// # Errors
    /// `ENOENT` for an empty name, `ENAMETOOLONG`.
    pub(super) fn new(command: Command) -> io::Result<Self> {
        let (files, searched) = candidates(&command)?;
        // An absolute directory needs no place to start from.
        let absolute = command.cwd.as_deref().is_some_and(|path| path.to_bytes().starts_with(b"/"));
        let directory = if absolute { None } else { current_directory() };
        Ok(Self { command, files, searched, directory })
    }

    /// The pointers that the system calls take. They are good while `self` is not changed.
    pub(super) fn tables(&self) -> Tables {
        let args = &self.command.args;
        let rest = args.iter().skip(1).map(|arg| arg.as_ptr());
        Tables {
            argv: ended(args.iter().map(|arg| arg.as_ptr())),
            envp: ended(self.command.env.iter().map(|pair| pair.as_ptr())),
            script: ended([SHELL.as_ptr(), SHELL.as_ptr()].into_iter().chain(rest)),
            fds: self.command.stdio.iter().map(raw).collect(),
        }
    }
}

/// The paths that `execvp` would try, with the child's `PATH`.
fn candidates(command: &Command) -> io::Result<(Vec<CString>, bool)> {
    let file = command.file.to_bytes();
    if file.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    if file.contains(&b'/') {
        return Ok((vec![command.file.clone()], false));
    }
    if file.len() > LONGEST_NAME {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    let path = command.env.iter().find_map(|pair| pair.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let files = path.split(|byte| *byte == b':').filter(|folder| folder.len() < LONGEST_PATH).map(|folder| {
        // An empty part is the current directory.
        let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
        let joined = [folder, slash, file].concat();
        CString::new(joined).unwrap_or_default() // No part of it has a NUL.
    });
    Ok((files.collect(), true))
}

fn ended(pointers: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    pointers.chain([std::ptr::null()]).collect()
}
