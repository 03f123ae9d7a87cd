//! The rules in one process; scribbled bytes.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::{Counters, Full, MAX_COUNTERS, Map, NoCounter, Options, Put, Value};
use crate::lock::owner_word;
use crate::shm::{Name, Place};

thread_local! {
    /// What time it is for this thread, at its next look; `None`: what the system says.
    static CLOCK: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A clock that goes on by a millisecond whenever it is looked at.
pub(super) fn clock() -> Option<u64> {
    CLOCK.set(CLOCK.get().map(|now| now + 1));
    CLOCK.get()
}

pub(super) fn random_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("map test {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn named(name: &str, blocks: u64, evict: bool) -> Map {
    let options = Options { capacity: blocks * 128, ttl: 0, evict, persistent: false };
    Map::open(&Place::Name(Name::new(name).unwrap()), &options).unwrap().unwrap()
}

fn map(blocks: u64, evict: bool) -> Map {
    named(&random_name(), blocks, evict)
}

pub(super) fn text(value: &str) -> Value<&[u8]> {
    Value::Text(value.as_bytes())
}

pub(super) fn set(map: &Map, key: &str, value: &str) {
    assert!(map.put(key.as_bytes(), text(value), None, Put::Always).unwrap().is_some());
}

pub(super) fn get(map: &Map, key: &str) -> Option<String> {
    match map.get(key.as_bytes())?.value {
        Value::Text(bytes) => Some(String::from_utf8(bytes).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_set_is_got() {
    let map = map(64, false);
    for len in [0, 1, 63, 64, 65, 183, 184, 185, 1000] {
        let key = format!("key {len}");
        set(&map, &key, &"x".repeat(len));
        assert_eq!(get(&map, &key).unwrap().len(), len);
        set(&map, &key, &"y".repeat(len / 2));
        assert_eq!(get(&map, &key).unwrap(), "y".repeat(len / 2));
    }
    assert_eq!(map.len(), 9);
    assert_eq!(map.keys()[0], b"key 0");
    assert_eq!(map.keys()[8], b"key 1000");
    let long = "k".repeat(500);
    set(&map, &long, "long");
    assert_eq!(get(&map, &long).unwrap(), "long");
    assert!(map.delete(long.as_bytes()));
    assert!(!map.delete(long.as_bytes()));
    map.clear();
    assert!(map.is_empty());
    assert_eq!(get(&map, "key 1"), None);
}

/// Who cannot list by chains, nor gets the mutex, asks every block; meanwhile a key goes to and fro between the first and the last.
#[test]
fn what_moves_while_every_block_is_asked_is_listed() {
    let map = map(4096, false);
    for number in 0..4095 {
        set(&map, &number.to_string(), "v");
    }
    assert!(map.delete(b"0"));
    let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            map.try_with(None, |store| {
                store.distrust();
                started.store(true, Ordering::Relaxed);
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..50_000 {
                        store.put(b"4094", text("v"), super::store::Life::Until(0), Put::Always).unwrap();
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        });
        while !started.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let mut found = true;
        for _ in 0..20 {
            found &= map.keys().len() == 4094 && map.has(b"4094");
        }
        done.store(true, Ordering::Relaxed);
        assert!(found);
    });
}

#[test]
fn conditions_and_numbers() {
    let map = map(64, false);
    let first = map.put(b"x", text("1"), None, Put::IfAbsent).unwrap().unwrap();
    assert_eq!(map.put(b"x", text("2"), None, Put::IfAbsent), Ok(None));
    assert_eq!(map.put(b"x", text("2"), None, Put::IfVersion(first + 1)), Ok(None));
    assert!(map.put(b"x", text("2"), None, Put::IfVersion(first)).unwrap().is_some());
    assert_eq!(map.put(b"y", text("1"), None, Put::IfVersion(7)), Ok(None));
    assert_eq!(map.increment(b"n", 2.0, None), Ok(Some(2.0)));
    assert_eq!(map.increment(b"n", -0.5, None), Ok(Some(1.5)));
    assert_eq!(map.increment(b"x", 1.0, None), Ok(None));
}

/// Between any two looks at the clock, the entry's time may be over.
#[test]
fn what_ends_while_it_is_replaced_takes_nothing_along() {
    for evict in [false, true] {
        for ttl in 1..12 {
            let map = map(8, evict);
            CLOCK.set(Some(1000));
            // Three blocks each: of old and new value and the other entry, one must go.
            map.put(b"other", text(&"x".repeat(200)), Some(ttl), Put::Always).unwrap();
            map.put(b"key", text(&"x".repeat(200)), Some(ttl), Put::Always).unwrap();
            let put = map.put(b"key", text(&"y".repeat(300)), Some(0), Put::Always);
            CLOCK.set(None);
            match put {
                Ok(_) => assert_eq!(get(&map, "key").unwrap(), "y".repeat(300), "{ttl}"),
                Err(Full) => assert!(!evict, "{ttl}"),
            }
            set(&map, "next", "next");
            assert_eq!(get(&map, "key").map(|value| value.len()), Some(300).filter(|_| put.is_ok()), "{ttl}");
            assert_eq!(get(&map, "next").unwrap(), "next");
        }
    }
}

#[test]
fn the_least_used_makes_room() {
    let map = map(8, true);
    for i in 0..8 {
        set(&map, &format!("{i}"), "v");
    }
    assert!(get(&map, "0").is_some());
    set(&map, "new", "v");
    assert_eq!((get(&map, "0").is_some(), get(&map, "1")), (true, None));
    assert_eq!(map.put(b"big", text(&"x".repeat(2000)), None, Put::Always), Err(Full));
    set(&map, "whole", &"x".repeat(64 - 5 + 7 * 116));
    assert_eq!(map.len(), 1);
    let strict = self::map(8, false);
    set(&strict, "a", &"x".repeat(700));
    assert_eq!(strict.put(b"b", text(&"x".repeat(700)), None, Put::Always), Err(Full));
    assert_eq!(get(&strict, "a").unwrap().len(), 700);
}

#[test]
fn entries_end() {
    let map = map(64, false);
    map.put(b"short", text("v"), Some(1), Put::Always).unwrap();
    map.put(b"long", text("v"), Some(100_000), Put::Always).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!((map.len(), map.has(b"short"), map.has(b"long")), (1, false, true));
    assert_eq!(map.keys(), [b"long"]);
}

/// Whoever reads while others write finds the value before or the one after, never none, never half of one, never an older one again.
#[test]
fn readers_beside_writers() {
    let map = map(64, false);
    let value = |number: u64| format!("{number:010}").repeat(1 + usize::try_from(number % 30).unwrap());
    set(&map, "here", &value(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..20_000 {
                set(&map, "here", &value(number));
                set(&map, &format!("other {}", number % 7), &"x".repeat(50));
                map.delete(format!("other {}", (number + 3) % 7).as_bytes());
            }
            over.store(true, Ordering::Relaxed);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !over.load(Ordering::Relaxed) {
                    let found = get(&map, "here").expect("it is replaced, never removed");
                    let number = found[..10].parse().unwrap();
                    assert_eq!(found, value(number));
                    assert!(number >= last, "{number} after {last}");
                    last = number;
                    assert!(map.has(b"here"));
                    assert_eq!(map.keys().iter().filter(|key| *key == b"here").count(), 1);
                }
            });
        }
    });
    assert_eq!(get(&map, "here"), Some(value(19_999)));
}

#[test]
fn counters_have_names() {
    let name = Name::new(&random_name()).unwrap();
    let counters = Counters::open(name).unwrap().unwrap();
    let [a, b, again] = [b"a".as_slice(), b"b", b"a"].map(|name| counters.find(name).unwrap());
    assert_eq!((a, b, again), (0, 1, 0));
    counters.segment().region().atomic_u64(8).unwrap().store(7, Ordering::Relaxed);
    assert_eq!(counters.list(), [(b"a".to_vec(), 0), (b"b".to_vec(), 7)]);
    let number = |number: usize| counters.find(format!("counter {number}").as_bytes());
    for i in 2..MAX_COUNTERS {
        assert_eq!(number(i), Ok(i));
    }
    assert_eq!((number(MAX_COUNTERS), number(7)), (Err(NoCounter::Full), Ok(7)));
    assert_eq!(counters.list().len(), MAX_COUNTERS);
}

#[test]
fn a_counter_is_found_while_someone_is_stopped_amid_adding_one() {
    let counters = Counters::open(Name::new(&random_name()).unwrap()).unwrap().unwrap();
    assert_eq!(counters.find(b"a"), Ok(0));
    let mutex = counters.segment().region().atomic_u64(MAX_COUNTERS * 8).unwrap();
    mutex.store(owner_word(counters.segment().own()), Ordering::SeqCst);
    assert_eq!((counters.find(b"a"), counters.find(b"b")), (Ok(0), Err(NoCounter::Busy)));
    mutex.store(0, Ordering::SeqCst);
    assert_eq!(counters.find(b"b"), Ok(1));
}

/// Heads that are in one chain, or that every bucket leads to, with keys as long as they can be: nobody allocates more than the map.
#[test]
fn keys_of_scribbled_heads_are_bounded() {
    for (key_len, ends) in [(u32::MAX, 0), (0, 0), (0, 1)] {
        let map = map(1000, true);
        for i in 0..1000 {
            set(&map, &format!("{i}"), "v");
        }
        let region = map.segment().region();
        let put = |at: usize, value: u32| region.atomic_u32(at).unwrap().store(value, Ordering::Relaxed);
        let first = (4096 + 1000 * 4 + 1000_usize.div_ceil(32) * 4).next_multiple_of(128);
        let scribble = || {
            for i in 0..1000 {
                let at = first + i as usize * 128;
                put(4096 + i as usize * 4, 1);
                region.atomic_u64(at).unwrap().store(u64::from(i + 1) << 2 | 1, Ordering::Relaxed);
                put(at + 8, if i < 999 { i + 2 } else { 0 });
                put(at + 12, if i < 999 { i + 2 } else { 0 });
                put(at + 32, key_len.min(64 + 999 * 116 - 1000));
                put(at + 36, 8);
                region.atomic_u64(at + 56).unwrap().store(ends, Ordering::Relaxed);
            }
        };
        let size = |keys: Vec<Vec<u8>>| (keys.len() <= 1000, keys.iter().map(Vec::len).sum::<usize>() <= 128_000);
        scribble();
        // Someone else is stopped amid a change: nobody repairs. It is us, who are alive.
        let mutex = region.atomic_u64(0).unwrap();
        mutex.store(owner_word(map.segment().own()), Ordering::SeqCst);
        assert_eq!((size(map.keys()), map.len() <= 1000), ((true, true), true), "{key_len} {ends}");
        mutex.store(0, Ordering::SeqCst);
        assert_eq!(size(map.keys()), (true, true), "{key_len} {ends}");
        map.clear();
        set(&map, "x", "sound again");
        assert_eq!(map.keys(), [b"x"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn it_is_a_map(actions in prop::collection::vec((0..4_u8, 0..12_u8, 0..400_usize), 1..150)) {
        let map = map(2000, false);
        let mut model: HashMap<String, String> = HashMap::new();
        for (action, key, len) in actions {
            let key = format!("key {key}");
            match action {
                0 | 1 => {
                    set(&map, &key, &"v".repeat(len));
                    model.insert(key, "v".repeat(len));
                }
                2 => prop_assert_eq!(map.delete(key.as_bytes()), model.remove(&key).is_some()),
                _ => prop_assert_eq!(get(&map, &key), model.get(&key).cloned()),
            }
        }
        prop_assert_eq!(map.len() as usize, model.len());
        for (key, value) in model {
            prop_assert_eq!(get(&map, &key), Some(value));
        }
    }

    /// Whatever lies in the map, every call ends, and nothing outside is touched.
    #[test]
    fn scribbled_bytes_are_survived(
        words in prop::collection::vec((any::<u32>(), prop_oneof![any::<u32>(), 0..20_u32]), 1..200),
    ) {
        let map = map(16, true);
        for i in 0..10 {
            set(&map, &format!("{i}"), &"x".repeat(i * 20));
        }
        let region = map.segment().region();
        for (at, value) in words {
            // Not the mutex: who seems to hold it is asked after, and that is us.
            let at = 16 + at as usize % (region.len() / 4 - 4) * 4;
            region.atomic_u32(at - at % 4).unwrap().store(value, Ordering::Relaxed);
        }
        for i in 0..10 {
            let key = format!("{i}");
            let _ = map.get(key.as_bytes());
            map.put(key.as_bytes(), text("new"), None, Put::Always).ok();
            map.delete(key.as_bytes());
        }
        let _ = (map.len(), map.keys());
        map.clear();
        set(&map, "x", "sound again");
        prop_assert_eq!(get(&map, "x"), Some("sound again".to_owned()));
    }
}

/// The same while someone goes on scribbling, over heads and chains as over everything else.
#[test]
fn scribbling_all_the_time_is_survived() {
    let map = map(32, true);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let region = map.segment().region();
            let mut random = 0x9e37_79b9_u32;
            while !over.load(Ordering::Relaxed) {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                let at = 16 + random as usize % (region.len() / 4 - 4) * 4;
                // Small numbers lead somewhere.
                let value = if random & 0x300 == 0 { random } else { random >> 10 & 63 };
                region.atomic_u32(at - at % 4).unwrap().store(value, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        for i in 0..30_000_usize {
            let key = format!("{}", i % 40);
            match i % 11 {
                0 => drop(map.keys()),
                1 => drop(map.delete(key.as_bytes())),
                2 => drop(map.increment(key.as_bytes(), 1.0, Some(5))),
                3 => drop(map.len()),
                4 if i % 121 == 4 => map.clear(),
                5..8 => drop(map.put(key.as_bytes(), text(&"x".repeat(i % 300)), None, Put::Always)),
                _ => drop(map.get(key.as_bytes())),
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    map.clear();
    set(&map, "x", "sound again");
    assert_eq!(get(&map, "x"), Some("sound again".to_owned()));
}
