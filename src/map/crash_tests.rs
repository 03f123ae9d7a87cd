//! A process killed, and stopped, before each of its stores.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::tests::{get, named, random_name, set};
use super::{Map, Put, Value};

/// Name of the map or page, stores to make, `kill` or `stop`.
const ROLE: &str = "INTERPROC_MAP_CRASH";
/// The test whose process changes a map.
const MAP: &str = "map::crash_tests::map_crash_role";

/// Stores that this process may still make; negative: as many as it likes.
static LEFT: AtomicI64 = AtomicI64::new(-1);
/// Whether it is stopped then, not killed.
static STOPS: AtomicBool = AtomicBool::new(false);

/// Called before every store.
pub(super) fn step() {
    if LEFT.load(Ordering::Relaxed) >= 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
        let signal = if STOPS.load(Ordering::Relaxed) { Signal::STOP } else { Signal::KILL };
        let _ = kill_process(getpid(), signal);
        // Another thread may be the first that it meets: this one makes no store meanwhile.
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
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
    map.put(b"short", Value::Number(1.0), Some(1), Put::Always).unwrap();
    std::thread::sleep(Duration::from_millis(2));
    let _ = map.len();
    map.clear();
    set(map, "last", "v");
}

#[test]
fn map_crash_role() {
    play(|name| named(name, 16, true), run);
}

/// In a process that [`victim`] made: opens, and does what it is to die amid. Elsewhere nothing.
pub(super) fn play<T>(open: impl FnOnce(&str) -> T, run: impl FnOnce(&T)) {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [name, steps, end] = role.split('\n').collect::<Vec<_>>()[..] else { panic!("a bad role: {role}") };
    let opened = open(name);
    STOPS.store(end == "stop", Ordering::Relaxed);
    LEFT.store(steps.parse().unwrap(), Ordering::Relaxed);
    run(&opened);
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
        let output = victim(MAP, &name, steps, "kill").output().unwrap();
        let_the_short_end();
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

/// Readers go on while a writer is stopped amid any change, and writers once it is killed.
#[test]
fn stopped_before_every_store() {
    let name = random_name();
    let map = named(&name, 16, true);
    for steps in 0.. {
        map.clear();
        set(&map, "kept", "old");
        let Some(child) = stopped(MAP, &name, steps) else {
            assert_eq!(map.keys(), [b"last"]);
            break;
        };
        let_the_short_end();
        // Twice, for what is there stays as long as nobody writes.
        let read = || [get(&map, "kept"), get(&map, "added"), get(&map, "last")];
        let found = read();
        assert!(found[0].as_ref().is_none_or(|kept| kept == "old" || *kept == "new".repeat(100)), "{steps}: {found:?}");
        assert!(found[1].as_ref().is_none_or(|added| *added == "x".repeat(300)), "{steps}: {found:?}");
        assert_eq!(found, read(), "{steps}");
        let keys = map.keys();
        assert!(keys.iter().all(|key| map.has(key)), "{steps}: {keys:?}");
        assert_eq!(keys.contains(&b"kept".to_vec()), found[0].is_some(), "{steps}: {keys:?}");
        drop(child);
        set(&map, "next", "v");
        assert_eq!(get(&map, "next").as_deref(), Some("v"), "{steps}");
    }
}

/// What ends between two looks is in one of them only.
fn let_the_short_end() {
    std::thread::sleep(Duration::from_millis(2));
}

/// A process that is stopped before that store; `None`: it made fewer.
pub(super) fn stopped(role: &str, name: &str, steps: usize) -> Option<Victim> {
    let mut victim = victim(role, name, steps, "stop");
    // Not ours: where this test fails, nobody waits for the end of what the stopped one could still write.
    let child = Victim(victim.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let pid = Pid::from_raw(child.0.id().try_into().unwrap()).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped() || status.exit_status() == Some(0), "{steps}: {status:?}");
    status.stopped().then_some(child)
}

/// Killed at the end, also of a test that fails.
pub(super) struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that plays that test, and is killed or stopped before that store.
pub(super) fn victim(role: &str, name: &str, steps: usize, end: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", role, "--quiet", "--nocapture"]).env(ROLE, format!("{name}\n{steps}\n{end}"));
    command
}
