//! One mapped segment: creating, opening, leaving.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::error::{CreateError, OpenError};
use super::header::{self, HEADER_LEN, Header, Kind, PARAMS};
use super::mapping::Mapping;
use super::name::{self, InvalidName, Place, Ticket};
use super::participants::{self, Dead, Participant, Table, User};
use super::region::Region;
use super::{sweep, sys_unix as sys};

/// How long an intermediate step of another process may take before [`OpenError::Busy`]. It takes microseconds unless that
/// process is stopped in the middle.
const PATIENCE: Duration = Duration::from_secs(2);

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
}

/// What to create.
pub struct Create<'a> {
    /// What will live in it.
    pub kind: Kind,
    /// Bytes of data.
    pub size: u64,
    /// Whether it stays when the last user leaves. Files of the caller's choice always stay.
    pub persistent: bool,
    /// Words for the header, constant from then on.
    pub params: [u64; PARAMS],
    /// Fills the data, all zero so far, before anyone can open it.
    pub init: &'a dyn Fn(Region<'_>),
}

/// What to open.
pub struct Open<'a> {
    /// What must live in it.
    pub kind: Kind,
    /// Repairs what a dead participant left half-done, before its slot is used again. Runs under that slot's lock: in one process
    /// at a time; and again, from its begin, if this process dies in it.
    pub recover: &'a dyn Fn(Region<'_>, Dead),
}

impl Segment {
    /// Creates a segment, with all its pages backed: a full file system is an error here, never a SIGBUS later.
    ///
    /// A name left by processes that all died counts as free.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is left behind then.
    pub fn create(place: &Place, what: &Create<'_>) -> Result<Arc<Self>, CreateError> {
        let (path, hash) = match place {
            Place::Anonymous => hashed(sys::random()?)?,
            Place::Name(name) => hashed(name::hash_name(name))?,
            Place::File(path) => (path.clone(), None),
            Place::Ticket(_) => return Err(InvalidName::WrongPlace.into()),
        };
        let (data_offset, total_len) = header::layout(what.size).ok_or(CreateError::InvalidSize(what.size))?;
        let header = Header {
            kind: what.kind,
            persistent: what.persistent || hash.is_none(),
            data_offset,
            data_len: usize::try_from(what.size).unwrap_or(usize::MAX),
            total_len,
            id: sys::random()?,
            created: participants::now(),
            name: match place {
                Place::Name(name) => name.as_str().to_owned(),
                _ => String::new(),
            },
            params: what.params,
        };
        sweep::now_and_then();
        let deadline = Instant::now() + PATIENCE;
        let mut swept = false;
        loop {
            // Asked before pages are taken for nothing; publishing asks again.
            if !sweep::make_free(&path, hash.is_some())? {
                return Err(CreateError::AlreadyExists);
            }
            match Self::draft(&path, hash, &header, what.init) {
                Ok(segment) => return Ok(segment),
                Err(Draft::Swept) if Instant::now() < deadline => {}
                Err(Draft::Swept) => return Err(CreateError::Busy),
                // What the dead left may be what is in the way.
                Err(Draft::Failed(CreateError::NoSpace { .. }))
                    if !swept && sweep::cleanup().is_ok_and(|removed| !removed.is_empty()) =>
                {
                    swept = true
                }
                Err(Draft::Failed(error)) => return Err(error),
            }
        }
    }

    /// Opens a living segment. One whose users all died counts as gone, unless it is persistent.
    ///
    /// # Errors
    /// [`OpenError`]; a damaged or foreign file is left as it is.
    pub fn open(place: &Place, what: &Open<'_>) -> Result<Arc<Self>, OpenError> {
        let (path, hash) = match place {
            Place::Anonymous => return Err(InvalidName::WrongPlace.into()),
            Place::Name(name) => hashed(name::hash_name(name))?,
            Place::Ticket(ticket) => hashed(ticket.place)?,
            Place::File(path) => (path.clone(), None),
        };
        if let Place::Ticket(Ticket { kind, .. }) = place
            && *kind != what.kind
        {
            return Err(OpenError::KindMismatch { expected: what.kind, found: *kind });
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let file = sys::open(&path)?;
            let key = check_owner(&file)?;
            if let Some(known) = registry().get(&key).and_then(Weak::upgrade) {
                known.check(place, what.kind)?;
                return Ok(known);
            }
            if claim(&file, &path, hash.is_some())? && file.metadata()?.nlink() > 0 {
                return Self::enter(file, path, hash, key, place, what);
            }
            if Instant::now() > deadline {
                return Err(OpenError::Busy);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Opens the segment, or creates it where there is none. The flag says whether it was created.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create); what went wrong in creating is the `Err` inside.
    pub fn open_or_create(
        place: &Place,
        open: &Open<'_>,
        create: &Create<'_>,
    ) -> Result<Result<(Arc<Self>, bool), CreateError>, OpenError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::open(place, open) {
                Ok(segment) => return Ok(Ok((segment, false))),
                Err(OpenError::NotFound) => {}
                Err(error) => return Err(error),
            }
            match Self::create(place, create) {
                Ok(segment) => return Ok(Ok((segment, true))),
                // Another process was first; it may even have left again.
                Err(CreateError::AlreadyExists) if Instant::now() < deadline => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

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

    /// The open file, and where in it the data begins.
    pub(super) fn data_in_file(&self) -> (&File, u64) {
        (&self.file, self.header.data_offset as u64)
    }

    /// Checks and maps a file that is marked as used.
    fn enter(
        file: File,
        path: PathBuf,
        hash: Option<u128>,
        key: FileKey,
        place: &Place,
        what: &Open<'_>,
    ) -> Result<Arc<Self>, OpenError> {
        let again = file.try_clone()?;
        let entered = read_header(&file).and_then(|header| {
            check(&header, place, what.kind)?;
            let mapping = map(&file, &path, hash.is_some(), &header)?;
            let join = (file, mapping, header, path.clone(), hash, key);
            Self::join(join, what.recover)?.ok_or(OpenError::Full)
        });
        if entered.is_err() && hash.is_some() && read_header(&again).is_ok_and(|header| !header.persistent) {
            // Its last user may have left meanwhile, and left it to us.
            let _ = sweep::unlink_unused(&again, &path);
        }
        entered
    }

    /// Creates under a name that nobody looks for, fills, then publishes: no one ever sees half of it.
    fn draft(path: &Path, hash: Option<u128>, header: &Header, init: &dyn Fn(Region<'_>)) -> Result<Arc<Self>, Draft> {
        let name = name::draft_name(sys::random().map_err(CreateError::Io)?);
        let draft = Unpublished { path: path.with_file_name(&name), published: false };
        let needed = header.total_len as u64;
        let full = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOSPC | libc::ENOMEM | libc::EDQUOT | libc::EFBIG) => CreateError::NoSpace { needed },
            _ => CreateError::Io(error),
        };
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let room = sys::free_space(parent.unwrap_or(Path::new("."))).map_err(CreateError::Io)?;
        if room.is_some_and(|free| free < needed) {
            return Err(CreateError::NoSpace { needed }.into());
        }
        let (file, mapping) = create_file(&draft.path, &name, hash.is_some(), header.total_len, &full)?;
        // SAFETY: page-aligned, and `create_file` mapped all of total_len.
        let whole = unsafe { Region::new(mapping.start(), header.total_len) };
        let written = whole.copy_in(0, &header.encode());
        debug_assert!(written.is_some(), "the control pages hold the header");
        // SAFETY: the header describes this mapping.
        init(unsafe { region(&mapping, header) });
        let key = check_owner(&file).map_err(|_| CreateError::AccessDenied)?;
        let join = (file, mapping, header.clone(), path.to_owned(), hash, key);
        let segment = Self::join(join, &|_, _| {}).map_err(CreateError::Io)?.ok_or(CreateError::Busy)?;
        match draft.publish(path) {
            Ok(()) => Ok(segment),
            Err(error) => match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Err(Draft::Swept),
                _ => Err(CreateError::Io(error).into()),
            },
        }
    }

    /// Enters the table and the process's list. `None`: the table is full.
    fn join(
        (file, mapping, header, path, place, key): (File, Mapping, Header, PathBuf, Option<u128>, FileKey),
        recover: &dyn Fn(Region<'_>, Dead),
    ) -> io::Result<Option<Arc<Self>>> {
        // SAFETY: the header was checked: the data lies inside the mapping.
        let data = unsafe { region(&mapping, &header) };
        // SAFETY: page-aligned, and every header that passes leaves room for the table.
        let table = unsafe { Table::new(mapping.start()) };
        let Some(own) = table.join(&file, &|dead| recover(data, dead))? else {
            return Ok(None);
        };
        let segment = Arc::new(Self { file, mapping, header, path, place, own, recovering: Mutex::new(()), key });
        let mut known = registry();
        if let Some(other) = known.get(&key).and_then(Weak::upgrade) {
            // Another thread was faster. Ours leaves after the list is unlocked: leaving locks it too.
            drop(known);
            return Ok(Some(other));
        }
        known.insert(key, Arc::downgrade(&segment));
        drop(known);
        Ok(Some(segment))
    }

    fn check(&self, place: &Place, kind: Kind) -> Result<(), OpenError> {
        check(&self.header, place, kind)
    }

    fn table(&self) -> Table<'_> {
        // SAFETY: page-aligned, and every header that passes leaves room for the table.
        unsafe { Table::new(self.mapping.start()) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.table().leave(self.own);
        let mut known = registry();
        // A thread that opens it anew at this moment may have replaced the entry.
        if known.get(&self.key).is_some_and(|entry| entry.strong_count() == 0) {
            known.remove(&self.key);
        }
        drop(known);
        if !self.header.persistent {
            // Whoever is last succeeds. An error leaves the file to the next sweep.
            let _ = sweep::unlink_unused(&self.file, &self.path);
        }
    }
}

impl std::fmt::Debug for Create<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Create")
            .field("kind", &self.kind)
            .field("size", &self.size)
            .field("persistent", &self.persistent)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a draft did not become a segment.
enum Draft {
    /// Someone took the name, or swept the draft before it was locked: begin again.
    Swept,
    /// It makes no sense to try again.
    Failed(CreateError),
}

impl From<CreateError> for Draft {
    fn from(error: CreateError) -> Self {
        Self::Failed(error)
    }
}

/// A file that goes away again unless it is published.
struct Unpublished {
    path: PathBuf,
    published: bool,
}

impl Unpublished {
    fn publish(mut self, path: &Path) -> io::Result<()> {
        sys::rename_new(&self.path, path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.published {
            // Not there: never created, or swept.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode: what a file is, whatever its name.
type FileKey = (u64, u64);

/// All segments of this process, to give each only one place in its table.
fn registry() -> MutexGuard<'static, HashMap<FileKey, Weak<Segment>>> {
    static REGISTRY: LazyLock<Mutex<HashMap<FileKey, Weak<Segment>>>> = LazyLock::new(Mutex::default);
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Path of the segment whose place hashes to `place`.
fn hashed(place: u128) -> io::Result<(PathBuf, Option<u128>)> {
    let path = sys::segment_dir()?.join(name::file_name(place));
    Ok((path, Some(place)))
}

/// # Safety
/// `header` must describe `mapping`: written for it, or checked against its file's length.
unsafe fn region<'a>(mapping: &'a Mapping, header: &Header) -> Region<'a> {
    // SAFETY: data_offset lies inside the mapping by the caller's promise.
    let start = unsafe { mapping.start().add(header.data_offset) };
    // SAFETY: page-aligned as data_offset is, and data_len ends inside the mapping.
    unsafe { Region::new(start, header.data_len) }
}

/// Creates the file with all its pages backed, marks it as in use, and maps it.
fn create_file(
    path: &Path,
    name: &str,
    object: bool,
    len: usize,
    full: &dyn Fn(io::Error) -> CreateError,
) -> Result<(File, Mapping), Draft> {
    let in_use_and_reserved = |file: &File| {
        if !sys::flock(file, false).map_err(CreateError::Io)? {
            return Err(Draft::Swept);
        }
        sys::reserve(file, len as u64).map_err(|error| Draft::Failed(full(error)))
    };
    #[cfg(target_os = "linux")]
    if object {
        let mapping = Mapping::create_object(name, len).map_err(full)?;
        let file = match sys::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Draft::Swept),
            opened => opened.map_err(CreateError::Io)?,
        };
        in_use_and_reserved(&file)?;
        return Ok((file, mapping));
    }
    let _ = (name, object);
    let file = sys::create_new(path).map_err(full)?;
    in_use_and_reserved(&file)?;
    let mapping = Mapping::of_file(&file, len).map_err(full)?;
    Ok((file, mapping))
}

/// Maps what `file` is, and makes sure that it is the same file when it goes by name.
fn map(file: &File, path: &Path, object: bool, header: &Header) -> Result<Mapping, OpenError> {
    #[cfg(target_os = "linux")]
    if object && let Some(name) = path.file_name().and_then(|name| name.to_str()) {
        let mapping = Mapping::open_object(name)?;
        if mapping.len() != header.total_len {
            return Err(OpenError::NotFound);
        }
        let mut bytes = [0; HEADER_LEN];
        // SAFETY: page-aligned, and total_len bytes are mapped.
        let whole = unsafe { Region::new(mapping.start(), header.total_len) };
        whole.copy_out(0, &mut bytes).ok_or(OpenError::Truncated)?;
        // Only an `interproc rm` and a new segment of that name in this very moment make a difference.
        if Header::decode(&bytes, header.total_len as u64)?.id != header.id {
            return Err(OpenError::NotFound);
        }
        return Ok(mapping);
    }
    let _ = (path, object);
    Ok(Mapping::of_file(file, header.total_len)?)
}

/// Marks the file as used by this process. `false`: another process is about to remove it, or just looks at it; try again.
fn claim(file: &File, path: &Path, sweepable: bool) -> Result<bool, OpenError> {
    if sys::flock(file, true)? {
        // Nobody uses it. What a killed process left is gone for everyone.
        if sweepable && !read_header(file)?.persistent {
            sweep::unlink_unused(file, path)?;
            return Err(OpenError::NotFound);
        }
    }
    Ok(sys::flock(file, false)?)
}

/// The file's identity, if it is a plain file that only this user may open.
pub(super) fn check_owner(file: &File) -> Result<FileKey, OpenError> {
    let found = file.metadata()?;
    if found.is_file() && found.uid() == sys::user_id() && found.mode() & 0o077 == 0 {
        Ok((found.dev(), found.ino()))
    } else {
        Err(OpenError::AccessDenied)
    }
}

/// Reads by system call, not through a mapping: a file that is too short is an error here, not a SIGBUS.
pub(super) fn read_header(file: &File) -> Result<Header, OpenError> {
    Header::decode(&read_header_bytes(file)?, file.metadata()?.len())
}

pub(super) fn read_header_bytes(file: &File) -> Result<[u8; HEADER_LEN], OpenError> {
    let mut bytes = [0; HEADER_LEN];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::Truncated),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(bytes),
    }
}

fn check(header: &Header, place: &Place, kind: Kind) -> Result<(), OpenError> {
    match place {
        Place::Ticket(ticket) if ticket.id != header.id => return Err(OpenError::NotFound),
        Place::Name(name) if name.as_str() != header.name => {
            return Err(OpenError::Corrupt("the file has the hash of another name"));
        }
        _ => {}
    }
    if header.kind != kind {
        return Err(OpenError::KindMismatch { expected: kind, found: header.kind });
    }
    Ok(())
}
