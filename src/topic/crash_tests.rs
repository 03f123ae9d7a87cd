//! A real process is killed at every transition of the protocol, one by one; the others must miss nothing, get nothing twice
//! and not stall, and a lossy subscriber's count must stay exact. The child is this test binary again, and raises SIGKILL
//! itself (see `queue::crash`).

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::tests::{copied, receive_all};
use super::{Subscription, Topic, Wish};
use crate::queue::Sent;
use crate::queue::crash_tests::run_child;
use crate::queue::tests::{new, unique, wire};
use crate::shm::Place;
use crate::sync::steps::LEFT;

const OWN: &[&str] = &["counted", "freed", "entered", "counted in", "placed", "read", "moved on", "left"];
/// Those of queues that a topic passes, too.
const QUEUES: &[&str] =
    &["claimed", "half written", "written", "committed", "about to wake", "part created", "part written"];
const RECOVERY: &[&str] = &["settling", "seat settled"];

const LARGE: usize = 100_000;

#[test]
fn every_crash_point_is_listed() {
    let source = [
        include_str!("large.rs"),
        include_str!("log.rs"),
        include_str!("subscription.rs"),
        include_str!("publisher.rs"),
        include_str!("read.rs"),
    ];
    let mut found: Vec<&str> = source
        .iter()
        .flat_map(|text| text.split("crash_point!(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut listed: Vec<&str> = OWN.iter().chain(&["part written"]).copied().collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn a_kill_at_any_point_costs_the_others_nothing() {
    for point in OWN.iter().chain(QUEUES) {
        let killed: u32 = (1..=3).map(|count| u32::from(one_kill(&format!("{point}:{count}"), None))).sum();
        assert!(killed >= 1, "no child died at {point}: it is not passed any more");
    }
}

#[test]
fn a_recovery_that_is_killed_too_is_taken_up() {
    for point in RECOVERY {
        let all = || {
            let kill = |first: &&str| one_kill(first, Some(&format!("{point}:1")));
            ["half written:2", "moved on:2", "entered:2"].iter().filter(|first| kill(first)).count()
        };
        // A reader here may have recovered before the child that is to die of it.
        let killed = (0..10).any(|_| all() >= 1);
        assert!(killed, "no recovery died at {point}");
    }
}

/// Before every store and system call that others can see, not only at those with a name.
#[test]
fn a_user_killed_before_any_step_costs_the_others_nothing() {
    let mut step = 0;
    while one_kill(&format!("step:{step}"), None) {
        step += 1;
    }
    assert!(step > 150, "every store is a step: {step}");
}

/// Whether the child (or the recovery, if there is one) died.
fn one_kill(crash: &str, recovery: Option<&str>) -> bool {
    let place = unique("topic crash");
    let (topic, _) = Topic::join(&place, new(1 << 12)).unwrap();
    let mut reliable = topic.subscribe(Wish::default()).unwrap();
    let mut lossy = topic.subscribe(Wish { lossy: true, others_only: false }).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // Else the child would wait for it.
    let reading = thread::spawn(move || {
        let mut found = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            take(&mut reliable, &mut found);
        }
        (reliable, found)
    });
    let (sent, mut died) = run("work", &place, crash);
    if let Some(recovery) = recovery {
        died = run("recover", &place, recovery).1;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut reliable, mut found) = reading.join().unwrap();
    let mut topic = topic;
    topic.look_around();
    let begun = Instant::now();
    for number in 0..200 {
        while topic.publish(0, format!("after {number}").as_bytes()).unwrap() == Sent::Full {
            assert!(begun.elapsed() < Duration::from_secs(20), "{crash}: stalled");
            take(&mut reliable, &mut found);
        }
    }
    found.extend(receive_all(&mut reliable));
    let total = found.len() as u64;
    let (ours, theirs): (Vec<_>, Vec<_>) = found.into_iter().partition(|message| message.starts_with("after"));
    assert!((0..200).map(|number| format!("after {number}")).eq(ours), "{crash}: of ours");
    // What it was killed in may be there, or not: one message, or a batch of three.
    let rest =
        theirs.strip_prefix(sent.as_slice()).unwrap_or_else(|| panic!("{crash}: {theirs:?} instead of {sent:?}"));
    assert!(rest.len() <= 3, "{crash}: {rest:?}");
    let kept = receive_all(&mut lossy).len() as u64;
    assert_eq!(kept + lossy.missed(), total, "{crash}: what was missed");
    let stats = topic.stats();
    assert_eq!((stats.reliable, stats.lossy, stats.used), (1, 1, 0), "{crash}");
    assert_eq!(topic.member.aux().names("part-").unwrap(), [""; 0], "{crash}: files of large messages");
    died
}

fn take(subscription: &mut Subscription, found: &mut Vec<String>) {
    let soon = Some(Instant::now() + Duration::from_millis(5));
    if subscription.lease_blocking(50, 1 << 12, soon, Duration::ZERO).unwrap() > 0 {
        found.extend(copied(subscription).into_iter().map(text));
    }
}

fn text(body: Vec<u8>) -> String {
    if body.len() == LARGE { "large".to_owned() } else { String::from_utf8(body).unwrap() }
}

/// The messages whose publishing returned.
fn run(role: &str, place: &Place, crash: &str) -> (Vec<String>, bool) {
    let (text, died) = run_child("topic::crash_tests::child", role, place, crash);
    (text.lines().filter_map(|line| line.strip_prefix("#sent ")).map(str::to_owned).collect(), died)
}

fn sent(messages: &[&str]) {
    let lines: String = messages.iter().map(|message| format!("\n#sent {message}\n")).collect();
    std::io::stdout().write_all(lines.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

#[test]
#[ignore = "the body of the child processes of this file"]
fn child() {
    let Ok(name) = std::env::var("INTERPROC_CRASH_QUEUE") else { return };
    let place = Place::Name(crate::shm::Name::new(&name).unwrap());
    let steps = std::env::var("INTERPROC_CRASH_AT").unwrap().strip_prefix("step:").map(|step| step.parse().unwrap());
    LEFT.store(steps.unwrap_or(-1), Ordering::Relaxed);
    let (mut topic, _) = Topic::join(&place, None).unwrap();
    if std::env::var("INTERPROC_CRASH_ROLE").unwrap() == "recover" {
        topic.look_around();
        return;
    }
    let soon = || Some(Instant::now() + Duration::from_secs(20));
    let mut reliable = topic.subscribe(Wish::default()).unwrap();
    let mut lossy = topic.subscribe(Wish { lossy: true, others_only: false }).unwrap();
    let rounds = if steps.is_some() { 0..14 } else { 0..150 };
    for number in rounds {
        let message = format!("c{number} {}", "x".repeat(number));
        assert_eq!(topic.publish_blocking(0, message.as_bytes(), soon(), Duration::ZERO).unwrap(), Sent::Yes);
        sent(&[&message]);
        if number % 4 == 0 {
            for subscription in [&mut reliable, &mut lossy] {
                while subscription.lease(3, 1 << 10).unwrap() > 0 {
                    copied(subscription);
                }
            }
        }
        if number % 50 == 7 {
            drop(std::mem::replace(&mut lossy, topic.subscribe(Wish::default()).unwrap()));
        }
        if number % 50 == 9 {
            let batch = wire(&[b"b0", b"b1", b"b2"]);
            let begun = Instant::now();
            while topic.publish_batch(&batch).unwrap().0 == 0 {
                assert!(begun.elapsed() < Duration::from_secs(20));
                thread::sleep(Duration::from_millis(1));
            }
            sent(&["b0", "b1", "b2"]);
        }
        if number % 50 == 11 {
            assert_eq!(topic.publish_blocking(0, &[b'l'; LARGE], soon(), Duration::ZERO).unwrap(), Sent::Yes);
            sent(&["large"]);
        }
    }
    drop((reliable, lossy, topic));
    LEFT.store(-1, Ordering::Relaxed);
}
