//! A segment in a file, opened while nobody else has it open: whatever became of it meanwhile is put in order first.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::OpenError;
use super::header::{Header, ORIGIN_OFFSET};
use super::mapping::Mapping;
use super::region::Region;
use super::segment::region;
use super::sys_unix as sys;

/// How long others wait for who puts a file in order, before [`OpenError::Busy`]: all that is in it may have to be read.
pub(super) const FILE_PATIENCE: Duration = Duration::from_secs(30);

/// A segment in a file of the caller's choice that nobody else uses at this moment; whoever opens it now waits.
#[derive(Debug)]
pub struct Alone<'a> {
    /// The data.
    pub region: Region<'a>,
    /// Where its file is.
    pub path: &'a Path,
    /// As [`Segment::id`](super::Segment::id).
    pub id: u128,
    /// All that is there was written since this machine was started, to this very file: every page is the newest. Otherwise the machine
    /// may have lost power, or the file is a copy, and each page is of another moment.
    pub coherent: bool,
}

/// Puts in order what nobody uses, see [`Segment::open_first`](super::Segment::open_first).
pub type First<'a> = &'a dyn Fn(&Alone<'_>);

/// Lets `first` look at a file that this process has locked for itself, and writes down which boot and file its pages are of.
pub(super) fn before_anyone_joins(
    file: &File,
    path: &Path,
    header: &Header,
    first: First<'_>,
) -> Result<(), OpenError> {
    let mapping = Mapping::of_file(file, header.total_len)?;
    // SAFETY: page-aligned, and total_len bytes are mapped.
    let whole = unsafe { Region::new(mapping.start(), header.total_len) };
    let (written, now) = (whole.atomic_u64(ORIGIN_OFFSET).ok_or(OpenError::Truncated)?, origin(file)?);
    // SAFETY: the header was checked: the data lies inside the mapping.
    let region = unsafe { region(&mapping, header) };
    let coherent = now != 0 && written.load(Ordering::Relaxed) == now;
    first(&Alone { region, path, id: header.id, coherent });
    written.store(now, Ordering::Relaxed);
    Ok(())
}

/// Names this boot of the machine and this file, for comparing. 0: the system does not say.
pub(super) fn origin(file: &File) -> io::Result<u64> {
    let Some(boot) = sys::boot_id() else { return Ok(0) };
    let found = file.metadata()?;
    let numbers = [found.dev().to_ne_bytes(), found.ino().to_ne_bytes()];
    let bytes = boot.iter().chain(numbers.iter().flatten());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Ok(hash.max(1))
}
