//! One mapped segment: what its users do with it, and leaving.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::header::{Header, Kind, PARAMS};
use super::mapping::Mapping;
use super::name::Ticket;
use super::participants::{Dead, Participant, Table, User};
use super::region::Region;
use super::registry::{self, FileKey};
use super::{sweep, sys_unix as sys};

/// A segment that this process uses: mapped, and entered in its table of participants.
///
/// One per process and segment: opening again gives the same one. Dropping the last `Arc` leaves; the last process to leave
/// unlinks, unless the segment is persistent. `Send` and `Sync`.
#[derive(Debug)]
pub struct Segment {
    file: File,
    mapping: Mapping,
    header: Header,
    path: PathBuf,
    /// Hash of the place; `None` for a file of the caller's choice.
    place: Option<u128>,
    own: Participant,
    /// Held while a slot of another participant is locked: byte locks do not keep the threads of one process apart.
    recovering: Mutex<()>,
    key: FileKey,
    pid: u32,
    keep: OnceLock<Keep>,
}

/// Whether there is something in a segment that users to come must know; asked by the last user when it leaves.
pub(crate) type Keep = fn(Region<'_>, Participant) -> bool;

/// What a segment is made of before it has a place in its table.
pub(super) struct Parts {
    pub(super) file: File,
    pub(super) mapping: Mapping,
    pub(super) header: Header,
    pub(super) path: PathBuf,
    /// Hash of the place; `None` for a file of the caller's choice.
    pub(super) place: Option<u128>,
    pub(super) key: FileKey,
}

impl Segment {
    /// The data.
    #[must_use]
    pub fn region(&self) -> Region<'_> {
        // SAFETY: the header was checked: the data lies inside the mapping, which lives as long as self.
        unsafe { region(&self.mapping, &self.header) }
    }

    /// Whose memory it is, for [`is_alive`](Self::is_alive) in other processes.
    #[must_use]
    pub fn own(&self) -> Participant {
        self.own
    }

    /// Whether `other` still uses the segment. `false` is final, `true` may be past already. One system call unless it left in
    /// order; a stopped process is alive.
    ///
    /// # Errors
    /// What `fcntl` says; not expected.
    pub fn is_alive(&self, other: Participant) -> io::Result<bool> {
        self.table().is_alive(&self.file, self.own, other)
    }

    /// Runs `recover` for every participant that died without leaving, then frees its slot. Gives their number. In one process
    /// at a time per participant; others pass by.
    ///
    /// # Errors
    /// What `fcntl` says; not expected.
    pub fn recover_dead(&self, recover: &dyn Fn(Region<'_>, Dead)) -> io::Result<u32> {
        let _alone = self.recovering.lock().unwrap_or_else(PoisonError::into_inner);
        let region = self.region();
        self.table().recover_dead(&self.file, self.own, &|dead| recover(region, dead))
    }

    /// All who came and did not leave in order, the dead too.
    ///
    /// # Errors
    /// What `fcntl` says; not expected.
    pub fn users(&self) -> io::Result<Vec<User>> {
        self.table().users(&self.file, self.own)
    }

    /// How often any process joined so far: more than before means that another one came, even if it left again. Wraps never.
    #[must_use]
    pub fn joins(&self) -> u64 {
        self.table().joins()
    }

    /// What lives in it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// The user's name for it, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        (!self.header.name.is_empty()).then_some(&self.header.name)
    }

    /// The words that its creator put into the header.
    #[must_use]
    pub fn params(&self) -> &[u64; PARAMS] {
        &self.header.params
    }

    /// Whether it stays when the last user leaves.
    #[must_use]
    pub fn persistent(&self) -> bool {
        self.header.persistent
    }

    /// 128 random bits that no other segment has.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.header.id
    }

    /// What finds exactly this segment from another process of the same user, as long as someone uses it or it is persistent.
    /// `None` for a file of the caller's choice: its path finds it.
    #[must_use]
    pub fn ticket(&self) -> Option<Ticket> {
        self.place.map(|place| Ticket { kind: self.header.kind, place, id: self.header.id })
    }

    /// Whether others can still find it: `false` once someone removed the file (`interproc rm`, a logout with systemd's RemoveIPC).
    /// The memory works on for those who have it.
    ///
    /// # Errors
    /// What `fstat` says; not expected.
    pub fn linked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }

    /// Writes a file-backed segment to its disk. Nothing to do for others.
    ///
    /// # Errors
    /// What `fdatasync` says.
    pub fn sync(&self) -> io::Result<()> {
        match self.place {
            Some(_) => Ok(()),
            None => self.file.sync_data(),
        }
    }

    /// Where its file is, or was.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The open file, and where in it the data begins.
    pub(super) fn data_in_file(&self) -> (&File, u64) {
        (&self.file, self.header.data_offset as u64)
    }

    /// Enters the table and the process's list. `None`: the table is full.
    pub(super) fn join(parts: Parts, recover: &dyn Fn(Region<'_>, Dead)) -> io::Result<Option<Arc<Self>>> {
        let Parts { file, mapping, header, path, place, key } = parts;
        // SAFETY: the header was checked: the data lies inside the mapping.
        let data = unsafe { region(&mapping, &header) };
        // SAFETY: page-aligned, and every header that passes leaves room for the table.
        let table = unsafe { Table::new(mapping.start()) };
        let Some(own) = table.join(&file, &|dead| recover(data, dead))? else {
            return Ok(None);
        };
        let (recovering, pid) = (Mutex::new(()), std::process::id());
        let segment =
            Arc::new(Self { file, mapping, header, path, place, own, recovering, key, pid, keep: OnceLock::new() });
        Ok(Some(registry::enter(key, segment)))
    }

    /// Gives the place back, and removes the file if nobody else uses it. The memory stays mapped.
    pub(super) fn leave(&self) {
        if self.pid != std::process::id() {
            // A fork without exec: place and locks are the parent's.
            return;
        }
        self.table().leave(self.own);
        self.unlink_if_last();
        // Closing would not be enough: a child between fork and exec has the open file, and its locks, for a moment longer.
        let _ = self.table().let_go(&self.file, self.own);
        let _ = sys::release(&self.file);
    }

    /// The same at the process's end, which drops no handle.
    pub(super) fn leave_at_exit(&self) {
        if self.header.kind == Kind::BUFFER {
            self.leave();
        } else if self.pid == std::process::id() {
            // Seats, messages and mutexes are still ours, perhaps of a thread that runs on for a moment, and a place that is given back
            // in order says that nothing is: others settle them once the kernel has let go of it, as after any death.
            self.unlink_if_last();
        }
    }

    /// Whoever is last succeeds. An error leaves the file to the next sweep.
    fn unlink_if_last(&self) {
        if !self.header.persistent && sys::flock(&self.file, true).unwrap_or(false) && !self.has_news() {
            let _ = sweep::unlink_unused(&self.file, &self.path);
        }
    }

    /// Asks `keep` at the end, if this process is the last to leave: whether the file stays all the same. The first one asked for counts.
    pub(crate) fn keep_if(&self, keep: Keep) {
        let _ = self.keep.set(keep);
    }

    fn has_news(&self) -> bool {
        self.keep.get().is_some_and(|keep| keep(self.region(), self.own))
    }

    fn table(&self) -> Table<'_> {
        // SAFETY: page-aligned, and every header that passes leaves room for the table.
        unsafe { Table::new(self.mapping.start()) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        registry::forget(self.key);
        self.leave();
    }
}

/// # Safety
/// `header` must describe `mapping`: written for it, or checked against its file's length.
pub(super) unsafe fn region<'a>(mapping: &'a Mapping, header: &Header) -> Region<'a> {
    // SAFETY: data_offset lies inside the mapping by the caller's promise.
    let start = unsafe { mapping.start().add(header.data_offset) };
    // SAFETY: page-aligned as data_offset is, and data_len ends inside the mapping.
    unsafe { Region::new(start, header.data_len) }
}
