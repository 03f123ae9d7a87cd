//! A map as a process has it open.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::block::{BLOCK, Words, put32};
use super::store::{Full, Located, Put, Store, Value, first_block};
use crate::lock::{Got, World, owner_of, owner_word};
use crate::shm::{Create, CreateError, Kind, Open, OpenError, Place, Region, Segment, futex};

/// How often a read without the mutex is tried.
const READ_TRIES: u32 = 16;

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

/// A map. `Send` and `Sync`; every call takes the map's mutex for some hundred nanoseconds.
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
                words.ttl.store(options.ttl, Ordering::Relaxed);
                words.evict.store(u32::from(options.evict), Ordering::Relaxed);
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
        let Some(blocks) = found.and_then(|found| u32::try_from(found).ok()).filter(|blocks| *blocks >= 1) else {
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

    /// The value, and how to tell without a call that it is still the entry's. Does not take the mutex, unless others change the
    /// map all the time.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Located> {
        let region = self.segment.region();
        if let Some(words) = words(region) {
            let store = Store::new(region, words, self.blocks, now());
            for _ in 0..READ_TRIES {
                // SYNC: pairs with the Release in `Held::drop`: the even number's changes are seen.
                let before = words.changes.load(Ordering::Acquire);
                if before % 2 == 1 || words.sound.load(Ordering::Relaxed) != 1 {
                    std::hint::spin_loop();
                    continue;
                }
                let Ok(found) = store.peek(key) else { break };
                // SYNC: pairs with the fence in `with`: who saw some of a change sees its odd number.
                fence(Ordering::Acquire);
                if words.changes.load(Ordering::Relaxed) == before {
                    return found;
                }
            }
        }
        self.with(|store| store.get(key))
    }

    /// Whether there is an entry. Does not count as a use.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.with(|store| store.has(key))
    }

    /// Stores, and gives the entry's version; `None`: the condition does not hold. `ttl` in milliseconds, 0: without an end.
    ///
    /// # Errors
    /// [`Full`]; the map is unchanged then, except for what was evicted.
    pub fn put(&self, key: &[u8], value: &Value, ttl: Option<u64>, put: Put) -> Result<Option<u64>, Full> {
        self.with(|store| store.put(key, value, ttl, put))
    }

    /// Adds to a number, 0 where there is none, and gives the sum. `Ok(None)`: the value is no number.
    ///
    /// # Errors
    /// [`Full`].
    pub fn increment(&self, key: &[u8], by: f64, ttl: Option<u64>) -> Result<Option<f64>, Full> {
        self.with(|store| {
            let sum = match store.get(key) {
                None => by,
                Some(Located { value: Value::Number(number), .. }) => number + by,
                Some(_) => return Ok(None),
            };
            store.put(key, &Value::Number(sum), ttl, Put::Always)?;
            Ok(Some(sum))
        })
    }

    /// Removes an entry; whether there was one.
    pub fn delete(&self, key: &[u8]) -> bool {
        self.with(|store| store.delete(key))
    }

    /// Removes an entry that still has this version.
    pub fn delete_version(&self, key: &[u8], version: u64) -> bool {
        self.with(|store| store.get(key).is_some_and(|found| found.version == version) && store.delete(key))
    }

    /// Removes all.
    pub fn clear(&self) {
        self.with(|store| store.clear());
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.with(|store| store.len())
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys, in the order of their coming.
    #[must_use]
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.with(|store| store.keys())
    }

    /// Bytes for entries.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.blocks) * BLOCK as u64
    }

    fn with<T>(&self, task: impl FnOnce(Store<'_>) -> T) -> T {
        let region = self.segment.region();
        // `open` has found them; the region does not change.
        let Some(words) = words(region) else { unreachable!("a map without its first page") };
        let got = words.mutex.lock(self.me, self, None);
        let changes = words.changes.load(Ordering::Relaxed);
        words.changes.store(changes | 1, Ordering::Relaxed);
        // SYNC: pairs with the fence in `get`: the odd number is seen before any change.
        fence(Ordering::Release);
        let held = Held { map: self, words };
        let store = Store::new(region, words, self.blocks, now());
        if got == Some(Got::Dead) || words.sound.load(Ordering::Relaxed) != 1 {
            store.repair();
        }
        let result = task(store);
        drop(held);
        result
    }
}

/// Gives the mutex back, also when a task panics: then the next one repairs.
struct Held<'a> {
    map: &'a Map,
    words: &'a Words,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            put32(&self.words.sound, 0);
        }
        #[cfg(test)]
        super::tests::step();
        let changes = self.words.changes.load(Ordering::Relaxed);
        // SYNC: pairs with the Acquire in `get`: the changes come before the even number.
        self.words.changes.store((changes | 1).wrapping_add(1), Ordering::Release);
        self.words.mutex.unlock(self.map);
    }
}

impl World for Map {
    fn is_alive(&self, owner: u64) -> bool {
        owner_of(owner).is_some_and(|owner| self.segment.is_alive(owner).unwrap_or(true))
    }

    fn sleep(&self, word: &std::sync::atomic::AtomicU32, expected: u32, limit: Duration) {
        futex::wait(word, expected, limit);
    }

    fn wake(&self, word: &std::sync::atomic::AtomicU32) {
        futex::wake(word);
    }

    fn pause(&self) {
        std::hint::spin_loop();
    }
}

fn words(region: Region<'_>) -> Option<&Words> {
    if region.len() < size_of::<Words>() {
        return None;
    }
    // SAFETY: page-aligned, long enough, any bits are integers, and only atomics touch them.
    Some(unsafe { &*region.as_ptr().cast::<Words>() })
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
