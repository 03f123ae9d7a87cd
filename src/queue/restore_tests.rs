//! Power cuts: a file is made of pages that are each of another moment, and opened. What comes out must have been sent, whole; what was
//! flushed and not received must come out; the rest must be told of.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::tests::wire;
use super::{Flags, New, PART, Restored, Sent, Work};
use crate::shm::Place;
use proptest::prelude::*;

const PAGE: usize = 4096;

/// A folder that goes away again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("interproc-cut-{}-{}-{since}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn place(&self, name: &str) -> Place {
        Place::File(self.0.join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn new(capacity: u64, ack: bool) -> Option<New> {
    Some(New { capacity, persistent: false, flags: Flags { ack, ..Flags::default() } })
}

/// What a disk shows after a power cut: of every page a version of some moment.
fn write_image(path: &Path, snapshots: &[Vec<u8>], mut choose: impl FnMut(usize) -> usize) {
    let mut bytes = snapshots[0].clone();
    for (page, begin) in (0..bytes.len()).step_by(PAGE).enumerate() {
        let end = (begin + PAGE).min(bytes.len());
        bytes[begin..end].copy_from_slice(&snapshots[choose(page) % snapshots.len()][begin..end]);
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
}

fn body(number: u32, length: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|at| (number as usize).wrapping_mul(31).wrapping_add(at).to_le_bytes()[0]));
    bytes
}

fn number_of(bytes: &[u8]) -> u32 {
    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, body(number, bytes.len() - 4), "a torn message came out");
    number
}

/// All that is in the queue, each whole.
fn take_all(work: &mut Work) -> Vec<u32> {
    let mut found = Vec::new();
    while work.lease(100, 1 << 20).unwrap() > 0 {
        let mut bytes = vec![0; work.leased_bytes()];
        let mut places = Vec::new();
        work.copy(&mut bytes, |delivery| places.push(*delivery)).unwrap();
        for place in &places {
            found.push(if place.tag & PART == 0 {
                number_of(&bytes[place.offset..place.offset + place.length])
            } else {
                number_of(&work.part(place.id).unwrap().to_vec().unwrap())
            });
        }
        work.finish().unwrap();
        if work.flags().ack {
            for place in places {
                assert!(work.ack(place.id).unwrap());
            }
        }
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Batch(usize),
    /// Messages that are received.
    Receive(u32),
    /// Messages that are leased and kept, until the next step that receives.
    Lease(u32),
    Snapshot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => prop_oneof![9 => 0usize..200, 1 => 200usize..3000].prop_map(Step::Send),
        3 => (2usize..40).prop_map(Step::Batch),
        4 => (1u32..40).prop_map(Step::Receive),
        1 => (1u32..40).prop_map(Step::Lease),
        2 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 2000 }))]

    #[test]
    fn a_power_cut_leaves_whole_messages_and_keeps_what_was_flushed(
        steps in steps(), bits in 12u32..=15, ack: bool, choices in prop::collection::vec(any::<usize>(), 40), flushed: usize,
    ) {
        let folder = Folder::new();
        let path = folder.0.join("queue");
        let (mut work, created) = Work::join(&folder.place("queue"), new(1 << bits, ack)).unwrap();
        prop_assert!(created && work.restored().is_none());
        let (mut next, mut snapshots, mut leased) = (0, Vec::new(), false);
        // Of every moment with a snapshot: messages sent, and all that were received by then.
        let (mut moments, mut received) = (Vec::new(), BTreeSet::new());
        for step in steps.iter().chain([&Step::Snapshot]) {
            if leased && !matches!(step, Step::Snapshot | Step::Send(_)) {
                work.give_back(0).unwrap();
                leased = false;
            }
            match step {
                Step::Send(length) => {
                    let limit = work.max_message() - 4;
                    if work.send(0, &body(next, (*length).min(limit))).unwrap() == Sent::Yes {
                        next += 1;
                    }
                }
                Step::Batch(count) => {
                    let bodies: Vec<_> = (0..*count).map(|i| body(next + u32::try_from(i).unwrap(), i * 3 % 50)).collect();
                    let bytes = wire(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    let (taken, _) = work.send_batch(&bytes).unwrap();
                    let mut at = 0;
                    for body in &bodies {
                        at += 8 + body.len().next_multiple_of(8);
                        next += u32::from(at <= taken);
                    }
                }
                Step::Receive(most) => {
                    if work.lease(*most, 1 << 20).unwrap() > 0 {
                        let mut bytes = vec![0; work.leased_bytes()];
                        let mut places = Vec::new();
                        work.copy(&mut bytes, |delivery| places.push(*delivery)).unwrap();
                        for place in &places {
                            received.insert(number_of(&bytes[place.offset..place.offset + place.length]));
                        }
                        work.finish().unwrap();
                        if ack {
                            for place in places { prop_assert!(work.ack(place.id).unwrap()); }
                        }
                    }
                }
                Step::Lease(most) => leased = work.lease(*most, 1 << 20).unwrap() > 0,
                Step::Snapshot => {
                    snapshots.push(std::fs::read(&path).unwrap());
                    moments.push((next, received.clone()));
                }
            }
        }
        drop(work);
        let first = flushed % snapshots.len();
        write_image(&folder.0.join("cut"), &snapshots[first..], |page| choices[page % choices.len()]);
        let (mut cut, created) = Work::join(&folder.place("cut"), None).unwrap();
        prop_assert!(!created);
        let restored = cut.restored().unwrap();
        let found = take_all(&mut cut);
        prop_assert_eq!(found.len() as u64, restored.messages);
        let (sent_at_flush, received_at_flush) = &moments[first];
        let unique: BTreeSet<u32> = found.iter().copied().collect();
        prop_assert_eq!(unique.len(), found.len(), "one came twice");
        prop_assert!(found.is_sorted(), "{:?}", found);
        for number in &found {
            prop_assert!(*number < next);
            prop_assert!(!received_at_flush.contains(number), "{} had been received before the flush", number);
        }
        for number in 0..*sent_at_flush {
            prop_assert!(received.contains(&number) || unique.contains(&number), "{} was flushed and is lost", number);
        }
        if first + 1 == snapshots.len() {
            prop_assert_eq!(restored.dropped, 0, "nothing was torn");
        }
        // Gaps between what came are told of.
        if let (Some(least), Some(most)) = (found.first(), found.last()) {
            let gap = (*least..*most).any(|number| !unique.contains(&number) && !received.contains(&number));
            prop_assert!(!gap || restored.dropped > 0, "silently lost: {:?} {:?}", found, restored);
        }
        // It works on, for a few laps.
        for number in 1_000_000..1_000_400 {
            prop_assert_eq!(cut.send(0, &body(number, 60)).unwrap(), Sent::Yes);
            prop_assert_eq!(take_all(&mut cut), [number]);
        }
        prop_assert_eq!(cut.stats().used, 0);
        drop(cut);
        // Nothing is torn now.
        let (again, _) = Work::join(&folder.place("cut"), None).unwrap();
        prop_assert_eq!(again.restored(), Some(Restored::default()));
    }
}

/// The file is read while others write to it, so that there is no moment of which it is.
#[test]
fn a_copy_made_amid_writing_opens() {
    let folder = Folder::new();
    let path = folder.0.join("queue");
    let (mut keeper, _) = Work::join(&folder.place("queue"), new(1 << 14, false)).unwrap();
    let ending = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut sender = Work::join(&folder.place("queue"), None).unwrap().0;
        let ending = &ending;
        let _end = End(ending);
        scope.spawn(move || {
            for number in 0.. {
                let deadline = Some(Instant::now() + Duration::from_millis(50));
                let _ = sender.send_blocking(0, &body(number, number as usize % 300), deadline).unwrap();
                if ending.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for round in 0..40 {
            let snapshots: Vec<_> = (0..3).map(|_| std::fs::read(&path).unwrap()).collect();
            let name = format!("copy {round}");
            let mut choice: usize = round;
            write_image(&folder.0.join(&name), &snapshots, |_| {
                choice = choice.wrapping_mul(7).wrapping_add(3);
                choice >> 2
            });
            let (mut copy, _) = Work::join(&folder.place(&name), None).unwrap();
            let restored = copy.restored().unwrap();
            let found = take_all(&mut copy);
            assert_eq!(found.len() as u64, restored.messages);
            assert!(found.is_sorted());
            assert_eq!(copy.send(0, &body(1, 50)).unwrap(), Sent::Yes);
            drop(copy);
            take_all(&mut keeper);
        }
    });
}

/// Ends the other thread, also when an assertion fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_received_without_a_power_cut_stays_received() {
    let folder = Folder::new();
    let (mut work, _) = Work::join(&folder.place("queue"), new(1 << 14, false)).unwrap();
    let bodies: Vec<_> = (0..10).map(|number| body(number, 20)).collect();
    let bytes = wire(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
    work.send_batch(&bytes).unwrap();
    assert_eq!(work.lease(10, 1 << 16).unwrap(), 10);
    work.mark().store(4, Ordering::Release);
    // As a copy it is of another machine, as it were; and nobody can say what the application had.
    std::fs::copy(folder.0.join("queue"), folder.0.join("copy")).unwrap();
    let (mut copy, _) = Work::join(&folder.place("copy"), None).unwrap();
    assert_eq!(copy.restored(), Some(Restored { messages: 10, ..Restored::default() }));
    assert_eq!(take_all(&mut copy), (0..10).collect::<Vec<_>>());
    drop(copy);
    drop(work);
    let (mut work, _) = Work::join(&folder.place("queue"), None).unwrap();
    assert_eq!(work.restored(), Some(Restored { messages: 6, ..Restored::default() }));
    assert_eq!(take_all(&mut work), (4..10).collect::<Vec<_>>());
}

#[test]
fn large_messages_survive_and_orphans_go() {
    let folder = Folder::new();
    let (mut work, _) = Work::join(&folder.place("queue"), new(1 << 14, false)).unwrap();
    let large = body(7, 100_000);
    assert_eq!(work.send_any(0, &large).unwrap(), Sent::Yes);
    assert_eq!(work.send_any(0, &body(8, 100_000)).unwrap(), Sent::Yes);
    let orphan = work.aux().path("part-0000000000000001");
    std::fs::write(&orphan, b"of one who was killed").unwrap();
    assert_eq!(work.lease(1, 1).unwrap(), 1);
    let mut place = None;
    let mut bytes = vec![0; work.leased_bytes()];
    work.copy(&mut bytes, |delivery| place = Some(*delivery)).unwrap();
    assert_eq!(number_of(&work.part(place.unwrap().id).unwrap().to_vec().unwrap()), 7);
    work.finish().unwrap();
    drop(work);
    let (mut work, _) = Work::join(&folder.place("queue"), None).unwrap();
    assert!(!orphan.exists());
    assert_eq!(work.restored().unwrap().messages, 1);
    assert_eq!(take_all(&mut work), [8]);
    drop(work);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "only the queue is left");
}

#[test]
fn a_file_of_garbage_is_an_error_at_worst() {
    let folder = Folder::new();
    let (mut work, _) = Work::join(&folder.place("queue"), new(1 << 13, false)).unwrap();
    for number in 0..20 {
        assert_eq!(work.send(0, &body(number, 100)).unwrap(), Sent::Yes);
    }
    drop(work);
    let bytes = std::fs::read(folder.0.join("queue")).unwrap();
    let mut seed = 12345_u64;
    let mut seen = BTreeMap::<bool, u32>::new();
    for round in 0..400 {
        let mut bytes = bytes.clone();
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap()
        };
        let data = bytes.len() - 86016;
        for _ in 0..1 + round % 40 {
            // The first words, the states, the slots.
            let (from, to) = [(0, 256), (66048, 68000), (69632, 77824), (512, 66048)][random() % 4];
            let at = data.min(20480) + from + random() % (to - from);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random().to_le_bytes()[0];
            }
        }
        let name = format!("garbage {round}");
        write_image(&folder.0.join(&name), &[bytes], |_| 0);
        let opened = Work::join(&folder.place(&name), None);
        *seen.entry(opened.is_ok()).or_default() += 1;
        if let Ok((mut work, _)) = opened {
            for _ in 0..30 {
                let _ = work.send(0, &body(1, 60));
                if let Ok(1..) = work.lease(10, 4096) {
                    let mut bytes = vec![0; work.leased_bytes()];
                    let _ = work.copy(&mut bytes, |_| {});
                    let _ = work.finish();
                }
            }
        }
        std::fs::remove_file(folder.0.join(&name)).unwrap();
    }
    assert!(seen[&true] > 100, "{seen:?}");
}
