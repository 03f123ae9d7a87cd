//! What to run: file, arguments, environment, descriptors, and the few things done between fork and exec.

use std::ffi::CString;

use super::stdio::Stdio;

/// A program to start. Plain data; nothing is checked before it is started.
#[derive(Debug, Default)]
pub struct Command {
    /// The program: a path if it has a slash, else a name that is looked up in the `PATH` of `env` (the child's).
    pub file: CString,
    /// The arguments, the first of which is what the program takes for its own name.
    pub args: Vec<CString>,
    /// The whole environment, `NAME=value` each.
    pub env: Vec<CString>,
    /// The directory to start in; that of this process otherwise.
    pub cwd: Option<CString>,
    /// The child's descriptors 0, 1, 2 and so on. Whatever is not named here is closed.
    pub stdio: Vec<Stdio>,
    /// Starts a session (and process group) of its own, so that a terminal's hang-up does not reach it.
    pub detached: bool,
    /// Becomes this user; its supplementary groups are dropped.
    pub uid: Option<u32>,
    /// Becomes this group; the supplementary groups are dropped.
    pub gid: Option<u32>,
    /// The kernel kills the child when this process ends, however it ends. Linux.
    pub die_with_parent: bool,
}

/// Below this many bytes of arguments and environment the kernel never says `E2BIG` (`ARG_MAX`, execve(2)).
const ALWAYS_FITS: usize = 128 * 1024;
const LONGEST_NAME: usize = 255;

impl Command {
    /// Could starting fail with an error that a caller wants at the call, not later?
    ///
    /// Node throws from `spawn()` for all errors but `EACCES`, `EAGAIN`, `EMFILE`, `ENFILE` and `ENOENT`. These have few
    /// causes, and each can be seen beforehand: another user or group, a great many arguments, a path or directory that
    /// cannot be walked. Where one is seen, the caller waits for the spawner's answer instead of going on.
    pub fn may_fail_at_once(&self) -> bool {
        self.uid.is_some()
            || self.gid.is_some()
            || self.size() >= ALWAYS_FITS
            || self.cwd.as_deref().is_some_and(|path| {
                unusual(rustix::fs::stat(path).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir()))
            })
            || self.file_is_unusual()
    }

    fn file_is_unusual(&self) -> bool {
        let file = self.file.to_bytes();
        if !file.contains(&b'/') {
            return file.len() > LONGEST_NAME;
        }
        if self.cwd.is_some() && !file.starts_with(b"/") {
            return false; // Relative to a directory that we are not in: only the child can tell.
        }
        unusual(rustix::fs::access(self.file.as_c_str(), rustix::fs::Access::EXEC_OK).map(|()| true))
    }

    /// Bytes that the kernel counts: strings with their NUL, and a pointer each.
    fn size(&self) -> usize {
        let strings = self.args.iter().chain(&self.env);
        strings.map(|string| string.as_bytes_with_nul().len() + size_of::<usize>()).sum::<usize>()
            + self.file.as_bytes_with_nul().len()
    }
}

/// Neither fine nor one of the errors that are told later.
fn unusual(found: rustix::io::Result<bool>) -> bool {
    use rustix::io::Errno;
    !matches!(found, Ok(true) | Err(Errno::NOENT | Errno::ACCESS))
}
