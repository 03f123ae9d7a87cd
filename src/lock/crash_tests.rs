//! A process is killed before each of its stores to the table, one after another; the others go on.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

use super::record::Mode;
use super::tests::{ask, random_name, verify, watchdog};
use super::{Answer, Id, Outcome, Table};
use crate::shm::Name;

const ROLE: &str = "INTERPROC_LOCK_CRASH";

/// Stores that this process may still make; negative: as many as it likes.
static LEFT: AtomicI64 = AtomicI64::new(-1);

/// Called before every store.
pub(super) fn step() {
    if LEFT.load(Ordering::Relaxed) >= 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// What the process that will be killed does, and what the survivor expects.
struct Scene {
    name: &'static str,
    /// The survivor, before.
    before: fn(&Table) -> Vec<Id>,
    /// The victim, before its steps are counted.
    prepare: fn(&Table) -> Vec<Id>,
    /// The victim, until it is killed.
    run: fn(&Arc<Table>, &[Id]),
    /// The survivor, after.
    after: fn(&Table, &[Id]),
}

fn held(outcome: Outcome) -> Id {
    match outcome {
        Outcome::Held { id, .. } | Outcome::Waiting { id, .. } => id,
        other => panic!("not entered: {other:?}"),
    }
}

fn request(table: &Table, mode: Mode) -> Id {
    held(table.request(b"name", &ask(mode), None))
}

fn must_get(table: &Table, id: Id) {
    let answer = table.block(id, Some(Instant::now() + Duration::from_secs(10)));
    assert!(matches!(answer, Answer::Held { .. }), "{answer:?}");
}

fn end_all(table: &Table, ids: &[Id]) {
    for id in ids {
        table.end(*id, None);
    }
}

const SCENES: &[Scene] = &[
    Scene {
        name: "asks and gives back",
        before: |_| Vec::new(),
        prepare: |_| Vec::new(),
        run: |table, _| {
            for mode in [Mode::Exclusive, Mode::Shared, Mode::Permits] {
                let id = request(table, mode);
                table.end(id, None);
            }
        },
        after: |_, _| {},
    },
    Scene {
        name: "waits behind the survivor, and gives up",
        before: |table| vec![request(table, Mode::Exclusive)],
        prepare: |_| Vec::new(),
        run: |table, _| {
            let first = request(table, Mode::Shared);
            let second = request(table, Mode::Exclusive);
            table.cancel(first, None);
            table.cancel(second, None);
        },
        after: |table, ids| assert!(matches!(table.look(ids[0]), Answer::Held { .. })),
    },
    Scene {
        name: "hands over to the survivor",
        before: |_| Vec::new(),
        prepare: |table| {
            vec![request(table, Mode::Exclusive), request(table, Mode::Shared), request(table, Mode::Shared)]
        },
        run: |table, ids| end_all(table, ids),
        after: |_, _| {},
    },
    Scene {
        name: "steals from the survivor",
        before: |table| vec![request(table, Mode::Exclusive)],
        prepare: |_| Vec::new(),
        run: |table, _| {
            let mut steal = ask(Mode::Exclusive);
            steal.steal = true;
            let id = held(table.request(b"name", &steal, None));
            table.end(id, None);
        },
        after: |table, ids| assert!(matches!(table.look(ids[0]), Answer::Held { .. } | Answer::Stolen)),
    },
    Scene {
        name: "waits and notifies",
        before: |table| {
            vec![held(table.wait(b"word", 0, None, &|| true)), held(table.wait(b"word", 0, None, &|| true))]
        },
        prepare: |_| Vec::new(),
        run: |table, _| {
            let own = held(table.wait(b"word", 0, None, &|| true));
            table.notify(b"word", 1, None);
            table.notify(b"word", 5, None);
            table.end(own, None);
            table.wait(b"word", 0, None, &|| false);
        },
        after: |table, _| {
            table.notify(b"word", 9, None);
        },
    },
    Scene {
        name: "leaves",
        before: |_| Vec::new(),
        prepare: |table| (0..3).map(|_| request(table, Mode::Shared)).collect(),
        run: |table, ids| ids.iter().for_each(|id| table.abandon(*id)),
        after: |_, _| {},
    },
];

#[test]
fn lock_crash_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [name, scene, steps] = role.split('\n').collect::<Vec<_>>()[..] else { panic!("a bad role: {role}") };
    let scene = &SCENES[scene.parse::<usize>().unwrap()];
    let table = Arc::new(Table::open(Name::new(name).unwrap()).unwrap());
    let own = (scene.prepare)(&table);
    LEFT.store(steps.parse().unwrap(), Ordering::Relaxed);
    (scene.run)(&table, &own);
    LEFT.store(-1, Ordering::Relaxed);
    end_all(&table, &own);
}

/// Whether it came to its end alive.
fn victim(name: &str, scene: usize, steps: u32) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::crash_tests::lock_crash_role", "--quiet", "--nocapture"])
        .env(ROLE, format!("{name}\n{scene}\n{steps}"))
        .output()
        .unwrap();
    let killed = output.status.code().is_none();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    !killed
}

#[test]
fn killed_before_every_store() {
    let _watchdog = watchdog(Duration::from_secs(300));
    let mut deaths = 0;
    for (number, scene) in SCENES.iter().enumerate() {
        let name = random_name();
        let table = Arc::new(Table::open(Name::new(&name).unwrap()).unwrap());
        for steps in 0.. {
            let own = (scene.before)(&table);
            let finished = victim(&name, number, steps);
            (scene.after)(&table, &own);
            end_all(&table, &own);
            let next = request(&table, Mode::Exclusive);
            must_get(&table, next);
            table.end(next, None);
            let permits = request(&table, Mode::Permits);
            must_get(&table, permits);
            table.end(permits, None);
            assert_eq!(table.list(), [], "{} after {steps} steps", scene.name);
            verify(&table, 0);
            if finished {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 150, "every store is a step: {deaths}");
}

/// The first killed leaves half a change, the second is killed while it repairs that.
#[test]
fn killed_before_every_store_of_a_repair() {
    let _watchdog = watchdog(Duration::from_secs(300));
    let name = random_name();
    let table = Arc::new(Table::open(Name::new(&name).unwrap()).unwrap());
    for steps in 0.. {
        let own = request(&table, Mode::Exclusive);
        assert!(!victim(&name, 1, 15), "killed amid entering");
        let finished = victim(&name, 1, steps);
        assert!(matches!(table.look(own), Answer::Held { .. }));
        table.end(own, None);
        let next = request(&table, Mode::Exclusive);
        must_get(&table, next);
        table.end(next, None);
        assert_eq!(table.list(), []);
        verify(&table, 0);
        if finished {
            assert!(steps > 30, "the repair was not reached: {steps}");
            break;
        }
    }
}
