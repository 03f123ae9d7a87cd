//! A real process is killed at every transition of the protocol, one by one; the others must lose nothing, double nothing
//! and not stall. The child is this test binary again, and raises SIGKILL itself (see `crash`).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::tests::{unique, wire};
use super::{Delivery, Flags, New, PART, Sent, Work};
use crate::shm::Place;

/// Every `crash_point!` there is, and whether only a recovery passes it.
const POINTS: &[(&str, bool)] = &[
    ("claimed", false),
    ("half written", false),
    ("written", false),
    ("committed", false),
    ("about to wake", false),
    ("leased", false),
    ("based", false),
    ("finishing", false),
    ("acknowledged", false),
    ("part created", false),
    ("part written", false),
    ("settling", true),
    ("start written", true),
    ("seat settled", true),
];

const LARGE: usize = 200_000;

#[test]
fn every_crash_point_is_listed() {
    let mut sources = Vec::new();
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue"), &mut sources);
    let mut found: Vec<&str> = sources
        .iter()
        .flat_map(|text| text.split("crash_point!(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut listed: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

/// All sources below `folder`, but this one: it names what it looks for.
fn read_sources(folder: &Path, sources: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if !path.ends_with("crash_tests.rs") {
            sources.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn a_kill_at_any_point_loses_and_doubles_nothing() {
    for ack in [false, true] {
        let mut killed = 0;
        for (point, _) in POINTS.iter().filter(|(point, recovery)| !recovery && (ack || *point != "acknowledged")) {
            for count in 1..=3 {
                killed += u32::from(one_kill(point, count, ack));
            }
        }
        assert!(killed >= 18, "only {killed} children died: the points are not passed any more");
    }
}

#[test]
fn a_recovery_that_is_killed_too_is_taken_up() {
    let mut killed = 0;
    for ack in [false, true] {
        for (point, _) in POINTS.iter().filter(|(_, recovery)| *recovery) {
            for first in ["half written:2", "leased:1", "leased:2", "finishing:2"] {
                killed += u32::from(killed_recovery(first, point, ack));
            }
        }
    }
    assert!(killed >= 10, "only {killed} recoveries died");
}

/// What a child said before it died: what it saw, acknowledged, and what its sends returned for.
#[derive(Debug, Default)]
pub(super) struct Said {
    seen: Vec<String>,
    /// Killed between the queue's knowledge of it and ours: either is right.
    acknowledging: Vec<String>,
    acknowledged: Vec<String>,
    sent: Vec<String>,
}

fn one_kill(point: &str, count: u32, ack: bool) -> bool {
    let place = unique("crash");
    let mut parent = queue_with_messages(&place, ack);
    // Someone to be woken.
    parent.arm_receiver();
    let (said, died) = run("work", &place, &format!("{point}:{count}"));
    check(&mut parent, &said, ack, &format!("{point}:{count}, ack {ack}"));
    died
}

fn killed_recovery(first: &str, point: &str, ack: bool) -> bool {
    let place = unique("crash twice");
    let mut parent = queue_with_messages(&place, ack);
    let (said, _) = run("work", &place, first);
    let (_, died) = run("recover", &place, &format!("{point}:1"));
    check(&mut parent, &said, ack, &format!("{first}, then {point}, ack {ack}"));
    died
}

pub(super) fn queue_with_messages(place: &Place, ack: bool) -> Work {
    let flags = Flags { ack, ..Flags::default() };
    let (mut parent, _) = Work::join(place, Some(New { capacity: 1 << 14, persistent: false, flags })).unwrap();
    for number in 0..3 {
        parent.send(0, format!("p{number}").as_bytes()).unwrap();
    }
    parent.send_batch(&wire(&[b"b0", b"b1", b"b2", b"b3"])).unwrap();
    parent
}

/// What is left in the queue and what the child said make up everything, once each.
pub(super) fn check(parent: &mut Work, said: &Said, ack: bool, what: &str) {
    parent.look_around();
    assert_eq!(parent.send(0, b"after").unwrap(), Sent::Yes, "{what}: the queue does not go on");
    let mut found = BTreeMap::<String, u32>::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !found.contains_key("after") || parent.ready() {
        let leased = parent.lease_blocking(100, 1 << 20, Some(deadline), Duration::ZERO).unwrap();
        assert!(leased > 0, "{what}: stalled with {found:?}");
        let mut bytes = vec![0; parent.leased_bytes()];
        let mut places = Vec::new();
        parent.copy(&mut bytes, |delivery| places.push(*delivery)).unwrap();
        for place in &places {
            let body = if place.tag & PART != 0 {
                let part = parent.part(place.id).unwrap();
                assert_eq!(part.len(), LARGE, "{what}");
                "large".to_owned()
            } else {
                String::from_utf8(bytes[place.offset..place.offset + place.length].to_vec()).unwrap()
            };
            *found.entry(body).or_default() += 1;
        }
        parent.finish().unwrap();
        if ack {
            for place in places {
                assert!(parent.ack(place.id).unwrap());
            }
        }
    }
    let gone = if ack { &said.acknowledged } else { &said.seen };
    for (message, times) in &found {
        assert_eq!(*times, 1, "{what}: {message} came {times} times");
        // What was acknowledged, or seen where nothing is acknowledged, is nobody else's.
        assert!(!gone.contains(message), "{what}: {message} was received before");
    }
    let ours = ["p0", "p1", "p2", "b0", "b1", "b2", "b3"].map(str::to_owned);
    for message in ours.iter().chain(&said.sent) {
        let maybe = ack && said.acknowledging.contains(message);
        assert!(found.contains_key(message) || gone.contains(message) || maybe, "{what}: {message} is lost");
    }
    assert_eq!(parent.stats().used, 0, "{what}: slots stay in use");
    if !ack {
        // The soak relies on this: so many were handed over, neither more nor less, whenever the child died.
        assert_eq!(parent.stats().received, (said.seen.len() + found.len()) as u64, "{what}: {said:?}, {found:?}");
    }
}

fn run(role: &str, place: &Place, crash: &str) -> (Said, bool) {
    let (text, died) = run_child("queue::crash_tests::child", role, place, crash);
    (said_by(&text), died)
}

/// Runs the child `test` in a process of its own, which kills itself at `crash`: what it printed, and whether it died of that.
pub(crate) fn run_child(test: &str, role: &str, place: &Place, crash: &str) -> (String, bool) {
    let Place::Name(name) = place else { unreachable!("a named one") };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("INTERPROC_CRASH_ROLE", role)
        .env("INTERPROC_CRASH_QUEUE", name.as_str())
        .env("INTERPROC_CRASH_AT", crash)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    let died = std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL);
    assert!(died || status.success(), "{crash}: {text}");
    (text, died)
}

/// What a child told of itself.
pub(super) fn said_by(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("#saw", what)) => said.seen.push(what.to_owned()),
            Some(("#acking", what)) => said.acknowledging.push(what.to_owned()),
            Some(("#acked", what)) => said.acknowledged.push(what.to_owned()),
            Some(("#sent", what)) => said.sent.push(what.to_owned()),
            _ => {}
        }
    }
    said
}

fn say(word: &str, what: &str) {
    std::io::stdout().write_all(format!("\n#{word} {what}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

#[test]
#[ignore = "the body of the child processes of this file"]
fn child() {
    let Ok(name) = std::env::var("INTERPROC_CRASH_QUEUE") else { return };
    let place = Place::Name(crate::shm::Name::new(&name).unwrap());
    let (mut work, _) = Work::join(&place, None).unwrap();
    if std::env::var("INTERPROC_CRASH_ROLE").unwrap() == "recover" {
        work.look_around();
        return;
    }
    self::work(work);
}

/// What a child does: each of the protocols, once.
pub(super) fn work(mut work: Work) {
    for number in 0..3 {
        assert_eq!(work.send(0, format!("c{number}").as_bytes()).unwrap(), Sent::Yes);
        say("sent", &format!("c{number}"));
    }
    // Two leases, each ended half-way; then one to its end.
    for (most, seen) in [(2, 1), (5, 3), (3, 3)] {
        receive(&mut work, most, seen);
    }
    assert_eq!(work.send_batch(&wire(&[b"d0", b"d1", b"d2"])).unwrap().1, Sent::Yes);
    ["d0", "d1", "d2"].iter().for_each(|message| say("sent", message));
    assert_eq!(work.send_any(0, &[7; LARGE]).unwrap(), Sent::Yes);
    say("sent", "large");
    receive(&mut work, 4, 2);
    drop(work);
}

/// Leases, has the first `seen` messages, acknowledges all of them but the first, and ends the lease.
fn receive(work: &mut Work, most: u32, seen: u32) {
    work.lease(most, 1 << 20).unwrap();
    let mut bytes = vec![0; work.leased_bytes()];
    let mut places = Vec::new();
    work.copy(&mut bytes, |delivery| places.push(*delivery)).unwrap();
    let text = |place: &Delivery| {
        let large = place.tag & PART != 0;
        let body = &bytes[place.offset..place.offset + place.length];
        if large { "large".to_owned() } else { str::from_utf8(body).unwrap().to_owned() }
    };
    places.truncate(seen as usize);
    for (taken, place) in (1..).zip(&places) {
        // First the mark, then the application: so does the JavaScript side.
        work.mark().store(taken, Ordering::Release);
        say("saw", &text(place));
    }
    work.give_back(seen).unwrap();
    if work.flags().ack {
        for place in places.iter().skip(1) {
            // Said before, so that a kill within leaves no doubt: it may come again, or not.
            say("acking", &text(place));
            assert!(work.ack(place.id).unwrap());
            say("acked", &text(place));
        }
    }
}
