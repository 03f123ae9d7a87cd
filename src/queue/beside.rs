//! The files beside a queue's segment: bells, and messages too large for the ring. Named after the segment, so that they
//! can be swept when it is gone.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::shm::Segment;

/// How often a process looks for files that dead processes left, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
const SEGMENT: &str = "interproc.";
const BESIDE: &str = "interproc-q.";

/// Where the files beside one segment are.
#[derive(Debug)]
pub(crate) struct Aux {
    segment: PathBuf,
    /// All their names begin so; no other segment's do, not even of the same name.
    prefix: OsString,
    /// The segment is in a file of the caller's choice, which may survive a reboot.
    stays: bool,
}

impl Aux {
    pub(crate) fn of(segment: &Segment) -> Self {
        Self::beside(segment.path(), segment.id())
    }

    /// Those beside the segment with that path and id.
    pub(crate) fn beside(path: &Path, id: u128) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let (name, stays) = match file.strip_prefix(SEGMENT) {
            Some(rest) => (format!("{BESIDE}{rest}"), false),
            None => (format!("{file}.q"), true),
        };
        Self { segment: path.to_owned(), prefix: format!("{name}.{:016x}.", id >> 64).into(), stays }
    }

    /// The path of one file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let mut file = self.prefix.clone();
        file.push(name);
        self.segment.with_file_name(file)
    }

    /// Are they to survive a power cut?
    pub(crate) fn stays(&self) -> bool {
        self.stays
    }

    /// The names of the files that begin so, as [`path`](Self::path) takes them.
    pub(crate) fn names(&self, begin: &str) -> io::Result<Vec<String>> {
        let mut wanted = self.prefix.clone();
        wanted.push(begin);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let file = entry?.file_name();
            if file.as_encoded_bytes().starts_with(wanted.as_encoded_bytes())
                && let Some(file) = file.to_str()
            {
                names.push(file[self.prefix.len()..].to_owned());
            }
        }
        Ok(names)
    }

    fn folder(&self) -> &Path {
        match self.segment.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Removes those of earlier segments of this place, which are gone: this one was created there.
    pub(crate) fn remove_predecessors(&self) -> io::Result<()> {
        // interproc-q.<user>.<hash>.<id>.
        let own = self.prefix.as_encoded_bytes();
        let id = own[..own.len() - 1].iter().rposition(|byte| *byte == b'.').filter(|_| !self.stays);
        let Some(place) = id.map(|id| &own[..=id]) else { return Ok(()) };
        for entry in std::fs::read_dir(self.folder())? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(place) && !name.starts_with(own) {
                remove(&entry.path());
            }
        }
        Ok(())
    }

    /// Removes all of them but those that `keep` names.
    pub(crate) fn remove_all_but(&self, keep: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(self.folder())? {
            let entry = entry?;
            let name = entry.file_name();
            let what = name.as_encoded_bytes().strip_prefix(self.prefix.as_encoded_bytes());
            if what.is_some_and(|what| !keep(what)) {
                remove(&entry.path());
            }
        }
        Ok(())
    }
}

impl Drop for Aux {
    fn drop(&mut self) {
        if let Ok(false) = self.segment.try_exists() {
            // What cannot be removed now is found by a sweep.
            let _ = self.remove_all_but(|_| false);
        }
    }
}

/// Removes the files beside segments that are gone, unless this process did so a few seconds ago.
pub(crate) fn sweep_now_and_then(near: &Aux) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    // Held by another thread: it sweeps right now.
    let Ok(mut last) = LAST.try_lock() else { return };
    if last.is_none_or(|at| at.elapsed() > SWEEP_INTERVAL) {
        // Its failure is nobody's concern here.
        let _ = sweep(near.folder());
        *last = Some(Instant::now());
    }
}

/// Removes the files in `folder` that stand beside a segment that is gone.
///
/// # Errors
/// The folder cannot be read.
pub fn sweep(folder: &Path) -> io::Result<()> {
    let ours = format!("{BESIDE}{}.", rustix::process::geteuid().as_raw());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(&ours)) else { continue };
        // interproc-q.<user>.<hash>.<id>.<what>
        let parts: Vec<&str> = name.split('.').collect();
        if let [_, user, hash, _, _] = parts[..]
            && let Ok(false) = folder.join(format!("{SEGMENT}{user}.{hash}")).try_exists()
        {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Waits until a new file, and its name, would survive a power cut.
pub(crate) fn sync(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Another process may have been faster.
pub(crate) fn remove(path: &Path) {
    crate::sync::step();
    let _ = std::fs::remove_file(path);
}
