//! A process killed before each of its stores.

use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use super::Map;
use super::tests::{get, named, random_name, set};

const ROLE: &str = "INTERPROC_MAP_CRASH";

/// Stores that this process may still make; negative: as many as it likes.
static LEFT: AtomicI64 = AtomicI64::new(-1);

/// Called before every store.
pub(super) fn step() {
    if LEFT.load(Ordering::Relaxed) >= 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// What the victim does: replaces, adds, uses, removes, evicts, clears.
fn run(map: &Map) {
    set(map, "kept", &"new".repeat(100));
    set(map, "added", &"x".repeat(300));
    let _ = map.get(b"kept");
    map.increment(b"n", 1.0, None).unwrap();
    map.increment(b"n", 1.0, None).unwrap();
    map.delete(b"added");
    for i in 0..6 {
        set(map, &format!("{i}"), &"y".repeat(100));
    }
}

#[test]
fn map_crash_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [name, steps] = role.split('\n').collect::<Vec<_>>()[..] else { panic!("a bad role: {role}") };
    let map = named(name, 16, true);
    LEFT.store(steps.parse().unwrap(), Ordering::Relaxed);
    run(&map);
    LEFT.store(-1, Ordering::Relaxed);
}

#[test]
fn killed_before_every_store() {
    let name = random_name();
    let map = named(&name, 16, true);
    let mut deaths = 0;
    for steps in 0.. {
        map.clear();
        set(&map, "kept", "old");
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "map::crash_tests::map_crash_role", "--quiet", "--nocapture"])
            .env(ROLE, format!("{name}\n{steps}"))
            .output()
            .unwrap();
        // Old, new, or evicted; never half of one. Readers do not wait for the repair, and it takes nothing back that they saw.
        let before = [get(&map, "kept"), get(&map, "added")];
        let count = map.len();
        let after = [get(&map, "kept"), get(&map, "added")];
        for found in [&before, &after] {
            assert!(
                found[0].as_ref().is_none_or(|kept| kept == "old" || *kept == "new".repeat(100)),
                "{steps}: {found:?}"
            );
            assert!(found[1].as_ref().is_none_or(|added| *added == "x".repeat(300)), "{steps}: {found:?}");
        }
        assert!(before[0].as_ref().is_none_or(|kept| kept == "old") || after[0] == before[0], "{steps}: {before:?}");
        let keys = map.keys();
        assert_eq!(keys.len(), count as usize, "{steps}: {keys:?}");
        assert!(keys.iter().all(|key| map.has(key)), "{steps}: {keys:?}");
        // All blocks are there still: one entry takes them all.
        set(&map, "w", &"z".repeat(63 + 15 * 116));
        assert_eq!((map.len(), get(&map, "w").unwrap().len()), (1, 63 + 15 * 116), "after {steps} steps");
        if output.status.success() {
            break;
        }
        assert!(output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        deaths += 1;
    }
    assert!(deaths > 200, "every store is a step: {deaths}");
}
