//! The map as Rust programs use it: keys are strings, values by serde. What `SharedMap` is in JavaScript.

use std::time::Duration;

use serde::Serialize;
use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value as Json;

use super::{Map, MapError, Options, Put, Value};
use crate::shm::Place;

/// What a plain string begins with in the store; JSON never does.
const PLAIN: u8 = 1;
/// How often an update begins anew when others change the entry between.
const UPDATE_TRIES: u32 = 10_000;
/// Integers up to here are numbers in JavaScript, too.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// A map that all processes of a user share, in Rust and in JavaScript. `Send` and `Sync`.
///
/// ```
/// use interproc::map::SharedMap;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Session { user: String, visits: u32 }
///
/// # fn main() -> Result<(), interproc::map::MapError> {
/// # let name = format!("doc {}", std::process::id());
/// # let name = name.as_str();
/// // `new SharedMap(name)` in Node.
/// let sessions = SharedMap::open(name)?;
/// sessions.set("a1", &Session { user: "ann".into(), visits: 1 })?;
/// sessions.update("a1", |session: Option<Session>| session.map(|old| Session { visits: old.visits + 1, ..old }))?;
/// assert_eq!(sessions.get("a1")?, Some(Session { user: "ann".into(), visits: 2 }));
/// assert_eq!(sessions.increment("requests", 1.0)?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SharedMap {
    map: Map,
}

impl Default for Options {
    /// 16 MiB, entries without an end, and what was used longest ago makes room.
    fn default() -> Self {
        Self { capacity: 16 << 20, ttl: 0, evict: true, persistent: false }
    }
}

impl SharedMap {
    /// Opens the map of that name or ticket, or creates it under that name.
    ///
    /// # Errors
    /// [`MapError::Open`], [`MapError::Create`]
    pub fn open(place: &str) -> Result<Self, MapError> {
        Self::open_with(place, &Options::default())
    }

    /// The same; the options are those of a new map.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(place: &str, options: &Options) -> Result<Self, MapError> {
        Ok(Self { map: Map::open(&Place::parse(place)?, options)?? })
    }

    /// Creates a map without a name: its ticket finds it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create_unnamed(options: &Options) -> Result<Self, MapError> {
        Ok(Self { map: Map::open(&Place::Anonymous, options)?? })
    }

    /// The value. Bytes are a `Vec<u8>`.
    ///
    /// # Errors
    /// [`MapError::Decode`]: it is another value.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, MapError> {
        self.map.get(key.as_bytes()).map(|found| decode(found.value)).transpose()
    }

    /// Whether there is an entry. Does not count as a use.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.map.has(key.as_bytes())
    }

    /// Stores a value: a number, a string, or what JSON can say. It lives as long as the map's options say.
    ///
    /// # Errors
    /// [`MapError::Encode`], [`MapError::Full`]
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), MapError> {
        self.put(key, &encode(value)?, None, Put::Always).map(drop)
    }

    /// The same for a time.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_for<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Duration) -> Result<(), MapError> {
        self.put(key, &encode(value)?, Some(ttl), Put::Always).map(drop)
    }

    /// Stores bytes; JavaScript gets a `Buffer`.
    ///
    /// # Errors
    /// [`MapError::Full`]
    pub fn set_bytes(&self, key: &str, bytes: &[u8]) -> Result<(), MapError> {
        self.put(key, &Value::Bytes(bytes.to_vec()), None, Put::Always).map(drop)
    }

    /// Stores a value where there is none. `false`: there is one, and it stays.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn set_if_absent<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<bool, MapError> {
        self.put(key, &encode(value)?, None, Put::IfAbsent)
    }

    /// Replaces the value by what `change` makes of it, atomically: nobody else's change is lost. `change` is called again if someone
    /// else was faster; `None` removes the entry. Gives the new value.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`set`](Self::set); [`MapError::Contended`]
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, MapError> {
        for _ in 0..UPDATE_TRIES {
            let found = self.map.get(key.as_bytes());
            let version = found.as_ref().map_or(0, |found| found.version);
            let new = change(found.map(|found| decode(found.value)).transpose()?);
            let done = match &new {
                Some(value) => self.put(key, &encode(value)?, None, Put::IfVersion(version))?,
                None => version == 0 || self.map.delete_version(key.as_bytes(), version),
            };
            if done {
                return Ok(new);
            }
        }
        Err(MapError::Contended)
    }

    /// Adds to a number, 0 where there is none, and gives the sum.
    ///
    /// # Errors
    /// [`MapError::NotANumber`], [`MapError::Full`]
    pub fn increment(&self, key: &str, by: f64) -> Result<f64, MapError> {
        self.map.increment(key.as_bytes(), by, None)?.ok_or(MapError::NotANumber)
    }

    /// Removes an entry; whether there was one.
    pub fn delete(&self, key: &str) -> bool {
        self.map.delete(key.as_bytes())
    }

    /// Removes all.
    pub fn clear(&self) {
        self.map.clear();
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len() as usize
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The keys of now, in the order of their coming.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.map.keys().iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.map.segment().name()
    }

    /// What opens exactly this map elsewhere: [`SharedMap::open`], or `new SharedMap(ticket)` in Node.
    #[must_use]
    pub fn ticket(&self) -> String {
        // Files of a caller's choice have none, and this is never one.
        self.map.segment().ticket().map(|ticket| ticket.to_string()).unwrap_or_default()
    }

    fn put(&self, key: &str, value: &Value, ttl: Option<Duration>, put: Put) -> Result<bool, MapError> {
        let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1));
        Ok(self.map.put(key.as_bytes(), value.as_slices(), ttl, put)?.is_some())
    }
}

/// Strings and numbers are stored as JavaScript stores them, so that `increment` and reads without JSON work for both.
fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Value, MapError> {
    let json = serde_json::to_string(value).map_err(MapError::Encode)?;
    match json.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(&json).map_err(MapError::Encode)?;
            Ok(Value::Text([&[PLAIN], text.as_bytes()].concat()))
        }
        // Larger integers keep all their digits as JSON.
        Some(b'-' | b'0'..=b'9') => match json.parse::<f64>() {
            Ok(number) if number.abs() <= MAX_SAFE || json.contains(['.', 'e']) => Ok(Value::Number(number)),
            _ => Ok(Value::Text(json.into_bytes())),
        },
        _ => Ok(Value::Text(json.into_bytes())),
    }
}

fn decode<T: DeserializeOwned>(value: Value) -> Result<T, MapError> {
    let decoded = match value {
        Value::Bytes(bytes) => T::deserialize(SeqDeserializer::<_, serde_json::Error>::new(bytes.into_iter())),
        Value::Number(number) => serde_json::from_value(json_number(number)),
        Value::Text(bytes) => match bytes.split_first() {
            Some((&PLAIN, text)) => match std::str::from_utf8(text) {
                Ok(text) => serde_json::from_value(Json::from(text)),
                Err(error) => Err(serde_json::Error::custom(error)),
            },
            _ => serde_json::from_slice(&bytes),
        },
    };
    decoded.map_err(MapError::Decode)
}

/// Whole numbers are integers for serde, as they are in JavaScript's JSON.
fn json_number(number: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE { Json::from(number as i64) } else { Json::from(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_come_back_as_they_were() {
        let map = SharedMap::create_unnamed(&Options { capacity: 1 << 16, ..Options::default() }).unwrap();
        for value in [
            json!({ "a": [1, "x", null] }),
            json!("ü"),
            json!(7),
            json!(-0.5),
            json!(null),
            json!(u64::MAX),
            json!("\u{1}"),
        ] {
            map.set("key", &value).unwrap();
            assert_eq!(map.get::<Json>("key").unwrap(), Some(value));
        }
        map.set_bytes("key", &[1, 255]).unwrap();
        assert_eq!(map.get::<Vec<u8>>("key").unwrap(), Some(vec![1, 255]));
        map.set("key", &2.0).unwrap();
        assert_eq!((map.get::<u8>("key").unwrap(), map.get::<f64>("key").unwrap()), (Some(2), Some(2.0)));
        assert!(matches!(map.get::<String>("key"), Err(MapError::Decode(_))));
        assert!(!map.set_if_absent("key", &3).unwrap());
        assert_eq!(map.increment("key", 0.5).unwrap(), 2.5);
        map.set("text", "no number").unwrap();
        assert!(matches!(map.increment("text", 1.0), Err(MapError::NotANumber)));
        assert_eq!((map.keys(), map.len()), (vec!["key".to_owned(), "text".to_owned()], 2));
        assert_eq!(
            SharedMap::open(&map.ticket()).unwrap().get::<String>("text").unwrap().as_deref(),
            Some("no number")
        );
        assert!(map.delete("text") && !map.has("text"));
        map.set_for("short", &1, Duration::from_nanos(1)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(map.get::<u8>("short").unwrap(), None);
        map.clear();
        assert!(map.is_empty());
    }

    #[test]
    fn updates_of_many_threads_all_count() {
        let map = SharedMap::create_unnamed(&Options { capacity: 1 << 16, ..Options::default() }).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        map.update("list", |old: Option<Vec<u32>>| {
                            let mut list = old.unwrap_or_default();
                            list.push(1);
                            Some(list)
                        })
                        .unwrap();
                    }
                });
            }
        });
        assert_eq!(map.get::<Vec<u32>>("list").unwrap().unwrap().len(), 400);
        assert_eq!(map.update("list", |_: Option<Vec<u32>>| None).unwrap(), None);
        assert!(!map.has("list"));
    }
}
