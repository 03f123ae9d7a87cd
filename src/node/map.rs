//! Shared maps for JavaScript. A text begins with a byte 1 if it is a plain string, else it is JSON.
//!
//! Key, value and answer lie on a *desk*, memory of which JavaScript has an ArrayBuffer: a call takes a number and gives one.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use napi::{Env, Error, bindgen_prelude::*};
use napi_derive::napi;

use super::chunk::Chunk;
use super::direct;
use super::shm::{Code, SharedSegment, create_error, open_error};
use crate::map::{Found, Full, Kind, Map, Options, Put, Value};
use crate::shm::Place;

type Result<T> = std::result::Result<T, Error<Code>>;

/// A map that this thread has open.
#[napi]
pub(crate) struct MapHandle {
    inner: Rc<Inner>,
}

struct Inner {
    map: RefCell<Option<Map>>,
    desk: RefCell<Arc<Chunk>>,
}

/// Where things lie on the desk, in bytes; lib/map/desk.js has the same numbers. Words have 32 bits, the others are doubles.
const KEY_LENGTH: usize = 0;
const KIND: usize = 4;
const LENGTH: usize = 8;
const BIT: usize = 12;
/// Two words.
const STAMP: usize = 16;
const NUMBER: usize = 24;
/// On the way in milliseconds, below 0: the map's; on the way out the time at which the entry ends.
const TTL: usize = 32;
/// On the way in only if the entry still has it, 0: if there is none; below 0: whatever is there.
const VERSION: usize = 40;
const AT: usize = 48;
const MARK: usize = 56;
/// The key, and behind it the value.
const BODY: usize = 64;

const NO: i32 = 0;
const YES: i32 = 1;
/// The value does not fit on the desk.
const LARGE: i32 = 2;
const FULL: i32 = 3;
const NO_NUMBER: i32 = 4;
const CLOSED: i32 = 5;
const FAILED: i32 = 6;

#[napi]
impl MapHandle {
    /// Opens the map of that name or ticket, or creates it; without a name, a new one.
    #[napi(constructor, catch_unwind)]
    pub fn new(place: Option<String>, capacity: f64, ttl: f64, evict: bool, persistent: bool) -> Result<Self> {
        let place = match place {
            None => Place::Anonymous,
            Some(place) => Place::parse(&place).map_err(|error| open_error(error.into()))?,
        };
        let options = Options { capacity: whole(capacity), ttl: whole(ttl), evict, persistent };
        let map = Map::open(&place, &options).map_err(open_error)?.map_err(create_error)?;
        Ok(Self { inner: Rc::new(Inner { map: RefCell::new(Some(map)), desk: RefCell::new(Chunk::new(BODY)) }) })
    }

    /// A desk of so many bytes, in place of the one before.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn desk<'env>(&self, env: &'env Env, bytes: f64) -> napi::Result<Unknown<'env>> {
        let desk = Chunk::new(usize::try_from(whole(bytes)).unwrap_or(BODY).max(BODY));
        let memory = Chunk::lend(&desk, env)?;
        *self.inner.desk.borrow_mut() = desk;
        Ok(memory)
    }

    /// Does what lies on the desk: get 0, has 1, put 2, increment 3, delete 4. A status.
    #[napi(catch_unwind, ts_return_type = "(op: number) => number")]
    pub fn caller<'env>(&self, env: &'env Env) -> napi::Result<Unknown<'env>> {
        let inner = Rc::clone(&self.inner);
        direct::function(env, move |[op]| inner.call(op))
    }

    /// The segment, to look at with what an answer says.
    #[napi(catch_unwind)]
    pub fn segment(&self) -> Result<SharedSegment> {
        self.with(|map| SharedSegment::of(map.segment()))
    }

    #[napi(catch_unwind)]
    pub fn clear(&self) -> Result<()> {
        self.with(Map::clear)
    }

    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> Result<u32> {
        self.with(Map::len)
    }

    /// Bytes for entries.
    #[napi(getter, catch_unwind)]
    pub fn capacity(&self) -> Result<f64> {
        self.with(|map| number(map.capacity()))
    }

    /// The user's name for it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Result<Option<String>> {
        self.with(|map| map.segment().name().map(str::to_owned))
    }

    /// What opens exactly this map elsewhere.
    #[napi(getter, catch_unwind)]
    pub fn ticket(&self) -> Result<Option<String>> {
        self.with(|map| map.segment().ticket().map(|ticket| ticket.to_string()))
    }

    /// All keys, in the order of their coming.
    #[napi(catch_unwind)]
    pub fn keys(&self) -> Result<Vec<String>> {
        let keys = self.with(Map::keys)?;
        Ok(keys.into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()).collect())
    }

    /// Lets go. Everything else fails from then on.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.inner.map.take();
    }

    fn with<T>(&self, task: impl FnOnce(&Map) -> T) -> Result<T> {
        let closed = || Error::new(Code::from_text("CLOSED"), "the map is closed".to_owned());
        self.inner.map.borrow().as_ref().map(task).ok_or_else(closed)
    }
}

impl Inner {
    fn call(&self, op: f64) -> i32 {
        let desk = Arc::clone(&self.desk.borrow());
        // SAFETY: JavaScript does not run meanwhile, and no other thread has the desk.
        let desk = unsafe { desk.bytes_mut() };
        self.map.borrow().as_ref().map_or(CLOSED, |map| run(map, op, desk).unwrap_or(FAILED))
    }
}

/// The status; `None`: lengths that are not the desk's.
fn run(map: &Map, op: f64, desk: &mut [u8]) -> Option<i32> {
    let kind = word(desk, KIND);
    let (ttl, version) = (double(desk, TTL), double(desk, VERSION));
    let (key_length, length) = (word(desk, KEY_LENGTH) as usize, word(desk, LENGTH) as usize);
    let by = double(desk, NUMBER);
    let (head, body) = desk.split_at_mut(BODY);
    let (key, room) = body.split_at_mut_checked(key_length)?;
    let ttl = (ttl >= 0.0).then(|| whole(ttl));
    Some(match whole(op) {
        0 => map.read(key, room).map_or(NO, |found| tell(head, room, &found)),
        1 => i32::from(map.has(key)),
        2 => {
            let bytes = room.get(..length)?;
            let value = match kind {
                1 => Value::Bytes(bytes),
                2 => Value::Text(bytes),
                _ => Value::Number(by),
            };
            let put = if version >= 0.0 { Put::IfVersion(whole(version)) } else { Put::Always };
            map.put(key, value, ttl, put).map_or_else(|Full| FULL, |stored| i32::from(stored.is_some()))
        }
        3 => match map.increment(key, by, ttl) {
            Ok(Some(sum)) => {
                put(head, NUMBER, sum.to_ne_bytes());
                YES
            }
            Ok(None) => NO_NUMBER,
            Err(Full) => FULL,
        },
        _ if version >= 0.0 => i32::from(map.delete_version(key, whole(version))),
        _ => i32::from(map.delete(key)),
    })
}

/// Puts what was found on the desk; the value is there already.
fn tell(head: &mut [u8], room: &[u8], found: &Found) -> i32 {
    put(head, LENGTH, u32::try_from(found.len).unwrap_or(u32::MAX).to_ne_bytes());
    let Some(value) = room.get(..found.len) else { return LARGE };
    // JavaScript makes ASCII into a string faster.
    let kind = if found.kind == Kind::Text && value.is_ascii() { 0 } else { found.kind as u32 };
    put(head, KIND, kind.to_ne_bytes());
    if let (Kind::Number, Ok(value)) = (found.kind, value.try_into()) {
        put(head, NUMBER, f64::from_le_bytes(value).to_ne_bytes());
    }
    put(head, STAMP, found.stamp.to_ne_bytes());
    put(head, TTL, number(found.ends).to_ne_bytes());
    put(head, VERSION, number(found.version).to_ne_bytes());
    put(head, AT, number(found.at as u64).to_ne_bytes());
    put(head, MARK, number(found.mark.0 as u64).to_ne_bytes());
    put(head, BIT, (1_u32 << found.mark.1).to_ne_bytes());
    YES
}

/// `at`: one of the places above, and so inside, as in the three that follow.
fn word(desk: &[u8], at: usize) -> u32 {
    desk[at..at + 4].try_into().map_or(0, u32::from_ne_bytes)
}

fn double(desk: &[u8], at: usize) -> f64 {
    desk[at..at + 8].try_into().map_or(0.0, f64::from_ne_bytes)
}

fn put<const N: usize>(desk: &mut [u8], at: usize, bytes: [u8; N]) {
    desk[at..at + N].copy_from_slice(&bytes);
}

#[expect(clippy::cast_precision_loss, reason = "ticks and bytes below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript checked: an integer from 0")]
fn whole(value: f64) -> u64 {
    value as u64
}
