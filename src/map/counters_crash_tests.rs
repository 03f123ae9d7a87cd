//! A process killed, and stopped, before each of its stores to a page of counters: new names until the page is full, and sums.

use std::sync::atomic::Ordering;

use super::counters::{AT_NAMES, RECORD};
use super::crash_tests::{play, step, stopped, victim};
use super::tests::random_name;
use super::{Counters, MAX_COUNTERS, NoCounter};
use crate::shm::Name;

/// The test whose process changes a page.
const ROLE: &str = "map::counters_crash_tests::counters_crash_role";
/// The two that there is room for.
const NEW: [&str; 2] = ["new", "newer"];

fn open(name: &str) -> Counters {
    Counters::open(Name::new(name).unwrap()).unwrap().unwrap()
}

fn add(counters: &Counters, number: usize, by: u64) -> u64 {
    step();
    counters.segment().region().atomic_u64(number * 8).unwrap().fetch_add(by, Ordering::Relaxed)
}

/// A page with room for two more; each of the others counts its number.
fn nearly_full(name: &str) -> Counters {
    let counters = open(name);
    for number in 0..MAX_COUNTERS - NEW.len() {
        assert_eq!(counters.find(format!("counter {number}").as_bytes()), Ok(number));
        add(&counters, number, number as u64);
    }
    counters
}

/// Takes the two out again, which no call does.
fn make_room(counters: &Counters) {
    for number in MAX_COUNTERS - NEW.len()..MAX_COUNTERS {
        for at in [AT_NAMES + number * RECORD, number * 8] {
            counters.segment().region().atomic_u64(at).unwrap().store(0, Ordering::Relaxed);
        }
    }
}

/// What is there is whole: the names one after the other, and the sums of those who came so far.
fn check(counters: &Counters, steps: usize) {
    let list = counters.list();
    let new = list.iter().skip(MAX_COUNTERS - NEW.len());
    assert!(list.len() >= MAX_COUNTERS - NEW.len(), "{steps}: {}", list.len());
    for (number, (name, sum)) in list.iter().take(MAX_COUNTERS - NEW.len()).enumerate() {
        let is_last = number == MAX_COUNTERS - NEW.len() - 1;
        assert_eq!(*name, format!("counter {number}").into_bytes(), "{steps}");
        assert!(*sum == number as u64 || is_last && *sum == number as u64 + 1, "{steps}: {number} is {sum}");
    }
    for ((name, sum), expected) in new.zip(NEW) {
        assert_eq!(*name, expected.as_bytes(), "{steps}");
        assert!([0, 5].contains(sum), "{steps}: {sum}");
    }
}

#[test]
fn counters_crash_role() {
    play(open, |counters| {
        for name in NEW {
            let number = counters.find(name.as_bytes()).unwrap();
            assert_eq!(add(counters, number, 5), 0);
        }
        assert_eq!(counters.find(b"one too many"), Err(NoCounter::Full));
        add(counters, MAX_COUNTERS - NEW.len() - 1, 1);
    });
}

#[test]
fn killed_before_every_store() {
    let name = random_name();
    let counters = nearly_full(&name);
    let mut deaths = 0;
    for steps in 0.. {
        let output = victim(ROLE, &name, steps, "kill").output().unwrap();
        check(&counters, steps);
        // Nothing is lost, nothing is kept: the mutex, the places.
        for (place, name) in NEW.iter().enumerate() {
            assert_eq!(counters.find(name.as_bytes()), Ok(MAX_COUNTERS - NEW.len() + place), "{steps}");
        }
        assert_eq!(counters.find(b"one too many"), Err(NoCounter::Full), "{steps}");
        assert_eq!(counters.list().len(), MAX_COUNTERS, "{steps}");
        make_room(&counters);
        let last = MAX_COUNTERS - NEW.len() - 1;
        counters.segment().region().atomic_u64(last * 8).unwrap().store(last as u64, Ordering::Relaxed);
        if output.status.success() {
            break;
        }
        assert!(output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        deaths += 1;
    }
    assert_eq!(deaths, 9, "every store is a step");
}

/// Who looks for a name that is there goes on while another is stopped; who adds one waits, and goes on after its death.
#[test]
fn stopped_before_every_store() {
    let name = random_name();
    let counters = nearly_full(&name);
    for steps in 0.. {
        let Some(child) = stopped(ROLE, &name, steps) else { break };
        check(&counters, steps);
        assert_eq!(counters.find(b"counter 7"), Ok(7), "{steps}");
        let before = counters.list();
        // Whether it has the mutex or not, what it is about to write is not there, nor is anything in its place.
        match counters.find(NEW[1].as_bytes()) {
            Ok(number) => assert_eq!(counters.list()[number].0, NEW[1].as_bytes(), "{steps}"),
            Err(NoCounter::Busy) => assert_eq!(counters.list(), before, "{steps}"),
            Err(NoCounter::Full) => panic!("{steps}: the page has room"),
        }
        drop(child);
        for name in NEW {
            assert!(counters.find(name.as_bytes()).is_ok(), "{steps}");
        }
        make_room(&counters);
    }
}
