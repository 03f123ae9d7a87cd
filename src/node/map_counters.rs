//! Shared counters for JavaScript.

#![expect(unreachable_pub, reason = "the binding's macros demand `pub`")]

use napi::{Error, bindgen_prelude::*};
use napi_derive::napi;

use super::shm::{Code, SharedSegment, create_error, open_error};
use crate::map::{Counters, NoCounter};
use crate::shm::{Name, OpenError};

type Result<T> = std::result::Result<T, Error<Code>>;

/// A page of named counters.
#[napi]
pub(crate) struct CounterPage {
    counters: Counters,
}

#[napi]
impl CounterPage {
    #[napi(constructor, catch_unwind)]
    pub fn new(name: String) -> Result<Self> {
        Ok(Self { counters: open(&name)? })
    }

    /// The segment, whose first words are the counters.
    #[napi(catch_unwind)]
    pub fn segment(&self) -> SharedSegment {
        SharedSegment::of(self.counters.segment())
    }

    /// The number of the counter's word; none: the page is full.
    #[napi(catch_unwind)]
    pub fn find(&self, name: String) -> Result<Option<u32>> {
        match self.counters.find(name.as_bytes()) {
            Ok(number) => Ok(u32::try_from(number).ok()),
            Err(NoCounter::Full) => Ok(None),
            Err(NoCounter::Busy) => Err(open_error(OpenError::Busy)),
        }
    }
}

/// All counters of a page. Who looks is its user only meanwhile.
#[napi(catch_unwind)]
pub(crate) fn list_counters(name: String) -> Result<Vec<CounterEntry>> {
    let entry = |(name, value): (Vec<u8>, u64)| CounterEntry {
        name: String::from_utf8_lossy(&name).into_owned(),
        value: BigInt::from(i64::from_ne_bytes(value.to_ne_bytes())),
    };
    Ok(open(&name)?.list().into_iter().map(entry).collect())
}

fn open(name: &str) -> Result<Counters> {
    let name = Name::new(name).map_err(|error| open_error(error.into()))?;
    Counters::open(name).map_err(open_error)?.map_err(create_error)
}

/// A counter and its value, for lists.
#[napi(object, object_from_js = false)]
pub(crate) struct CounterEntry {
    pub name: String,
    pub value: BigInt,
}
