//! Opening a segment, whatever the file turns out to be.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alone::{FILE_PATIENCE, First, before_anyone_joins};
use super::create::{Create, PATIENCE, hashed};
use super::error::{CreateError, OpenError};
use super::header::{HEADER_LEN, Header, Kind};
use super::mapping::Mapping;
use super::name::{self, InvalidName, Place, Ticket};
use super::participants::Dead;
use super::region::Region;
use super::registry::{self, FileKey};
use super::segment::{Parts, Segment};
use super::{sweep, sys_unix as sys};

/// What to open.
pub struct Open<'a> {
    /// What must live in it.
    pub kind: Kind,
    /// Repairs what a dead participant left half-done, before its slot is used again. Runs under that slot's lock: in one process
    /// at a time; and again, from its begin, if this process dies in it.
    pub recover: &'a dyn Fn(Region<'_>, Dead),
}

impl Segment {
    /// Opens a living segment. One whose users all died counts as gone, unless it is persistent.
    ///
    /// # Errors
    /// [`OpenError`]; a damaged or foreign file is left as it is.
    pub fn open(place: &Place, what: &Open<'_>) -> Result<Arc<Self>, OpenError> {
        Self::open_first(place, what, &|_| {})
    }

    /// As [`open`](Self::open). If it is in a file of the caller's choice, and nobody else uses it, `first` runs before anyone joins.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_first(place: &Place, what: &Open<'_>, first: First<'_>) -> Result<Arc<Self>, OpenError> {
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
        let deadline = Instant::now() + if hash.is_some() { PATIENCE } else { FILE_PATIENCE };
        let before = |file: &File| {
            let header = read_header(file)?;
            check(&header, place, what.kind)?;
            before_anyone_joins(file, &path, &header, first)
        };
        loop {
            let file = sys::open(&path)?;
            let key = check_owner(&file)?;
            if let Some(known) = registry::find(key) {
                check(known.header(), place, what.kind)?;
                return Ok(known);
            }
            if claim(&file, &path, hash.is_some(), &before)? && file.metadata()?.nlink() > 0 {
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
        Self::open_first_or_create(place, open, create, &|_| {})
    }

    /// As [`open_first`](Self::open_first), or creates it where there is none.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open_first_or_create(
        place: &Place,
        open: &Open<'_>,
        create: &Create<'_>,
        first: First<'_>,
    ) -> Result<Result<(Arc<Self>, bool), CreateError>, OpenError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::open_first(place, open, first) {
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
            let parts = Parts { file, mapping, header, path: path.clone(), place: hash, key };
            Self::join(parts, what.recover)?.ok_or(OpenError::Full)
        });
        if entered.is_err() && hash.is_some() && read_header(&again).is_ok_and(|header| !header.persistent) {
            // Its last user may have left meanwhile, and left it to us.
            let _ = sweep::unlink_unused(&again, &path);
        }
        entered
    }
}

impl std::fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("kind", &self.kind).finish_non_exhaustive()
    }
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
///
/// `alone` runs while nobody else can use it, if it is a file of the caller's choice.
fn claim(
    file: &File,
    path: &Path,
    sweepable: bool,
    alone: &dyn Fn(&File) -> Result<(), OpenError>,
) -> Result<bool, OpenError> {
    if sys::flock(file, true)? {
        // Nobody uses it. What a killed process left is gone for everyone.
        if sweepable {
            let header = read_header(file)?;
            if !header.persistent && !header.kind.is_inherited() {
                sweep::unlink_unused(file, path)?;
                return Err(OpenError::NotFound);
            }
        }
        if !sweepable {
            alone(file)?;
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
