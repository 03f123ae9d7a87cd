//! Listing segments, and removing what the dead left.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::create::PATIENCE;
use super::error::{CreateError, OpenError};
use super::header::{self, HEADER_LEN, Kind, TABLE_OFFSET};
use super::name::{self, Place, Ticket};
use super::open::{check_owner, read_header, read_header_bytes};
use super::participants::{TABLE_LEN, User, anyone_lives, users_of_file};
use super::sys_unix as sys;

/// How often creating a segment looks for what the dead left, at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// One file of this user's segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The file's name in the folder of segments.
    pub file_name: String,
    /// The user's name for it; `None` if it has none, or cannot be read.
    pub name: Option<String>,
    /// What opens exactly this one; `None` if it cannot be read.
    pub ticket: Option<Ticket>,
    /// What lives in it; `None` if it cannot be read.
    pub kind: Option<Kind>,
    /// Bytes of data.
    pub size: u64,
    /// Bytes that the file takes.
    pub total: u64,
    /// Whether it stays without users.
    pub persistent: bool,
    /// Milliseconds since 1970.
    pub created: u64,
    /// All who came and did not leave in order, the dead too.
    pub users: Vec<User>,
    /// Whether it serves anyone.
    pub health: Health,
}

/// What a listed segment is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Someone uses it.
    InUse,
    /// Nobody uses it, and it is meant to stay.
    Unused,
    /// Nobody uses it, nobody ever will: [`cleanup`] removes it.
    Orphan,
    /// It cannot be opened, for the reason given; [`cleanup`] removes it once no process has it open.
    Broken(String),
}

/// What [`remove`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone. Who had it open keeps the memory.
    Removed,
    /// It is in use, and force was not asked for, or does not go.
    InUse,
}

/// Where named segments are.
///
/// # Errors
/// It is not there, and cannot be made.
pub fn folder() -> io::Result<std::path::PathBuf> {
    sys::segment_dir()
}

/// All published segments of this user, named or not; not those in files of the caller's choice.
///
/// # Errors
/// When the folder of segments cannot be read.
pub fn list() -> io::Result<Vec<Info>> {
    let mut infos = Vec::new();
    for_each_file(&mut |path, file_name| {
        if file_name.starts_with(&name::draft_prefix()) {
            return;
        }
        // Gone or taken by another user meanwhile: not listed.
        if let Ok(file) = sys::open(path)
            && check_owner(&file).is_ok()
            && let Ok(info) = look_at(&file, file_name)
        {
            infos.push(info);
        }
    })?;
    infos.sort_by(|a, b| (&a.name, &a.file_name).cmp(&(&b.name, &b.file_name)));
    Ok(infos)
}

/// Removes every segment of this user that nobody uses and that is not persistent, and damaged ones. Gives what it removed.
/// Never touches what a living process has, stopped or not. Waits for others that look at what nobody uses, two seconds at most for
/// each that is stopped amid that.
///
/// # Errors
/// When the folder of segments cannot be read.
pub fn cleanup() -> io::Result<Vec<Info>> {
    sweep(&|bytes| !header::says_persistent(bytes), PATIENCE)
}

/// [`cleanup`] of what nobody will ever want: spares what the next user takes over.
pub(super) fn cleanup_quietly() -> io::Result<Vec<Info>> {
    sweep(&|bytes| !header::says_persistent(bytes) && !header::says_inherited(bytes), Duration::ZERO)
}

/// Removes what nobody uses, if its header may go by what `may_go` says, or cannot be read.
fn sweep(may_go: &dyn Fn(&[u8; HEADER_LEN]) -> bool, patience: Duration) -> io::Result<Vec<Info>> {
    let mut removed = Vec::new();
    for_each_file(&mut |path, file_name| {
        // What cannot be opened or locked is not ours or is in use.
        if let Ok(file) = sys::open(path)
            && check_owner(&file).is_ok()
            && let Ok(true) = take_alone(&file, file_name, patience)
            && let Ok(info) = look_at(&file, file_name)
            && read_header_bytes(&file).map_or(true, |bytes| may_go(&bytes))
            && let Ok(true) = unlink_same(&file, path)
        {
            removed.push(info);
        }
    })?;
    Ok(removed)
}

/// Takes the exclusive lock, or says `false` if the file is in use, gone, or a draft that another works at.
fn take_alone(file: &File, file_name: &str, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    while !sys::flock(file, true)? {
        // Who holds it without being its user just looks at it, or removes it.
        let settles =
            !file_name.starts_with(&name::draft_prefix()) && file.metadata()?.nlink() > 0 && !anyone_lives(file)?;
        if !settles || Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(true)
}

/// Removes one segment, persistent or not; with `force` also while it is in use. But not the table of locks: its users would not exclude
/// those who come later.
///
/// # Errors
/// [`OpenError::NotFound`], or what keeps us from it. Damaged segments can be removed.
pub fn remove(place: &Place, force: bool) -> Result<Removal, OpenError> {
    let path = match place {
        Place::Anonymous => return Err(super::InvalidName::WrongPlace.into()),
        Place::Name(name) => sys::segment_dir()?.join(name::file_name(name::hash_name(name))),
        Place::Ticket(ticket) => sys::segment_dir()?.join(name::file_name(ticket.place)),
        Place::File(path) => path.clone(),
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = sys::open(&path)?;
        check_owner(&file)?;
        if let Place::Ticket(ticket) = place
            && read_header(&file)?.id != ticket.id
        {
            return Err(OpenError::NotFound);
        }
        if let Place::File(_) = place {
            // Not in our folder: only what is a segment for sure.
            read_header(&file)?;
        }
        let vital = || read_header(&file).is_ok_and(|header| header.kind.is_inherited());
        if sys::flock(&file, true)? || force && !vital() {
            return if unlink_same(&file, &path)? { Ok(Removal::Removed) } else { Err(OpenError::NotFound) };
        }
        // Who holds it without being its user just looks at it, or removes it.
        if anyone_lives(&file)? {
            return Ok(Removal::InUse);
        }
        if Instant::now() > deadline {
            return Err(OpenError::Busy);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// [`cleanup_quietly`], unless this process did it a few seconds ago. Its failure is nobody's concern here.
pub(super) fn now_and_then() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    // Held by another thread: it sweeps right now.
    let Ok(mut last) = LAST.try_lock() else {
        return;
    };
    if last.is_none_or(|at| at.elapsed() > SWEEP_INTERVAL) {
        let _ = cleanup_quietly();
        *last = Some(Instant::now());
    }
}

/// What stands where a new segment shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or not any more.
    Free,
    /// A segment that someone uses, or that is meant to stay.
    InUse,
    /// What no living process uses, but one holds: it looks at it, removes it, or comes or goes right now.
    Held,
}

/// What is at `path`, after removing a segment there whose users all died.
pub(super) fn make_free(path: &Path, sweepable: bool) -> Result<Found, CreateError> {
    let file = match sys::open(path) {
        Ok(file) => file,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(Found::Free),
                io::ErrorKind::PermissionDenied => Err(CreateError::AccessDenied),
                _ => Err(error.into()),
            };
        }
    };
    check_owner(&file).map_err(|_| CreateError::AccessDenied)?;
    let stays = |bytes: [u8; HEADER_LEN]| header::says_persistent(&bytes) || header::says_inherited(&bytes);
    if !sweepable || read_header_bytes(&file).is_ok_and(stays) {
        return Ok(Found::InUse);
    }
    if !sys::flock(&file, true)? {
        return Ok(if anyone_lives(&file)? { Found::InUse } else { Found::Held });
    }
    // Not removed: it was gone already, and another may be there.
    Ok(if unlink_same(&file, path)? { Found::Free } else { Found::Held })
}

/// Removes `path` if it still is `file` and no other process has that marked as in use.
pub(super) fn unlink_unused(file: &File, path: &Path) -> io::Result<bool> {
    Ok(sys::flock(file, true)? && unlink_same(file, path)?)
}

/// Removes `path` if it still is `file`. Callers hold the exclusive lock, so nobody else of us removes or replaces it between.
fn unlink_same(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    let same = match std::fs::symlink_metadata(path) {
        Ok(found) => (found.dev(), found.ino()) == (ours.dev(), ours.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if same {
        crate::sync::step();
        std::fs::remove_file(path)?;
    }
    Ok(same)
}

fn for_each_file(visit: &mut dyn FnMut(&Path, &str)) -> io::Result<()> {
    let prefix = name::file_prefix();
    for entry in std::fs::read_dir(sys::segment_dir()?)? {
        let entry = entry?;
        if let Some(file_name) = entry.file_name().to_str()
            && file_name.starts_with(&prefix)
        {
            visit(&entry.path(), file_name);
        }
    }
    Ok(())
}

fn look_at(file: &File, file_name: &str) -> io::Result<Info> {
    let total = file.metadata()?.len();
    let mut info = Info {
        file_name: file_name.to_owned(),
        name: None,
        ticket: None,
        kind: None,
        size: 0,
        total,
        persistent: false,
        created: 0,
        users: Vec::new(),
        health: Health::Orphan,
    };
    match read_header(file) {
        Err(why) => info.health = Health::Broken(why.to_string()),
        Ok(header) => {
            let mut table = [0; TABLE_LEN];
            file.read_exact_at(&mut table, TABLE_OFFSET as u64)?;
            info.users = users_of_file(file, &table)?;
            info.name = (!header.name.is_empty()).then_some(header.name);
            info.kind = Some(header.kind);
            info.ticket = name::place_of(file_name).map(|place| Ticket { kind: header.kind, place, id: header.id });
            info.size = header.data_len as u64;
            info.persistent = header.persistent;
            info.created = header.created;
            info.health = if info.users.iter().any(|user| user.alive) {
                Health::InUse
            } else if header.persistent {
                Health::Unused
            } else {
                Health::Orphan
            };
        }
    }
    Ok(info)
}
