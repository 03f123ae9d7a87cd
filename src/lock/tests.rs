//! The rules, in one process; what two processes do is in `crash_tests` and in Jest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::record::{BUCKETS, Mode, RECORDS, SHARDS};
use super::{Answer, Ask, Id, Outcome, Table};
use crate::shm::Name;

pub(super) fn random_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("lock test {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn table() -> Arc<Table> {
    Arc::new(Table::open(Name::new(&random_name()).unwrap()).unwrap())
}

pub(super) fn ask(mode: Mode) -> Ask {
    Ask { mode, count: 1, limit: 2, agent: 0, if_available: false, steal: false }
}

/// Ends the program when a test hangs.
pub(super) fn watchdog(limit: Duration) -> impl Drop {
    struct Watchdog(Arc<AtomicBool>);
    impl Drop for Watchdog {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    std::thread::spawn(move || {
        let deadline = Instant::now() + limit;
        while !seen.load(Ordering::Relaxed) {
            if Instant::now() > deadline {
                std::process::abort(); // A test of locks hangs.
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    Watchdog(done)
}

/// Every record is in exactly one list, and `used` of all shards are in use. Remembered deaths do not count.
pub(super) fn verify(table: &Table, used: usize) {
    let mut in_use = 0;
    for shard in 0..SHARDS {
        let words = table.words(shard);
        if words.ticket.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let mut seen = [false; RECORDS];
        let mut walk = |mut next: u32, free: bool| {
            let mut count = 0;
            while next != 0 {
                let index = next as usize - 1;
                assert!(!std::mem::replace(&mut seen[index], true), "record {index} is in two lists");
                let state = words.records[index].state.load(Ordering::Relaxed);
                assert_eq!(state == 0, free, "record {index} is in the wrong list");
                count += usize::from(state != 4);
                next = words.records[index].next.load(Ordering::Relaxed);
            }
            count
        };
        walk(words.free.load(Ordering::Relaxed), true);
        in_use += (0..BUCKETS).map(|bucket| walk(words.buckets[bucket].load(Ordering::Relaxed), false)).sum::<usize>();
        assert!(seen.iter().all(|seen| *seen), "a record is in no list");
    }
    assert_eq!(in_use, used);
}

pub(super) fn get(table: &Table, name: &str, mode: Mode) -> Id {
    match table.request(name.as_bytes(), &ask(mode), None) {
        Outcome::Held { id, after_death: false } => id,
        other => panic!("{name}: {other:?}"),
    }
}

pub(super) fn queue(table: &Table, name: &str, mode: Mode) -> Id {
    match table.request(name.as_bytes(), &ask(mode), None) {
        Outcome::Waiting { id, .. } => id,
        other => panic!("{name}: {other:?}"),
    }
}

fn holds(table: &Table, id: Id) -> bool {
    matches!(table.look(id), Answer::Held { .. })
}

#[test]
fn first_come_first_served() {
    let table = table();
    let writer = get(&table, "x", Mode::Exclusive);
    let readers = [queue(&table, "x", Mode::Shared), queue(&table, "x", Mode::Shared)];
    let next_writer = queue(&table, "x", Mode::Exclusive);
    let late_reader = queue(&table, "x", Mode::Shared);
    get(&table, "another name", Mode::Exclusive);
    table.end(writer, None);
    assert!(readers.iter().all(|id| holds(&table, *id)));
    assert!(!holds(&table, next_writer));
    assert!(!holds(&table, late_reader), "a reader does not overtake a writer");
    table.end(readers[0], None);
    assert!(!holds(&table, next_writer));
    table.end(readers[1], None);
    assert!(holds(&table, next_writer));
    assert_eq!(table.end(next_writer, None), Some(Answer::Held { after_death: false }));
    assert!(holds(&table, late_reader));
    assert_eq!(table.end(next_writer, None), Some(Answer::Gone), "ending twice does nothing");
    verify(&table, 2);
}

#[test]
fn giving_up_lets_those_behind_pass() {
    let table = table();
    let reader = get(&table, "x", Mode::Shared);
    let writer = queue(&table, "x", Mode::Exclusive);
    let behind = queue(&table, "x", Mode::Shared);
    assert_eq!(table.cancel(reader, None), Some(Answer::Held { after_death: false }), "what is held is not given up");
    assert_eq!(table.cancel(writer, None), Some(Answer::Waiting));
    assert!(holds(&table, behind));
    verify(&table, 2);
}

#[test]
fn if_available_leaves_nothing() {
    let table = table();
    let id = get(&table, "x", Mode::Exclusive);
    let now = Ask { if_available: true, ..ask(Mode::Shared) };
    assert_eq!(table.request(b"x", &now, None), Outcome::Unavailable);
    verify(&table, 1);
    table.end(id, None);
    assert!(matches!(table.request(b"x", &now, None), Outcome::Held { .. }));
}

#[test]
fn stealing_goes_before_all() {
    let table = table();
    let victims = [get(&table, "x", Mode::Shared), get(&table, "x", Mode::Shared)];
    let waiting = queue(&table, "x", Mode::Exclusive);
    let steal = Ask { steal: true, ..ask(Mode::Exclusive) };
    let Outcome::Held { id: thief, .. } = table.request(b"x", &steal, None) else { panic!("not stolen") };
    assert!(victims.iter().all(|id| table.look(*id) == Answer::Stolen));
    assert!(!holds(&table, waiting));
    for victim in victims {
        table.end(victim, None);
    }
    assert!(!holds(&table, waiting));
    table.end(thief, None);
    assert!(holds(&table, waiting));
}

#[test]
fn who_steals_what_was_left_by_a_death_is_told_too() {
    let table = table();
    table.abandon(get(&table, "x", Mode::Exclusive));
    let Outcome::Held { after_death: true, .. } = table.request(b"x", &ask(Mode::Exclusive), None) else {
        panic!("not told")
    };
    let steal = Ask { steal: true, ..ask(Mode::Exclusive) };
    for _ in 0..2 {
        let Outcome::Held { id, after_death: true } = table.request(b"x", &steal, None) else { panic!("not told") };
        assert_eq!(table.look(id), Answer::Held { after_death: true });
    }
}

#[test]
fn permits_are_counted() {
    let table = table();
    let permits = |count, limit| Ask { count, limit, ..ask(Mode::Permits) };
    let Outcome::Held { id: two, .. } = table.request(b"s", &permits(2, 3), None) else { panic!("two of three") };
    let Outcome::Waiting { id: big, .. } = table.request(b"s", &permits(2, 3), None) else { panic!("one is left") };
    let Outcome::Waiting { id: small, .. } = table.request(b"s", &permits(1, 3), None) else { panic!("it overtook") };
    assert_eq!(table.request(b"s", &permits(1, 4), None), Outcome::LimitDiffers(3));
    table.end(two, None);
    assert!(holds(&table, big) && holds(&table, small));
    verify(&table, 2);
}

#[test]
fn notify_wakes_as_many_as_it_says_in_order() {
    let table = table();
    let wait = || match table.wait(b"w", 0, None, &|| true) {
        Outcome::Waiting { id, .. } => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(table.wait(b"w", 0, None, &|| false), Outcome::NotEqual);
    let ids = [wait(), wait(), wait()];
    assert_eq!(table.notify(b"other", 9, None), Some(0));
    assert_eq!(table.notify(b"w", 2, None), Some(2));
    assert_eq!(ids.map(|id| table.look(id)), [Answer::Notified, Answer::Notified, Answer::Waiting]);
    assert_eq!(table.notify(b"w", u32::MAX, None), Some(1));
    assert_eq!(table.notify(b"w", u32::MAX, None), Some(0));
    for id in ids {
        assert_eq!(table.end(id, None), Some(Answer::Notified));
    }
    verify(&table, 0);
}

#[test]
fn a_thread_that_ends_leaves_a_death_behind() {
    let table = table();
    let of_worker = Ask { agent: 5, ..ask(Mode::Exclusive) };
    let Outcome::Held { id: of_worker, .. } = table.request(b"x", &of_worker, None) else { panic!("not held") };
    let waiting = queue(&table, "x", Mode::Exclusive);
    table.abandon(of_worker);
    assert_eq!(table.look(waiting), Answer::Held { after_death: true });
    table.end(waiting, None);
    get(&table, "x", Mode::Exclusive);
    verify(&table, 1);
}

#[test]
fn of_a_death_the_next_is_told_if_the_first_never_knew_what_it_had() {
    let table = table();
    let permit = get(&table, "x", Mode::Permits);
    table.abandon(permit);
    let Outcome::Held { id: first, after_death: true } = table.request(b"x", &ask(Mode::Permits), None) else {
        panic!("not told")
    };
    assert_eq!(table.decline(first, None), Some(Answer::Held { after_death: true }));
    let Outcome::Held { id: second, after_death: true } = table.request(b"x", &ask(Mode::Permits), None) else {
        panic!("not told")
    };
    assert_eq!(table.end(second, None), Some(Answer::Held { after_death: true }));
    let third = get(&table, "x", Mode::Permits);
    assert_eq!(table.decline(third, None), Some(Answer::Held { after_death: false }));
    get(&table, "x", Mode::Permits);
    verify(&table, 1);
}

#[test]
fn a_blocked_thread_is_woken() {
    let _watchdog = watchdog(Duration::from_secs(60));
    let table = table();
    let id = get(&table, "x", Mode::Exclusive);
    let waiting = queue(&table, "x", Mode::Exclusive);
    std::thread::scope(|scope| {
        assert_eq!(table.block(waiting, Some(Instant::now())), Answer::Waiting);
        let blocked = scope.spawn(|| table.block(waiting, None));
        std::thread::sleep(Duration::from_millis(50));
        table.end(id, None);
        assert_eq!(blocked.join().unwrap(), Answer::Held { after_death: false });
    });
}

#[test]
fn threads_exclude_each_other() {
    let _watchdog = watchdog(Duration::from_secs(120));
    let table = table();
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let (Outcome::Held { id, .. } | Outcome::Waiting { id, .. }) =
                        table.request(b"x", &ask(Mode::Exclusive), None)
                    else {
                        panic!("not entered")
                    };
                    assert!(matches!(table.block(id, None), Answer::Held { .. }));
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    table.end(id, None);
                }
            });
        }
    });
    verify(&table, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever lies in the table, asking ends, and nothing outside is touched.
    #[test]
    fn scribbled_bytes_are_survived(
        words in prop::collection::vec((any::<u32>(), prop_oneof![any::<u32>(), 0..20_u32]), 1..200),
        again in any::<bool>(),
    ) {
        let _watchdog = watchdog(Duration::from_secs(60));
        let table = table();
        let id = get(&table, "x", Mode::Exclusive);
        queue(&table, "x", Mode::Shared);
        let shard = table.words(id.shard as usize);
        let start = std::ptr::from_ref(shard).cast::<AtomicU32>();
        for (at, value) in words {
            let at = at as usize % (size_of_val(shard) / 4);
            // SAFETY: inside the shard.
            let word = unsafe { start.add(at) };
            // SAFETY: any bits are an integer.
            unsafe { &*word }.store(value, Ordering::Relaxed);
        }
        let until = || Some(Instant::now() + Duration::from_millis(50));
        table.end(id, until());
        for mode in [Mode::Exclusive, Mode::Shared, Mode::Permits] {
            if let Outcome::Held { id, .. } | Outcome::Waiting { id, .. } = table.request(b"x", &ask(mode), until()) {
                table.check(id, until());
                table.end(id, until());
            }
        }
        if again {
            table.wait(b"x", 0, until(), &|| true);
        }
    }
}
