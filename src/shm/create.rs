//! Creating a segment: nobody ever sees half of one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::alone;
use super::error::CreateError;
use super::header::{self, Header, Kind, ORIGIN_OFFSET, PARAMS};
use super::mapping::Mapping;
use super::name::{self, InvalidName, Place};
use super::open::check_owner;
use super::participants;
use super::region::Region;
use super::segment::{Parts, Segment, region};
use super::sweep::{self, Found};
use super::sys_unix as sys;

/// How long an intermediate step of another process may take before [`CreateError::Busy`]. It takes microseconds unless that
/// process is stopped in the middle.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

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
            match sweep::make_free(&path, hash.is_some())? {
                Found::Free => {}
                Found::InUse => return Err(CreateError::AlreadyExists),
                Found::Held if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Found::Held => return Err(CreateError::Busy),
            }
            match Self::draft(&path, hash, &header, what.init) {
                Ok(segment) => return Ok(segment),
                Err(Draft::Swept) if Instant::now() < deadline => {}
                Err(Draft::Swept) => return Err(CreateError::Busy),
                // What the dead left may be what is in the way.
                Err(Draft::Failed(CreateError::NoSpace { .. }))
                    if !swept && sweep::cleanup_quietly().is_ok_and(|removed| !removed.is_empty()) =>
                {
                    swept = true
                }
                Err(Draft::Failed(error)) => return Err(error),
            }
        }
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
        if hash.is_none() {
            let origin = alone::origin(&file).map_err(CreateError::Io)?;
            whole.atomic_u64(ORIGIN_OFFSET).inspect(|word| word.store(origin, Ordering::Relaxed));
            // Whole on the disk before it has its name there.
            file.sync_all().map_err(CreateError::Io)?;
        }
        let key = check_owner(&file).map_err(|_| CreateError::AccessDenied)?;
        let parts = Parts { file, mapping, header: header.clone(), path: path.to_owned(), place: hash, key };
        let segment = Self::join(parts, &|_, _| {}).map_err(CreateError::Io)?.ok_or(CreateError::Busy)?;
        match draft.publish(path) {
            Ok(()) if hash.is_none() => {
                sys::sync_folder(path).map(|()| segment).map_err(|error| CreateError::Io(error).into())
            }
            Ok(()) => Ok(segment),
            Err(error) => match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => Err(Draft::Swept),
                _ => Err(CreateError::Io(error).into()),
            },
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

/// Path of the segment whose place hashes to `place`.
pub(super) fn hashed(place: u128) -> io::Result<(PathBuf, Option<u128>)> {
    let path = sys::segment_dir()?.join(name::file_name(place));
    Ok((path, Some(place)))
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
