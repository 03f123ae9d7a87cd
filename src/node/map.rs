//! Shared maps and counters for JavaScript. A text begins with a byte 1 if it is a plain string, else it is JSON.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use napi::{bindgen_prelude::*, sys};
use napi_derive::napi;

use super::env::check;
use super::shm::{Code, SharedSegment, create_error, open_error};
use crate::map::{Counters, Full, Map, Options, Put, Value};
use crate::shm::{Name, Place};

type Result<T> = std::result::Result<T, Error<Code>>;

/// A value on its way to JavaScript: a string, a number or a Buffer.
pub(crate) struct Given(Value);

/// A key. Short ones, as nearly all are, take no memory of the heap.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, that is the point")]
pub(crate) enum Key {
    Short([u8; SHORT_KEY], usize),
    Long(String),
}

const SHORT_KEY: usize = 256;

/// A map that this thread has open.
#[napi]
pub(crate) struct MapHandle {
    map: Option<Map>,
}

/// A value and its version.
#[napi(object, object_from_js = false)]
pub(crate) struct MapVersion {
    #[napi(ts_type = "string | number | Buffer")]
    pub value: Given,
    pub version: f64,
}

/// See `map::Located`.
#[napi(object, object_from_js = false)]
pub(crate) struct MapLocated {
    #[napi(ts_type = "string | number | Buffer")]
    pub value: Given,
    /// The two words of it, in the order of memory.
    pub version: Vec<u32>,
    pub ends: f64,
    pub at: f64,
    pub mark: f64,
    pub bit: u32,
}

/// A counter and its value, for lists.
#[napi(object, object_from_js = false)]
pub(crate) struct CounterEntry {
    pub name: String,
    pub value: BigInt,
}

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
        Ok(Self { map: Some(map) })
    }

    /// The value with its version, for `set`.
    #[napi(catch_unwind)]
    pub fn get_version(&self, #[napi(ts_arg_type = "string")] key: Key) -> Result<Option<MapVersion>> {
        let found = self.open()?.get(key.as_bytes());
        Ok(found.map(|found| MapVersion { value: Given(found.value), version: number(found.version) }))
    }

    /// The value, and how to tell without a call that it is still the entry's.
    #[napi(catch_unwind)]
    pub fn locate(&self, #[napi(ts_arg_type = "string")] key: Key) -> Result<Option<MapLocated>> {
        let found = self.open()?.get(key.as_bytes());
        Ok(found.map(|found| {
            let [a, b, c, d, e, f, g, h] = found.version.to_ne_bytes();
            MapLocated {
                value: Given(found.value),
                version: vec![u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])],
                ends: number(found.ends),
                at: number(found.at as u64),
                mark: number(found.mark.0 as u64),
                bit: 1 << found.mark.1,
            }
        }))
    }

    /// The segment, to look at with what `locate` says.
    #[napi(catch_unwind)]
    pub fn segment(&self) -> Result<SharedSegment> {
        Ok(SharedSegment::of(self.open()?.segment()))
    }

    #[napi(catch_unwind)]
    pub fn has(&self, #[napi(ts_arg_type = "string")] key: Key) -> Result<bool> {
        Ok(self.open()?.has(key.as_bytes()))
    }

    /// Stores a text. `ttl` in milliseconds, 0: without an end, none: the map's. `version`: only if the entry still has it (0: no
    /// entry), -1: only where there is none. `false`: so it was not stored.
    #[napi(catch_unwind)]
    pub fn set_text(
        &self,
        #[napi(ts_arg_type = "string")] key: Key,
        text: String,
        ttl: Option<f64>,
        version: Option<f64>,
    ) -> Result<bool> {
        self.put(key.as_bytes(), &Value::Text(text.into_bytes()), ttl, version)
    }

    /// As `setText`.
    #[napi(catch_unwind)]
    pub fn set_number(
        &self,
        #[napi(ts_arg_type = "string")] key: Key,
        value: f64,
        ttl: Option<f64>,
        version: Option<f64>,
    ) -> Result<bool> {
        self.put(key.as_bytes(), &Value::Number(value), ttl, version)
    }

    /// As `setText`.
    #[napi(catch_unwind)]
    pub fn set_bytes(
        &self,
        #[napi(ts_arg_type = "string")] key: Key,
        bytes: &[u8],
        ttl: Option<f64>,
        version: Option<f64>,
    ) -> Result<bool> {
        self.put(key.as_bytes(), &Value::Bytes(bytes.to_vec()), ttl, version)
    }

    /// Adds to a number; nothing if the value is none.
    #[napi(catch_unwind)]
    pub fn increment(
        &self,
        #[napi(ts_arg_type = "string")] key: Key,
        by: f64,
        ttl: Option<f64>,
    ) -> Result<Option<f64>> {
        self.open()?.increment(key.as_bytes(), by, ttl.map(whole)).map_err(full)
    }

    #[napi(catch_unwind)]
    pub fn delete(&self, #[napi(ts_arg_type = "string")] key: Key) -> Result<bool> {
        Ok(self.open()?.delete(key.as_bytes()))
    }

    /// Removes an entry that still has this version.
    #[napi(catch_unwind)]
    pub fn delete_version(&self, #[napi(ts_arg_type = "string")] key: Key, version: f64) -> Result<bool> {
        Ok(self.open()?.delete_version(key.as_bytes(), whole(version)))
    }

    #[napi(catch_unwind)]
    pub fn clear(&self) -> Result<()> {
        self.open()?.clear();
        Ok(())
    }

    #[napi(getter, catch_unwind)]
    pub fn size(&self) -> Result<u32> {
        Ok(self.open()?.len())
    }

    /// Bytes for entries.
    #[napi(getter, catch_unwind)]
    pub fn capacity(&self) -> Result<f64> {
        Ok(number(self.open()?.capacity()))
    }

    /// The user's name for it.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> Result<Option<String>> {
        Ok(self.open()?.segment().name().map(str::to_owned))
    }

    /// What opens exactly this map elsewhere.
    #[napi(getter, catch_unwind)]
    pub fn ticket(&self) -> Result<Option<String>> {
        Ok(self.open()?.segment().ticket().map(|ticket| ticket.to_string()))
    }

    /// All keys, in the order of their coming.
    #[napi(catch_unwind)]
    pub fn keys(&self) -> Result<Vec<String>> {
        let keys = self.open()?.keys();
        Ok(keys.into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()).collect())
    }

    /// Lets go. Everything else fails from then on.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.map = None;
    }

    fn put(&self, key: &[u8], value: &Value, ttl: Option<f64>, version: Option<f64>) -> Result<bool> {
        let put = match version {
            None => Put::Always,
            Some(version) if version < 0.0 => Put::IfAbsent,
            Some(version) => Put::IfVersion(whole(version)),
        };
        let stored = self.open()?.put(key, value, ttl.map(whole), put).map_err(full)?;
        Ok(stored.is_some())
    }

    fn open(&self) -> Result<&Map> {
        self.map.as_ref().ok_or_else(|| Error::new(Code::from_text("CLOSED"), "the map is closed".to_owned()))
    }
}

/// A page of named counters.
#[napi]
pub(crate) struct CounterPage {
    counters: Counters,
}

#[napi]
impl CounterPage {
    #[napi(constructor, catch_unwind)]
    pub fn new(name: String) -> Result<Self> {
        let name = Name::new(&name).map_err(|error| open_error(error.into()))?;
        Ok(Self { counters: Counters::open(name).map_err(open_error)?.map_err(create_error)? })
    }

    /// The segment, whose first words are the counters.
    #[napi(catch_unwind)]
    pub fn segment(&self) -> SharedSegment {
        SharedSegment::of(self.counters.segment())
    }

    /// The number of the counter's word; none: the page is full.
    #[napi(catch_unwind)]
    pub fn find(&self, name: String) -> Option<u32> {
        self.counters.find(name.as_bytes()).and_then(|number| u32::try_from(number).ok())
    }

    /// All counters.
    #[napi(catch_unwind)]
    pub fn list(&self) -> Vec<CounterEntry> {
        let entry = |(name, value): (Vec<u8>, u64)| CounterEntry {
            name: String::from_utf8_lossy(&name).into_owned(),
            value: BigInt::from(i64::from_ne_bytes(value.to_ne_bytes())),
        };
        self.counters.list().into_iter().map(entry).collect()
    }
}

impl Key {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => &bytes[..*length],
            Self::Long(text) => text.as_bytes(),
        }
    }
}

impl FromNapiValue for Key {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        let (mut bytes, mut length) = ([0_u8; SHORT_KEY], 0);
        let start = bytes.as_mut_ptr().cast();
        // SAFETY: the env and value of this call, and room for as many bytes as it is told.
        let status = unsafe { sys::napi_get_value_string_utf8(env, value, start, SHORT_KEY, &raw mut length) };
        // Fewer bytes than the longest character away from the end: all are there.
        if status == sys::Status::napi_ok && length < SHORT_KEY - 5 {
            return Ok(Self::Short(bytes, length));
        }
        // SAFETY: the env and value of this call.
        unsafe { String::from_napi_value(env, value) }.map(Self::Long)
    }
}

impl ToNapiValue for Given {
    unsafe fn to_napi_value(env: sys::napi_env, given: Self) -> napi::Result<sys::napi_value> {
        match given.0 {
            Value::Text(bytes) if bytes.is_ascii() => {
                let mut value = std::ptr::null_mut();
                let length = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
                // SAFETY: the env of this call; pointer and length are the vector's.
                let status =
                    unsafe { sys::napi_create_string_latin1(env, bytes.as_ptr().cast(), length, &raw mut value) };
                check(status).map(|()| value)
            }
            // What another process scribbled may be no UTF-8.
            Value::Text(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                // SAFETY: the env of this call.
                unsafe { ToNapiValue::to_napi_value(env, &*text) }
            }
            // SAFETY: the env of this call.
            Value::Number(number) => unsafe { f64::to_napi_value(env, number) },
            // SAFETY: the env of this call.
            Value::Bytes(bytes) => unsafe { Buffer::to_napi_value(env, bytes.into()) },
        }
    }
}

fn full(_: Full) -> Error<Code> {
    Error::new(Code::from_text("MAP_FULL"), "there is no room for the entry".to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "ticks and bytes below 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "JavaScript checked: an integer from 0")]
fn whole(value: f64) -> u64 {
    value as u64
}
