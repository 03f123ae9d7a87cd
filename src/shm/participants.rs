//! The table of a segment's users, one record each. Whoever holds the kernel's lock on a record's first byte is its owner;
//! the lock goes with the process, so its absence proves death and a stopped process keeps its place.

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::time::{SystemTime, UNIX_EPOCH};

use super::header::{JOINS_OFFSET, TABLE_OFFSET};
use super::sys_unix as sys;
use crate::sync::unmodelled::{AtomicU32, AtomicU64, Ordering};

/// Processes that may use one segment at the same time.
pub const MAX_PARTICIPANTS: u32 = 256;

/// Bytes of a record.
pub(super) const RECORD_LEN: usize = 64;
/// Bytes of the table.
pub(super) const TABLE_LEN: usize = MAX_PARTICIPANTS as usize * RECORD_LEN;

const FREE: u32 = 0;
const LIVE: u32 = 1;

/// A record in shared memory.
#[repr(C)]
struct Record {
    /// Generation in the upper half, [`FREE`] or [`LIVE`] in the lower. LIVE without its byte lock: died.
    state: AtomicU64,
    pid: AtomicU32,
    unused: AtomicU32,
    /// Milliseconds since 1970.
    since: AtomicU64,
    reserved: [AtomicU64; 5],
}

const _: () = assert!(size_of::<Record>() == RECORD_LEN);

/// One process's membership in a segment: a place in the table, and which of its successive owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Participant {
    /// 0 to [`MAX_PARTICIPANTS`] - 1.
    pub slot: u32,
    /// Counts the owners of the slot; wraps after 2^32.
    pub generation: u32,
}

/// A participant that died without leaving, and whose remains nobody has cleared yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead {
    /// Which one.
    pub participant: Participant,
    /// Its process id, in its own PID namespace. For messages only: another process may have it by now.
    pub pid: u32,
}

/// What the table says of one participant, for listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Which one.
    pub participant: Participant,
    /// Its process id, in its own PID namespace.
    pub pid: u32,
    /// Milliseconds since 1970 when it came.
    pub since: u64,
    /// Whether the kernel still holds its lock.
    pub alive: bool,
}

/// The table inside a mapping.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    records: &'a [Record; MAX_PARTICIPANTS as usize],
    /// How often anyone ever joined; only for comparing with itself.
    joins: &'a AtomicU64,
}

impl<'a> Table<'a> {
    /// # Safety
    /// `mapping` must be page-aligned with at least `TABLE_OFFSET + TABLE_LEN` bytes mapped readable and writable for `'a`.
    pub(super) unsafe fn new(mapping: NonNull<u8>) -> Self {
        // SAFETY: the caller's promise: the address stays inside the mapping.
        let table = unsafe { mapping.add(TABLE_OFFSET) };
        // SAFETY: aligned, inside, and any bits are integers; whatever else changes them is an atomic here.
        let records = unsafe { table.cast().as_ref() };
        // SAFETY: the caller's promise: the address stays inside the mapping.
        let joins = unsafe { mapping.add(JOINS_OFFSET) };
        // SAFETY: as for the records.
        let joins = unsafe { joins.cast().as_ref() };
        Self { records, joins }
    }

    /// Takes a place. `recover` runs for each dead participant whose place is found on the way, before it is used again; if it
    /// panics, the dead one stays dead. `None`: all are taken by the living.
    pub(super) fn join(self, file: &File, recover: &dyn Fn(Dead)) -> io::Result<Option<Participant>> {
        for slot in 0..MAX_PARTICIPANTS {
            if !sys::lock_byte(file, record_offset(slot))? {
                continue;
            }
            // Ours from here on: the kernel gives the byte to nobody else.
            if let Some(dead) = self.left_by_dead(slot) {
                recover(dead);
            }
            let record = self.record(slot);
            let generation = generation(record.state.load(Ordering::Relaxed)).wrapping_add(1);
            record.pid.store(std::process::id(), Ordering::Relaxed);
            record.since.store(now(), Ordering::Relaxed);
            // SYNC: pairs with the Acquire in `state`: who sees LIVE sees the pid too.
            record.state.store(word(generation, LIVE), Ordering::Release);
            self.joins.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(Participant { slot, generation }));
        }
        Ok(None)
    }

    /// How often anyone joined so far.
    pub(super) fn joins(self) -> u64 {
        self.joins.load(Ordering::Relaxed)
    }

    /// Gives a place back; its byte lock goes by `let_go` or with the file.
    pub(super) fn leave(self, own: Participant) {
        // SYNC: pairs with the Acquire in `state`: who sees FREE sees all that we did before.
        self.record(own.slot).state.store(word(own.generation, FREE), Ordering::Release);
    }

    /// Drops the lock of a place that was given back.
    pub(super) fn let_go(self, file: &File, own: Participant) -> io::Result<()> {
        sys::unlock_byte(file, record_offset(own.slot))
    }

    /// Whether `other` is still a user. `false` is final. The kernel is asked, one system call, unless it left in order.
    pub(super) fn is_alive(self, file: &File, own: Participant, other: Participant) -> io::Result<bool> {
        if other == own {
            return Ok(true);
        }
        if other.slot >= MAX_PARTICIPANTS
            || other.slot == own.slot
            || self.state(other.slot) != word(other.generation, LIVE)
        {
            return Ok(false);
        }
        sys::byte_locked(file, record_offset(other.slot))
    }

    /// Runs `recover` for every participant that died, and frees its place. Callers must keep the other threads of this process
    /// out meanwhile: byte locks hold between processes, not inside one.
    pub(super) fn recover_dead(self, file: &File, own: Participant, recover: &dyn Fn(Dead)) -> io::Result<u32> {
        let mut recovered = 0;
        for slot in 0..MAX_PARTICIPANTS {
            let suspect = slot != own.slot && status(self.state(slot)) == LIVE;
            if !suspect || !sys::lock_byte(file, record_offset(slot))? {
                continue;
            }
            let lock = ByteLock { file, slot };
            // Looked at again under the lock: another process may have done it between.
            if let Some(dead) = self.left_by_dead(slot) {
                recover(dead);
                self.leave(dead.participant);
                recovered += 1;
            }
            drop(lock);
        }
        Ok(recovered)
    }

    /// All who came and did not leave.
    pub(super) fn users(self, file: &File, own: Participant) -> io::Result<Vec<User>> {
        let mut users = Vec::new();
        for slot in 0..MAX_PARTICIPANTS {
            let state = self.state(slot);
            if status(state) == LIVE {
                let record = self.record(slot);
                users.push(User {
                    participant: Participant { slot, generation: generation(state) },
                    pid: record.pid.load(Ordering::Relaxed),
                    since: record.since.load(Ordering::Relaxed),
                    alive: slot == own.slot || sys::byte_locked(file, record_offset(slot))?,
                });
            }
        }
        Ok(users)
    }

    fn left_by_dead(self, slot: u32) -> Option<Dead> {
        let state = self.state(slot);
        (status(state) != FREE).then(|| Dead {
            participant: Participant { slot, generation: generation(state) },
            pid: self.record(slot).pid.load(Ordering::Relaxed),
        })
    }

    fn state(self, slot: u32) -> u64 {
        // SYNC: pairs with the Release stores in `join` and `leave`.
        self.record(slot).state.load(Ordering::Acquire)
    }

    fn record(self, slot: u32) -> &'a Record {
        &self.records[slot as usize]
    }
}

/// Lets the byte go again, also when a recovery panics: else that dead participant would look alive.
struct ByteLock<'a> {
    file: &'a File,
    slot: u32,
}

impl Drop for ByteLock<'_> {
    fn drop(&mut self) {
        // Fails only for a closed file, whose locks are gone anyway.
        let _ = sys::unlock_byte(self.file, record_offset(self.slot));
    }
}

/// Whether anyone lives who has a place, or takes one right now. Asks the kernel alone: one system call.
pub(super) fn anyone_lives(file: &File) -> io::Result<bool> {
    sys::any_byte_locked(file, TABLE_OFFSET as u64, TABLE_LEN as u64)
}

/// The same as [`Table::users`] from the bytes of a file that is not mapped. `table` is [`TABLE_LEN`] long.
pub(super) fn users_of_file(file: &File, table: &[u8; TABLE_LEN]) -> io::Result<Vec<User>> {
    let mut users = Vec::new();
    for (slot, record) in (0..MAX_PARTICIPANTS).zip(table.chunks_exact(RECORD_LEN)) {
        let state = u64_at(record, 0);
        if status(state) == LIVE {
            users.push(User {
                participant: Participant { slot, generation: generation(state) },
                pid: u32::from_ne_bytes([record[8], record[9], record[10], record[11]]),
                since: u64_at(record, 16),
                alive: sys::byte_locked(file, record_offset(slot))?,
            });
        }
    }
    Ok(users)
}

/// The byte whose lock means: the owner of this record lives.
fn record_offset(slot: u32) -> u64 {
    TABLE_OFFSET as u64 + u64::from(slot) * RECORD_LEN as u64
}

fn word(generation: u32, status: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(status)
}

fn generation(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn status(word: u64) -> u32 {
    let [.., a, b, c, d] = word.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
