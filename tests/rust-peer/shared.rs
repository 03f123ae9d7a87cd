//! Roles at shared buffers, locks, maps and counters.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use interproc::lock::{self, Lock, LockMode, Semaphore, Waited};
use interproc::map::{SharedCounter, SharedMap};
use interproc::shm::SharedBuffer;
use serde_json::{Value, json};

use crate::{Outcome, say, wait_for_the_end};

/// Makes a buffer that others find by its name.
pub(crate) fn create_buffer(name: &str) -> Outcome {
    let buffer = SharedBuffer::create(name, 100, false)?;
    buffer.write_at(0, "from Rust: ü".as_bytes())?;
    say(buffer.slice(90..100)?.ticket());
    wait_for_the_end()?;
    say(String::from_utf8_lossy(&buffer.to_vec()[90..]).trim_end_matches('\0'));
    Ok(())
}

/// Says what is in a buffer, and writes an answer behind it.
pub(crate) fn open_buffer(place: &str) -> Outcome {
    let buffer = SharedBuffer::open(place)?;
    let bytes = buffer.to_vec();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    say(String::from_utf8_lossy(&bytes[..end]));
    buffer.write_at(end, b", and Rust was here")?;
    Ok(())
}

/// Takes turns with the other side, by a word that both wait for: ours are the odd numbers.
pub(crate) fn turns(place: &str, count: u32) -> Outcome {
    let buffer = SharedBuffer::open(place)?;
    let word = buffer.atomic_u32(0).ok_or("it is too short")?;
    for turn in (1..count).step_by(2) {
        loop {
            let now = word.load(SeqCst);
            if now == turn {
                break;
            }
            if lock::wait(&buffer, 0, now, Some(Duration::from_secs(20)))? == Waited::TimedOut {
                return Err("the other side does not take its turn".into());
            }
        }
        word.store(turn + 1, SeqCst);
        lock::notify(&buffer, 0, u32::MAX)?;
    }
    Ok(())
}

/// Has a lock until its input ends, or it is killed.
pub(crate) fn hold_lock(name: &str, mode: &str) -> Outcome {
    let mode = if mode == "shared" { LockMode::Shared } else { LockMode::Exclusive };
    let free = Lock::try_acquire(name, mode)?.is_some();
    say(if free { "free" } else { "taken" });
    let lock = Lock::acquire(name, mode)?;
    say(format_args!("held {}", lock.owner_died()));
    wait_for_the_end()?;
    say(format_args!("still held {}", lock.held()));
    drop(lock);
    Ok(())
}

/// Has permits until its input ends, or it is killed.
pub(crate) fn hold_permits(name: &str, permits: u32, count: u32) -> Outcome {
    let permit = Semaphore::new(name, permits).acquire(count)?;
    say(format_args!("held {}", permit.owner_died()));
    wait_for_the_end()
}

/// Says what is in a map, and changes it.
pub(crate) fn map(place: &str) -> Outcome {
    let map = SharedMap::open(place)?;
    for key in map.keys() {
        let value = match map.get::<Value>(&key)? {
            Some(value) => value,
            None => continue,
        };
        say(json!([key, value]));
    }
    map.set("text", "ü from Rust")?;
    map.set("object", &json!({ "list": [1, 2.5, null], "__proto__": 1 }))?;
    map.set("number", &42_u8)?;
    map.set("large", &u64::MAX)?;
    map.set_bytes("bytes", &[1, 2, 255])?;
    map.increment("hits", 2.0)?;
    Ok(())
}

/// Counts.
pub(crate) fn count(name: &str, times: u32) -> Outcome {
    let counter = SharedCounter::open(name)?;
    for _ in 0..times {
        counter.add(1);
    }
    counter.add(-(1_i64 << 40));
    say(counter.value());
    Ok(())
}

/// Changes one entry of a map while others do.
pub(crate) fn storm(place: &str, times: u32) -> Outcome {
    let map = SharedMap::open(place)?;
    for _ in 0..times {
        map.update("shared", |old: Option<u32>| Some(old.unwrap_or(0) + 1))?;
        map.increment("sum", 1.0)?;
    }
    Ok(())
}
