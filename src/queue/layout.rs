//! Where everything is in a queue's segment. Written down for other languages in `docs/queue-layout.md`.
//!
//! ```text
//! 0      words of the whole: magic, shape, tail, free, counters, sets of seats
//! 512    seats, 128 bytes each
//! 66048  states, 8 bytes a slot
//! …      in topics only: counts, 8 bytes a slot
//! …      slots, 64 bytes each, from the next multiple of 4096 on
//! ```

use std::mem::MaybeUninit;

use super::record::{SLOT, START};
use super::ring::{Corrupt, Ring};
use super::state::{SEATS, Shape, advance};
use super::waiters::{WORDS, Waiters};
use crate::shm::{Participant, Region};
use crate::sync::counted::{self, AtomicU32, AtomicU64};
use crate::sync::{Ordering, step};

const WORK: u64 = u64::from_le_bytes(*b"ipqueue1");
const TOPIC: u64 = u64::from_le_bytes(*b"iptopic1");

const AT_MAGIC: usize = 0;
const AT_SHAPE: usize = 8;
const AT_TAIL: usize = 64;
const AT_FREE: usize = 128;
const AT_RETURNED: usize = 192;
const AT_RECEIVERS: usize = 256;
const AT_SENDERS: usize = 320;
const AT_SUBSCRIBERS: usize = 384;
const AT_SEATS: usize = 512;
/// How many slots before they are written to their memory is fetched.
pub(crate) const AHEAD: u32 = 16;
/// Slots of a record for which that is worth it: the processor sees by itself where a larger one goes on.
pub(crate) const SMALL: u32 = 4;

const AT_STATES: usize = AT_SEATS + SEATS * size_of::<Seat>();

/// Choices that hold for all users of a queue, made by its creator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A message stays in the queue until its receiver acknowledges it.
    pub ack: bool,
    /// Records carry a checksum: the queue is in a file that may be read after a power cut.
    pub checked: bool,
    /// What values are encoded with, for openers that do not say. The queue does not look.
    pub codec: u8,
}

/// What the ring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Each message goes to one receiver.
    Work,
    /// Each message goes to all subscribers.
    Topic,
}

/// One handle's place in a queue. The first line is for all, the second is the owner's alone (and its JavaScript's).
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Seat {
    /// Who sits here, see [`occupant`]; 0: free.
    pub(crate) occupant: AtomicU64,
    /// How it is woken: 0 not at all, 1 by its bell, 2 by its signal.
    pub(crate) mode: AtomicU32,
    /// A futex word, counted up at every wake-up.
    pub(crate) signal: AtomicU32,
    /// Which of all bells that this seat ever had; 0: none yet.
    pub(crate) bell: AtomicU64,
    /// A subscriber's place in a topic.
    pub(crate) cursor: AtomicU64,
    /// Messages sent and received from here, for listings.
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    /// What it subscribed to in a topic: 0 nothing, 1 reliable, 2 lossy.
    pub(crate) subscribed: AtomicU32,
    rest: [AtomicU32; 3],
    /// Messages that applications have got here: the lower half is the [`mark`](Self::mark), the upper half is those before the
    /// present lease, modulo 2^32. One word, so that their sum is right at every moment, also of a death.
    got: AtomicU64,
    unused: [AtomicU32; 14],
}

const _: () = assert!(size_of::<Seat>() == 128);

impl Seat {
    /// Messages of the present lease that the application has got.
    pub(crate) fn mark(&self) -> &AtomicU32 {
        // SAFETY: the first half of an aligned word, which lives as long; both are atomics.
        unsafe { &*std::ptr::from_ref(&self.got).cast() }
    }

    /// A lease begins, or the time of another owner: the mark is 0, and what it said is of the past.
    pub(crate) fn clear_mark(&self) {
        self.got.store((u64::from(self.got()) << 32).to_le(), Ordering::Release);
    }

    /// Messages received from here. In a queue without acknowledgement exactly those that applications have got, also those who
    /// were killed then: the counter may be behind, or before, by what is in one lease.
    pub(crate) fn received(&self, exact: bool) -> u64 {
        let counted = self.received.load(Ordering::Relaxed);
        let ahead = if exact { self.got().wrapping_sub(low(counted)) } else { 0 };
        counted.wrapping_add_signed(ahead.cast_signed().into())
    }

    fn got(&self) -> u32 {
        let got = u64::from_le(self.got.load(Ordering::Relaxed));
        low(got).wrapping_add(low(got >> 32))
    }
}

fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// How a sleeper wants to be woken.
pub(crate) const BELL: u32 = 1;
pub(crate) const SIGNAL: u32 = 2;

/// Of the word for a taken seat, what tells one handle of a process from the next at the same seat.
const HANDLE: u64 = 0xffff << 16;

/// The word for a taken seat: never 0. `handle`: another number each time.
pub(crate) fn occupant(who: Participant, handle: u16) -> u64 {
    u64::from(who.generation) << 32 | u64::from(handle) << 16 | u64::from(who.slot) << 8 | 1
}

/// Whether that is the word of a handle of this process.
pub(crate) fn is_of(word: u64, who: Participant) -> bool {
    word & !HANDLE == occupant(who, 0)
}

/// Everything shared of one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) ring: Ring<'a>,
    pub(crate) flags: Flags,
    pub(crate) form: Form,
    /// In a topic, for every slot that `free` stood at: the messages before it. Otherwise none.
    pub(crate) counts: &'a [AtomicU64],
    /// Counts the records that became ready behind readers that had passed them.
    pub(crate) returned: &'a AtomicU64,
    /// Seats that wait for messages.
    pub(crate) receivers: Waiters<'a>,
    /// Seats that wait for room.
    pub(crate) senders: Waiters<'a>,
    /// Seats that a topic's writers wait for.
    pub(crate) subscribers: Waiters<'a>,
    pub(crate) seats: &'a [Seat],
    region: Region<'a>,
    slots_at: usize,
}

/// The shape that holds `capacity` bytes of slots. `None` if it is too large.
pub(crate) fn shape_for(capacity: u64) -> Option<Shape> {
    let slots = capacity.div_ceil(SLOT as u64).max(8).checked_next_power_of_two()?;
    Shape::new(slots.trailing_zeros())
}

/// Bytes of a segment's data for a queue of that shape.
pub(crate) fn size_for(shape: Shape, form: Form) -> u64 {
    slots_at(shape, form) as u64 + u64::from(shape.slots()) * SLOT as u64
}

fn slots_at(shape: Shape, form: Form) -> usize {
    let tables = if form == Form::Topic { 2 } else { 1 };
    (AT_STATES + tables * shape.slots() as usize * size_of::<u64>()).next_multiple_of(4096)
}

/// Fills a new segment's data, all zero so far.
pub(crate) fn init(region: Region<'_>, shape: Shape, form: Form, flags: Flags) -> Result<(), Corrupt> {
    let choices = u64::from(flags.ack) | u64::from(flags.checked) << 1 | u64::from(flags.codec) << 8;
    word(region, AT_SHAPE)?.store(u64::from(shape.slots().trailing_zeros()) | choices << 32, Ordering::Relaxed);
    let magic = if form == Form::Topic { TOPIC } else { WORK };
    word(region, AT_MAGIC)?.store(magic, Ordering::Relaxed);
    Shared::attach(region)?.ring.init();
    Ok(())
}

impl<'a> Shared<'a> {
    /// Finds everything, and proves that it lies inside.
    pub(crate) fn attach(region: Region<'a>) -> Result<Self, Corrupt> {
        let form = match word(region, AT_MAGIC)?.load(Ordering::Relaxed) {
            WORK => Form::Work,
            TOPIC => Form::Topic,
            _ => return Err(Corrupt),
        };
        let packed = word(region, AT_SHAPE)?.load(Ordering::Relaxed);
        let shape = u32::try_from(packed & 0xffff_ffff).ok().and_then(Shape::new).ok_or(Corrupt)?;
        if size_for(shape, form) > region.len() as u64 {
            return Err(Corrupt);
        }
        let [.., codec, choices] = u32::try_from(packed >> 32).map_err(|_| Corrupt)?.to_be_bytes();
        let flags = Flags { ack: choices & 1 != 0, checked: choices & 2 != 0, codec };
        let slots = shape.slots() as usize;
        let states = words(region, AT_STATES, slots)?;
        let counts =
            if form == Form::Topic { words(region, AT_STATES + slots * size_of::<u64>(), slots)? } else { &[] };
        let ring = Ring { shape, tail: word(region, AT_TAIL)?, free: word(region, AT_FREE)?, states };
        let set = |at| words(region, at, WORDS).map(|words| Waiters { words });
        Ok(Self {
            ring,
            flags,
            form,
            counts,
            returned: word(region, AT_RETURNED)?,
            receivers: set(AT_RECEIVERS)?,
            senders: set(AT_SENDERS)?,
            subscribers: set(AT_SUBSCRIBERS)?,
            seats: seats(region)?,
            region,
            slots_at: slots_at(shape, form),
        })
    }

    /// Writes into a record, `offset` bytes from its begin.
    pub(crate) fn write(&self, position: u64, offset: usize, bytes: &[u8]) -> Result<(), Corrupt> {
        step();
        self.region.copy_in(self.address(position) + offset, bytes).ok_or(Corrupt)
    }

    /// Before small records are written one after the other: fetches what comes a few of them later, since this processor has
    /// not had it for a lap. Each state is changed by an instruction that waits for all stores before it.
    pub(crate) fn fetch_ahead(&self, position: u64, slots: u32) {
        if slots > SMALL {
            return;
        }
        let ahead = advance(position, AHEAD);
        prefetch(std::ptr::from_ref(&self.ring.states[self.ring.shape.index(ahead)]));
        let (start, _) = self.slots();
        for slot in 0..slots {
            prefetch(start.wrapping_add(self.place(advance(ahead, slot))));
        }
    }

    /// Writes a record's `start` and `base` at once: who dies here has written both or none.
    pub(crate) fn write_start(&self, position: u64, start: u32, base: u32) -> Result<(), Corrupt> {
        let word = word(self.region, self.address(position) + START)?;
        word.store(u64::from_le(u64::from(start) | u64::from(base) << 32), Ordering::Relaxed);
        Ok(())
    }

    /// Reads from a record, `offset` bytes from its begin.
    pub(crate) fn read(&self, position: u64, offset: usize, bytes: &mut [u8]) -> Result<(), Corrupt> {
        self.region.copy_out(self.address(position) + offset, bytes).ok_or(Corrupt)
    }

    /// The same, into memory that need not be initialised.
    pub(crate) fn read_new<'b>(
        &self,
        position: u64,
        offset: usize,
        bytes: &'b mut [MaybeUninit<u8>],
    ) -> Result<&'b mut [u8], Corrupt> {
        self.region.copy_out_new(self.address(position) + offset, bytes).ok_or(Corrupt)
    }

    /// Bytes of all slots.
    pub(crate) fn capacity(&self) -> u64 {
        u64::from(self.ring.shape.slots()) * SLOT as u64
    }

    /// The slots as one stretch of memory: begin and bytes. For reading in place.
    pub(crate) fn slots(&self) -> (*mut u8, usize) {
        let length = self.ring.shape.slots() as usize * SLOT;
        // `attach` proved that it lies inside.
        (self.region.as_ptr().wrapping_add(self.slots_at), length)
    }

    /// Where a record's bytes are among the slots.
    pub(crate) fn place(&self, position: u64) -> usize {
        self.ring.shape.index(position) * SLOT
    }

    fn address(&self, position: u64) -> usize {
        self.slots_at + self.place(position)
    }
}

/// Fetches a cache line that will be written to. It changes nothing, and no address is wrong.
#[inline(always)]
fn prefetch<T>(place: *const T) {
    // SAFETY: a hint that touches nothing that a program can see; processors that do not know it take it for a no-op.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = place;
}

fn word(region: Region<'_>, at: usize) -> Result<&AtomicU64, Corrupt> {
    region.atomic_u64(at).map(counted::word).ok_or(Corrupt)
}

fn words(region: Region<'_>, at: usize, count: usize) -> Result<&[AtomicU64], Corrupt> {
    let first = std::ptr::from_ref(word(region, at)?);
    count.checked_sub(1).and_then(|last| region.atomic_u64(at + last * 8)).ok_or(Corrupt)?;
    // SAFETY: first and last lie aligned inside the region, so all between do; any bits are integers.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

fn seats(region: Region<'_>) -> Result<&[Seat], Corrupt> {
    let all = words(region, AT_SEATS, SEATS * size_of::<Seat>() / 8)?;
    // SAFETY: the same memory, aligned to 8 as a seat is; a seat is nothing but atomics.
    Ok(unsafe { std::slice::from_raw_parts(all.as_ptr().cast(), SEATS) })
}
