//! A map as a process has it open.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::block::{BLOCK, Words, first_block};
use super::published::Miss;
use super::store::{Life, Store};
use super::users::Users;
use super::value::{Found, Full, Located, Put, Value};
use crate::lock::{Got, owner_word};
use crate::shm::{Create, CreateError, Kind, Open, OpenError, Place, Region, Segment};

/// How often a read is tried before it asks for the mutex, to have the others wait for once.
const READ_TRIES: u32 = 64;
/// How long a reader waits for the mutex. Its owner is stopped, then: nothing changes, and it reads what there is.
const READ_PATIENCE: Duration = Duration::from_millis(20);
/// Bytes of a value that are read at the first try.
const FIRST_ROOM: usize = 512;

/// What a new map is like.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes for entries, with what they need beside.
    pub capacity: u64,
    /// Milliseconds that an entry lives where [`Map::put`] does not say; 0: without an end.
    pub ttl: u64,
    /// Whether what was used longest ago makes room.
    pub evict: bool,
    /// Whether it stays when the last user leaves.
    pub persistent: bool,
}

/// A map. `Send` and `Sync`. What changes it takes the map's mutex for some hundred nanoseconds; what reads it takes none, and goes
/// on while a writer is stopped.
#[derive(Debug)]
pub struct Map {
    segment: Arc<Segment>,
    blocks: u32,
    me: u64,
}

impl Map {
    /// Opens the map, or creates it where there is none.
    ///
    /// # Errors
    /// As [`Segment::open_or_create`].
    pub fn open(place: &Place, options: &Options) -> Result<Result<Self, CreateError>, OpenError> {
        let blocks = u32::try_from((options.capacity / BLOCK as u64).clamp(8, 1 << 30)).unwrap_or(1 << 30);
        let size = (first_block(blocks) + blocks as usize * BLOCK) as u64;
        let init = |region: Region<'_>| {
            if let Some(words) = words(region) {
                words.blocks.store(u64::from(blocks), Ordering::Relaxed);
                let random = RandomState::new();
                for (number, word) in words.seed.iter().enumerate() {
                    word.store(random.hash_one(number), Ordering::Relaxed);
                }
                words.ttl.store(options.ttl, Ordering::Relaxed);
                words.evict.store(u32::from(options.evict), Ordering::Relaxed);
                words.free_count.store(blocks, Ordering::Relaxed);
            }
        };
        let create = Create { kind: Kind::MAP, size, persistent: options.persistent, params: [0; 8], init: &init };
        // What the dead left half-done is repaired by whoever gets the mutex next.
        let open = Open { kind: Kind::MAP, recover: &|_, _| {} };
        let segment = match place {
            Place::Anonymous => Segment::create(place, &create),
            Place::Ticket(_) => Ok(Segment::open(place, &open)?),
            _ => Segment::open_or_create(place, &open, &create)?.map(|(segment, _)| segment),
        };
        let segment = match segment {
            Ok(segment) => segment,
            Err(error) => return Ok(Err(error)),
        };
        let damaged = OpenError::Corrupt("not the size of a map");
        let found = words(segment.region()).map(|words| words.blocks.load(Ordering::Relaxed));
        let Some(blocks) =
            found.and_then(|found| u32::try_from(found).ok()).filter(|blocks| (1..=1 << 30).contains(blocks))
        else {
            return Err(damaged);
        };
        if first_block(blocks) + blocks as usize * BLOCK > segment.region().len() {
            return Err(damaged);
        }
        let me = owner_word(segment.own());
        Ok(Ok(Self { segment, blocks, me }))
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The value with its version.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Located> {
        let mut room = vec![0; FIRST_ROOM];
        loop {
            let Found { kind, len, version, ends, .. } = self.read(key, &mut room)?;
            if len > room.len() {
                room = vec![0; len];
                continue;
            }
            room.truncate(len);
            return Some(Located { value: Value::from_parts(kind, room)?, version, ends });
        }
    }

    /// Copies a value's bytes to the begin of `room`, and says what it is. If they do not fit, none are copied.
    pub fn read(&self, key: &[u8], room: &mut [u8]) -> Option<Found> {
        let found = self.look(key, room)?;
        let index = (found.at - first_block(self.blocks)) / BLOCK;
        self.store().mark_used(u32::try_from(index).unwrap_or(u32::MAX));
        Some(found)
    }

    /// Whether there is an entry. Does not count as a use.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.look(key, &mut []).is_some()
    }

    /// Stores, and gives the entry's version; `None`: the condition does not hold. `ttl` in milliseconds, 0: without an end.
    ///
    /// # Errors
    /// [`Full`]; the map is unchanged then, except for what was evicted.
    pub fn put(&self, key: &[u8], value: Value<&[u8]>, ttl: Option<u64>, put: Put) -> Result<Option<u64>, Full> {
        self.with(|store| store.put(key, value, Life::Ttl(ttl), put))
    }

    /// Adds to a number, 0 where there is none, and gives the sum. `ttl` is for a new entry; another one keeps its end. `Ok(None)`: the
    /// value is no number.
    ///
    /// # Errors
    /// [`Full`].
    pub fn increment(&self, key: &[u8], by: f64, ttl: Option<u64>) -> Result<Option<f64>, Full> {
        self.with(|store| store.increment(key, by, ttl))
    }

    /// Removes an entry; whether there was one.
    pub fn delete(&self, key: &[u8]) -> bool {
        self.with(|store| store.delete(key, None))
    }

    /// Removes an entry that still has this version.
    pub fn delete_version(&self, key: &[u8], version: u64) -> bool {
        self.with(|store| store.delete(key, Some(version)))
    }

    /// Removes all. Whoever is killed amid it may leave some.
    pub fn clear(&self) {
        self.with(|store| store.clear());
    }

    /// Entries that have not ended.
    #[must_use]
    pub fn len(&self) -> u32 {
        let counted = self.try_with(Some(READ_PATIENCE), |store| {
            store.drop_ended(None);
            store.words.count.load(Ordering::Relaxed)
        });
        counted.unwrap_or_else(|| u32::try_from(self.keys().len()).unwrap_or(u32::MAX))
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys, in the order of their coming. Those that are there all the time are in it, those that come or go meanwhile may be.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let store = self.store();
        let mut listed = store.list();
        while let Err(miss) = listed {
            let all = self.try_with(Some(READ_PATIENCE), |store| mended(store, miss).list());
            listed = all.and_then(Result::ok).map_or_else(|| store.scan_list(), Ok);
        }
        let mut all = listed.unwrap_or_default();
        all.sort_unstable();
        all.into_iter().map(|(_, key)| key).collect()
    }

    /// Bytes for entries.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.blocks) * BLOCK as u64
    }

    fn look(&self, key: &[u8], room: &mut [u8]) -> Option<Found> {
        let store = self.store();
        let mut why = Miss::Changed;
        for _ in 0..READ_TRIES {
            match store.peek(key, room) {
                Ok(found) => return found,
                Err(miss) => why = miss,
            }
            if why == Miss::Damaged {
                break;
            }
            std::hint::spin_loop();
        }
        loop {
            if let Some(found) = self.try_with(Some(READ_PATIENCE), |store| mended(store, why).peek(key, room)) {
                return found.ok().flatten();
            }
            if let Ok(found) = store.scan(key, room) {
                return found;
            }
        }
    }

    fn store(&self) -> Store<'_> {
        let region = self.segment.region();
        // `open` has found them; the region does not change.
        let Some(words) = words(region) else { unreachable!("a map without its first page") };
        Store { region, words, blocks: self.blocks }
    }

    fn with<T>(&self, task: impl FnOnce(Store<'_>) -> T) -> T {
        self.try_with(None, task).unwrap_or_else(|| unreachable!("waits until it has the mutex"))
    }

    /// `None`: a living owner did not give the mutex back in time.
    pub(super) fn try_with<T>(&self, limit: Option<Duration>, task: impl FnOnce(Store<'_>) -> T) -> Option<T> {
        let store = self.store();
        let got = store.words.mutex.lock(self.me, &Users(&self.segment), limit.map(|limit| Instant::now() + limit))?;
        let held = Held { map: self, store };
        if got == Got::Dead || store.words.rebuilt.load(Ordering::Relaxed) % 2 == 1 {
            store.repair();
        }
        let result = task(store);
        drop(held);
        Some(result)
    }
}

/// Gives the mutex back, also when a task panics: then the next one repairs.
struct Held<'a> {
    map: &'a Map,
    store: Store<'a>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.store.distrust();
        }
        #[cfg(test)]
        super::crash_tests::step();
        self.store.words.mutex.unlock(&Users(&self.map.segment));
    }
}

/// With the mutex held: what a reader found damaged is repaired.
fn mended(store: Store<'_>, why: Miss) -> Store<'_> {
    if why == Miss::Damaged {
        store.repair();
    }
    store
}

fn words(region: Region<'_>) -> Option<&Words> {
    if region.len() < size_of::<Words>() {
        return None;
    }
    // SAFETY: page-aligned, long enough, any bits are integers, and only atomics touch them.
    Some(unsafe { &*region.as_ptr().cast::<Words>() })
}
