//! The bytes of a shard: requests, the chains that find them, and the mutex over both. Widths are those of `docs/lock-layout.md`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::mutex::Mutex;
use crate::shm::Participant;

/// Bytes that a key may have: a name in UTF-8, or where a word is.
pub const MAX_KEY_LEN: usize = 200;

/// Requests that a shard holds at a time. Few under test, so that every step of a repair can be tried.
pub(super) const RECORDS: usize = if cfg!(test) { 16 } else { 1024 };
/// Chains of a shard.
pub(super) const BUCKETS: usize = if cfg!(test) { 4 } else { 256 };
/// Shards of a table.
pub(super) const SHARDS: usize = 8;

const KEY_WORDS: usize = MAX_KEY_LEN / 8;

/// What a record is at the moment: the one word that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum State {
    /// Nothing.
    Free = 0,
    /// Asks for what others have.
    Waiting = 1,
    /// Has it.
    Held = 2,
    /// Has it, and someone died who had it before.
    HeldAfterDeath = 3,
    /// Nobody's: someone died who had this, and the next who gets it shall know.
    Died = 4,
    /// Had it until another stole it. Its owner has not seen that yet.
    Stolen = 5,
    /// A waiter that was notified. Its owner has not seen that yet.
    Notified = 6,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// A lock, alone.
    Exclusive = 1,
    /// A lock, together with others who share it.
    Shared = 2,
    /// Permits of a semaphore.
    Permits = 3,
    /// To be notified.
    Wait = 4,
}

/// A request.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Record {
    /// [`State`]; what a blocked thread sleeps on.
    pub(super) state: AtomicU32,
    /// [`Mode`] in the lowest byte, the key's length in the next.
    shape: AtomicU32,
    /// The process, as [`owner_word`] has it.
    pub(super) owner: AtomicU64,
    /// Which came first. Never used twice in a shard, so it also tells a record's successive requests apart.
    pub(super) ticket: AtomicU64,
    /// Which bell to ring (odd), or whose thread sleeps on `state` (even).
    pub(super) agent: AtomicU64,
    pub(super) hash: AtomicU64,
    /// The next in the chain or in the free list, plus 1; 0: the last.
    pub(super) next: AtomicU32,
    /// Process id of the owner, in its own PID namespace: for lists, and to hear of its end at once.
    pub(super) pid: AtomicU32,
    /// Permits asked for.
    pub(super) count: AtomicU32,
    /// Permits that the semaphore has.
    pub(super) limit: AtomicU32,
    key: [AtomicU64; KEY_WORDS],
}

/// A shard.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Words {
    pub(super) mutex: Mutex,
    /// The last ticket given.
    pub(super) ticket: AtomicU64,
    /// First free record plus 1; 0: none.
    pub(super) free: AtomicU32,
    /// Records of [`Mode::Wait`]. May be too high after a death, never too low.
    pub(super) waiters: AtomicU32,
    unused: [AtomicU64; 4],
    pub(super) buckets: [AtomicU32; BUCKETS],
    pub(super) records: [Record; RECORDS],
}

const _: () = assert!(size_of::<Record>() == 256);
const _: () = assert!(size_of::<Words>() == 64 + BUCKETS * 4 + RECORDS * 256);

/// A key with its hash, as it lies in a record.
#[derive(Clone, Debug)]
pub(super) struct Key {
    words: [u64; KEY_WORDS],
    len: usize,
    pub(super) hash: u64,
}

impl Key {
    /// `None`: too long.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_KEY_LEN {
            return None;
        }
        let mut words = [0; KEY_WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(padded);
        }
        Some(Self { words, len: bytes.len(), hash: hash(bytes) })
    }

    fn used(&self) -> usize {
        self.len.div_ceil(8)
    }

    pub(super) fn shard(&self) -> usize {
        usize::from(self.hash.to_le_bytes()[0]) % SHARDS
    }
}

impl Mode {
    /// Locks, semaphores and waits of the same key have nothing to do with each other.
    pub(super) fn is_kin(self, other: Self) -> bool {
        self.class() == other.class()
    }

    fn class(self) -> u8 {
        match self {
            Self::Exclusive | Self::Shared => 0,
            Self::Permits => 1,
            Self::Wait => 2,
        }
    }
}

impl State {
    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::HeldAfterDeath)
    }
}

impl Record {
    /// What is in it; damage reads as free.
    pub(super) fn state(&self) -> State {
        // SYNC: pairs with the Release in `set_state`: the fields belong to the state.
        match self.state.load(Ordering::Acquire) {
            1 => State::Waiting,
            2 => State::Held,
            3 => State::HeldAfterDeath,
            4 => State::Died,
            5 => State::Stolen,
            6 => State::Notified,
            _ => State::Free,
        }
    }

    pub(super) fn set_state(&self, state: State) {
        put32(&self.state, state as u32, Ordering::Release);
    }

    pub(super) fn mode(&self) -> Option<Mode> {
        match self.shape.load(Ordering::Relaxed) & 0xff {
            1 => Some(Mode::Exclusive),
            2 => Some(Mode::Shared),
            3 => Some(Mode::Permits),
            4 => Some(Mode::Wait),
            _ => None,
        }
    }

    pub(super) fn write_key(&self, mode: Mode, key: &Key) {
        let shape = u32::from(mode as u8) | u32::try_from(key.len).unwrap_or(0) << 8;
        put32(&self.shape, shape, Ordering::Relaxed);
        put64(&self.hash, key.hash);
        for (word, bytes) in self.key.iter().zip(&key.words[..key.used()]) {
            put64(word, *bytes);
        }
    }

    pub(super) fn has_key(&self, mode: Mode, key: &Key) -> bool {
        self.hash.load(Ordering::Relaxed) == key.hash
            && self.mode().is_some_and(|other| other.is_kin(mode))
            && self.key_len() == key.len
            && self.key.iter().zip(&key.words[..key.used()]).all(|(word, bytes)| word.load(Ordering::Relaxed) == *bytes)
    }

    /// The key as it was given; damage may read as anything of up to [`MAX_KEY_LEN`] bytes.
    pub(super) fn key(&self) -> Vec<u8> {
        let bytes = self.key.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        bytes.take(self.key_len().min(MAX_KEY_LEN)).collect()
    }

    fn key_len(&self) -> usize {
        (self.shape.load(Ordering::Relaxed) >> 8 & 0xff) as usize
    }
}

/// The word that names a process in records and mutexes: never 0.
pub(crate) fn owner_word(who: Participant) -> u64 {
    u64::from(who.slot + 1) << 32 | u64::from(who.generation)
}

/// `None`: no word of ours.
pub(crate) fn owner_of(word: u64) -> Option<Participant> {
    let slot = u32::try_from(word >> 32).ok()?.checked_sub(1)?;
    Some(Participant { slot, generation: u32::try_from(word & 0xffff_ffff).ok()? })
}

/// Every store to a shared record goes through here or [`put64`]: the tests kill the process before each.
pub(super) fn put32(word: &AtomicU32, value: u32, order: Ordering) {
    #[cfg(test)]
    super::crash_tests::step();
    word.store(value, order);
}

/// As [`put32`], unordered.
pub(super) fn put64(word: &AtomicU64, value: u64) {
    #[cfg(test)]
    super::crash_tests::step();
    word.store(value, Ordering::Relaxed);
}

/// FNV-1a, 64 bits, with its bits mixed: the low ones choose the shard.
fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash ^ hash >> 32
}
