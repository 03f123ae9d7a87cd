//! Bytes that other processes have too: what `SharedBuffer` is in JavaScript.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::create::Create;
use super::error::{CreateError, OpenError};
use super::header::Kind;
use super::name::{InvalidName, Name, Place};
use super::open::Open;
use super::segment::Segment;

/// Shared bytes, or a slice of them. `SharedBuffer.open(name)` in Node has the same memory.
///
/// Others change the bytes at any time, so there is no `&[u8]` of them: [`read_at`](Self::read_at) and [`write_at`](Self::write_at)
/// copy, and the atomics order what is said by what was written before. [`lock::wait`](crate::lock::wait) and
/// [`lock::notify`](crate::lock::notify) block on a word. Cheap to clone; `Send` and `Sync`.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use interproc::shm::SharedBuffer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let buffer = SharedBuffer::alloc(1024)?;
/// buffer.write_at(4, b"hello")?;
/// buffer.atomic_u32(0).expect("aligned, and inside").store(5, Ordering::Release);
///
/// // In another process, which got the ticket over any wire: SharedBuffer.open(ticket) in Node, or
/// let same = SharedBuffer::open(&buffer.ticket())?;
/// let length = same.atomic_u32(0).expect("aligned, and inside").load(Ordering::Acquire);
/// let mut text = vec![0; length as usize];
/// same.read_at(4, &mut text)?;
/// assert_eq!(text, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SharedBuffer {
    segment: Arc<Segment>,
    begin: usize,
    len: usize,
}

/// The bytes asked for do not all lie in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl SharedBuffer {
    /// New zeroed memory without a name: its ticket finds it. Every page is there, a full `/dev/shm` is an error now.
    ///
    /// # Errors
    /// [`CreateError`]
    pub fn alloc(size: usize) -> Result<Self, CreateError> {
        Self::make(&Place::Anonymous, size, false)
    }

    /// The same under a name, until its last user leaves; `persistent`: until it is removed, or a reboot.
    ///
    /// # Errors
    /// [`CreateError`]: [`AlreadyExists`](CreateError::AlreadyExists) where a living process has the name.
    pub fn create(name: &str, size: usize, persistent: bool) -> Result<Self, CreateError> {
        Self::make(&Place::Name(Name::new(name)?), size, persistent)
    }

    /// What another process made, by its name or ticket. The ticket of a slice gives the slice.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(place: &str) -> Result<Self, OpenError> {
        let (place, slice) = match place.split_once('#') {
            Some((ticket, slice)) if matches!(Place::parse(ticket), Ok(Place::Ticket(_))) => {
                (ticket, Some(parse_slice(slice).ok_or(InvalidName::BadTicket)?))
            }
            _ => (place, None),
        };
        // Plain bytes: there is nothing half-done that a dead user could leave.
        let what = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
        let segment = Segment::open(&Place::parse(place)?, &what)?;
        let whole = Self { begin: 0, len: segment.region().len(), segment };
        match slice {
            None => Ok(whole),
            Some(range) => whole.slice(range).map_err(|OutOfRange| InvalidName::BadTicket.into()),
        }
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it: the same memory.
    ///
    /// # Errors
    /// [`OutOfRange`]
    pub fn slice(&self, range: Range<usize>) -> Result<Self, OutOfRange> {
        if range.start > range.end || range.end > self.len {
            return Err(OutOfRange);
        }
        Ok(Self { segment: Arc::clone(&self.segment), begin: self.begin + range.start, len: range.end - range.start })
    }

    /// Copies the bytes from `offset` on into `bytes`. What others write meanwhile may come half.
    ///
    /// # Errors
    /// [`OutOfRange`], and nothing copied.
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        let at = self.at(offset, bytes.len())?;
        self.segment.region().copy_out(at, bytes).ok_or(OutOfRange)
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// [`OutOfRange`], and nothing copied.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        let at = self.at(offset, bytes.len())?;
        self.segment.region().copy_in(at, bytes).ok_or(OutOfRange)
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        // Whole and inside, so it is copied.
        let _ = self.read_at(0, &mut bytes);
        bytes
    }

    /// The word at `offset` bytes: what `new Int32Array(buffer.buffer)` and `Atomics` work on in JavaScript. `None`: it does not lie
    /// inside, or its place in the memory is not a multiple of 4.
    #[must_use]
    pub fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        self.segment.region().atomic_u32(self.at(offset, 4).ok()?)
    }

    /// The same with 64 bits: `BigInt64Array`. Its place is a multiple of 8.
    #[must_use]
    pub fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        self.segment.region().atomic_u64(self.at(offset, 8).ok()?)
    }

    /// First byte. Reading and writing through it is for atomics and raw copies only; mapped as long as this or a clone lives.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        // `slice` keeps it inside.
        self.segment.region().as_ptr().wrapping_add(self.begin)
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.segment.name()
    }

    /// What opens exactly this memory, or this slice of it, in another process. Nobody can guess it.
    #[must_use]
    pub fn ticket(&self) -> String {
        // Files of a caller's choice have none, and this is never one.
        let ticket = self.segment.ticket().map(|ticket| ticket.to_string()).unwrap_or_default();
        if self.len == self.segment.region().len() { ticket } else { format!("{ticket}#{}+{}", self.begin, self.len) }
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Where it begins in the segment's data.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.begin
    }

    fn make(place: &Place, size: usize, persistent: bool) -> Result<Self, CreateError> {
        let what = Create { kind: Kind::BUFFER, size: size as u64, persistent, params: [0; _], init: &|_| {} };
        let segment = Segment::create(place, &what)?;
        Ok(Self { begin: 0, len: segment.region().len(), segment })
    }

    fn at(&self, offset: usize, len: usize) -> Result<usize, OutOfRange> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.begin + offset),
            _ => Err(OutOfRange),
        }
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes do not lie in the buffer")
    }
}

impl std::error::Error for OutOfRange {}

/// `<offset>+<length>`
fn parse_slice(text: &str) -> Option<Range<usize>> {
    let (offset, length) = text.split_once('+')?;
    let number = |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let offset = number(offset)?;
    Some(offset..offset.checked_add(number(length)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_slice_and_its_ticket_are_the_same_memory() {
        let buffer = SharedBuffer::alloc(64).unwrap();
        let slice = buffer.slice(8..24).unwrap().slice(8..16).unwrap();
        assert_eq!((slice.len(), slice.offset()), (8, 16));
        slice.atomic_u64(0).unwrap().store(0x0807_0605_0403_0201, Relaxed);
        let same = SharedBuffer::open(&slice.ticket()).unwrap();
        assert_eq!(same.to_vec(), 0x0807_0605_0403_0201_u64.to_ne_bytes());
        same.write_at(7, &[9]).unwrap();
        assert_eq!(buffer.to_vec()[23], 9);
        assert_eq!(SharedBuffer::open(&buffer.ticket()).unwrap().len(), 64);
    }

    #[test]
    fn nothing_outside_is_touched() {
        let buffer = SharedBuffer::alloc(16).unwrap();
        let slice = buffer.slice(4..8).unwrap();
        assert_eq!(slice.write_at(1, &[1; 4]), Err(OutOfRange));
        assert_eq!(slice.read_at(usize::MAX, &mut [0; 2]), Err(OutOfRange));
        assert!(slice.atomic_u64(0).is_none() && slice.atomic_u32(4).is_none());
        assert!(buffer.atomic_u32(2).is_none());
        assert!(buffer.slice(0..17).is_err());
        let ticket = buffer.ticket();
        for slice in ["#", "#0", "#0+17", "#17+0", "#-1+1", "#+1+1", "#1+18446744073709551615", "#0+1#0+1"] {
            assert!(SharedBuffer::open(&format!("{ticket}{slice}")).is_err(), "{slice}");
        }
        assert!(SharedBuffer::open(&format!("{ticket}#16+0")).unwrap().is_empty());
        assert_eq!(buffer.to_vec(), [0; 16]);
    }

    #[test]
    fn names_are_taken_once() {
        let name = format!("rust buffer {} # +", std::process::id());
        let buffer = SharedBuffer::create(&name, 5, false).unwrap();
        assert!(matches!(SharedBuffer::create(&name, 5, false), Err(CreateError::AlreadyExists)));
        assert_eq!(SharedBuffer::open(&name).unwrap().name(), Some(name.as_str()));
        drop(buffer);
        assert!(matches!(SharedBuffer::open(&name), Err(OpenError::NotFound)));
    }
}
