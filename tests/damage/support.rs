//! Rooms of shared memory whose bytes are damaged while they are used, as the input says. An error at worst: no panic, no hang, nothing
//! outside. Used by the tests here and by the fuzz targets.

use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interproc::lock::{Ask, Id, Mode, Outcome, Table};
use interproc::map::SharedMap;
use interproc::queue::{Flags, New, Work};
use interproc::shm::{Kind, Name, Open, Place, Region, Segment};

#[path = "topic.rs"]
mod topic;

/// A topic, used and damaged in turn.
pub(crate) fn topic(data: &[u8]) {
    topic::topic(data);
}

/// The input, taken from its begin on; zeros behind its end.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }
}

/// What a damaged word becomes: a bit is another, or a small number, or anything.
fn damage(bytes: &mut Bytes<'_>, region: Region<'_>, from: usize, to: usize) {
    let Some(words) = to.min(region.len()).checked_sub(from).map(|length| length / 8) else { return };
    let at = from + bytes.u32() as usize % words.max(1) * 8;
    let Some(word) = region.atomic_u64(at) else { return };
    let old = word.load(Ordering::Relaxed);
    let new = match bytes.u8() % 5 {
        0 => old ^ 1 << (bytes.u8() % 64),
        1 => u64::from(bytes.u8()),
        2 => old.wrapping_add(u64::from(bytes.u8())).wrapping_sub(128),
        3 => old & !0xfff | u64::from(bytes.u32() & 0xfff),
        _ => bytes.u64(),
    };
    word.store(new, Ordering::Relaxed);
}

/// An error is as good as an answer here.
fn ignore<T>(_: T) {}

fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("damage {} {}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A queue, used and damaged in turn.
pub(crate) fn queue(data: &[u8]) {
    let mut bytes = Bytes(data);
    let how = bytes.u8();
    let flags = Flags { ack: how & 1 != 0, ..Flags::default() };
    let new = New { capacity: 512 << (how >> 1 & 3), persistent: false, flags };
    let Ok((mut work, _)) = Work::join(&Place::Anonymous, Some(new)) else { return };
    use_queue(&mut bytes, &mut work);
}

fn use_queue(bytes: &mut Bytes<'_>, work: &mut Work) {
    let segment = Arc::clone(work.segment());
    let slots = segment.region().len();
    let mut ids = Vec::new();
    for _ in 0..200 {
        if bytes.0.is_empty() {
            break;
        }
        match bytes.u8() % 12 {
            0 => ignore(work.send(bytes.u8(), &vec![7; usize::from(bytes.u8()) * 2])),
            1 => {
                let lengths: Vec<usize> = (0..bytes.u8() % 8).map(|_| usize::from(bytes.u8())).collect();
                ignore(work.send_batch(&wire(&lengths)));
            }
            2 => receive(work, u32::from(bytes.u8()) + 1, bytes.u8(), &mut ids),
            3 => view(work, bytes.u8()),
            4 => {
                let id = ids.pop().unwrap_or_else(|| bytes.u64());
                ignore(if bytes.u8() & 1 == 0 { work.ack(id) } else { work.release(id) });
            }
            5 => {
                let _ = (work.look_around(), work.ready(), work.stats());
            }
            6 => {
                work.arm_receiver();
                work.arm_sender();
                work.disarm_receiver();
                work.disarm_sender();
            }
            7 => ignore(work.send_any(0, &[3; 5000])),
            8 => damage(bytes, segment.region(), 0, 512),
            9 => damage(bytes, segment.region(), 512, 512 + 1024),
            10 => damage(bytes, segment.region(), 66048, 66048 + 600),
            _ => damage(bytes, segment.region(), 69632, slots),
        }
    }
}

fn receive(work: &mut Work, most: u32, seen: u8, ids: &mut Vec<u64>) {
    let Ok(1..) = work.lease(most, 4096) else { return };
    let room = work.leased_bytes();
    assert!(room <= 1 << 20, "more than the ring has: {room}");
    let mut bytes = vec![0; room];
    let mut found = Vec::new();
    let copied = work.copy(&mut bytes, |delivery| {
        assert!(delivery.offset + delivery.length <= room, "outside of the copy");
        found.push(*delivery);
    });
    if copied.is_ok() {
        for delivery in &found {
            if let Ok(part) = work.part(delivery.id) {
                assert!(part.to_vec().unwrap().iter().all(|byte| *byte == 3));
            }
        }
    }
    ids.extend(found.iter().map(|delivery| delivery.id));
    ignore(if seen == 0 { work.finish() } else { work.give_back(u32::from(seen) / 4) });
}

fn view(work: &mut Work, seen: u8) {
    let Ok(1..) = work.lease(u32::from(seen) + 1, 4096) else { return };
    let limit = work.slots().1;
    ignore(work.view(|delivery| assert!(delivery.offset + delivery.length <= limit, "outside of the slots")));
    ignore(work.give_back(u32::from(seen)));
}

fn wire(lengths: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for length in lengths {
        bytes.extend_from_slice(&(*length as u64).to_le_bytes());
        bytes.resize((bytes.len() + length).next_multiple_of(8), 1);
    }
    bytes
}

/// A segment's file, damaged before it is opened: header, participants, data. What opens is used.
pub(crate) fn file(data: &[u8]) {
    let mut bytes = Bytes(data);
    let folder = Folder::new();
    let path = folder.0.join("queue");
    let flags = Flags { ack: bytes.u8() & 1 != 0, ..Flags::default() };
    let new = New { capacity: 1024, persistent: false, flags };
    let Ok((mut work, _)) = Work::join(&Place::File(path.clone()), Some(new)) else { return };
    for number in 0..bytes.u8() % 20 {
        let _ = work.send(0, &[number; 60]);
    }
    receive(&mut work, 3, bytes.u8(), &mut Vec::new());
    drop(work);
    let Ok(mut image) = std::fs::read(&path) else { return };
    for _ in 0..bytes.u8() % 32 {
        let zones = [(0, 512), (512, 528), (4096, 4352), (20480, 20736), (86528, 86700), (90112, 91136)];
        let (from, to) = zones[usize::from(bytes.u8()) % zones.len()];
        let at = from + bytes.u32() as usize % (to - from);
        let value = bytes.u8();
        if let Some(byte) = image.get_mut(at) {
            *byte = value;
        }
    }
    match bytes.u8() % 8 {
        0 => image.truncate(bytes.u32() as usize % (image.len() + 1)),
        1 => image.resize(image.len() + bytes.u32() as usize % 10_000, 0),
        // The checksum of the header, so that what is behind it is looked at.
        _ => {
            let sum = image[..360]
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
            image[360..368].copy_from_slice(&sum.to_ne_bytes());
        }
    }
    let again = folder.0.join("again");
    write_private(&again, &image);
    let place = Place::File(again);
    let open = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
    // Unless the damage made it one.
    let kind = image.get(20..24).map(|bytes| bytes == 1_u32.to_ne_bytes());
    assert!(Segment::open(&place, &open).is_err() || kind == Some(true), "a queue is no buffer");
    if let Ok((mut work, _)) = Work::join(&place, None) {
        use_queue(&mut bytes, &mut work);
    }
}

/// The table of locks, used and damaged in turn.
pub(crate) fn locks(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Ok(name) = Name::new(&unique()) else { return };
    let Ok(table) = Table::open(name.clone()) else { return };
    let open = Open { kind: Kind::LOCKS, recover: &|_, _| {} };
    let Ok(segment) = Segment::open(&Place::Name(name), &open) else { return };
    let mut ids: Vec<Id> = Vec::new();
    let key = |byte: u8| [b'k', byte % 3];
    // Every key's shard has its share.
    let shards = segment.region().len() / 8;
    for _ in 0..100 {
        if bytes.0.is_empty() {
            break;
        }
        let soon = Some(Instant::now() + Duration::from_millis(2));
        match bytes.u8() % 9 {
            0 | 1 => {
                let mode = [Mode::Exclusive, Mode::Shared, Mode::Permits][usize::from(bytes.u8()) % 3];
                let choices = bytes.u8();
                let ask = Ask {
                    mode,
                    count: 1 + u32::from(choices >> 6),
                    limit: 4,
                    agent: 0,
                    if_available: choices & 1 != 0,
                    steal: choices & 2 != 0 && mode == Mode::Exclusive,
                };
                if let Outcome::Held { id, .. } | Outcome::Waiting { id, .. } =
                    table.request(&key(bytes.u8()), &ask, soon)
                {
                    ids.push(id);
                }
            }
            2 => {
                if let Some(id) = ids.pop() {
                    ignore(table.end(id, soon));
                }
            }
            3 => {
                if let Some(id) = ids.last() {
                    let _ = (table.look(*id), table.cancel(*id, soon));
                }
            }
            4 => ignore(table.list()),
            5 => {
                if let Outcome::Held { id, .. } | Outcome::Waiting { id, .. } =
                    table.wait(&key(bytes.u8()), 0, soon, &|| true)
                {
                    ids.push(id);
                }
            }
            6 => ignore(table.notify(&key(bytes.u8()), u32::from(bytes.u8()), None)),
            shard => {
                // The first records, or the words before them, of any shard.
                let begin = shards * usize::from(bytes.u8() % 8);
                let (from, to) = if shard == 7 { (0, 1088) } else { (1088, 1088 + 8 * 256) };
                damage(&mut bytes, segment.region(), begin + from, begin + to);
            }
        }
    }
}

/// A map, used and damaged in turn.
pub(crate) fn map(data: &[u8]) {
    let mut bytes = Bytes(data);
    let options = interproc::map::Options { capacity: 1 << 17, ..Default::default() };
    let Ok(map) = SharedMap::create_unnamed(&options) else { return };
    let open = Open { kind: Kind::MAP, recover: &|_, _| {} };
    let Ok(segment) =
        Place::parse(&map.ticket()).map_err(ignore).and_then(|place| Segment::open(&place, &open).map_err(ignore))
    else {
        return;
    };
    for _ in 0..100 {
        if bytes.0.is_empty() {
            break;
        }
        let key = format!("key {}", bytes.u8() % 10);
        match bytes.u8() % 9 {
            0 => ignore(map.set_bytes(&key, &vec![5; usize::from(bytes.u8()) * 3])),
            1 => ignore(map.get::<serde_json::Value>(&key)),
            2 => ignore(map.delete(&key)),
            3 => ignore(map.increment(&key, 1.0)),
            4 => {
                let _ = (map.keys(), map.len(), map.has(&key));
            }
            5 => ignore(map.set(&key, "text")),
            6 => map.clear(),
            7 => damage(&mut bytes, segment.region(), 0, 4096),
            _ => damage(&mut bytes, segment.region(), 0, usize::MAX),
        }
        let_nobody_alive_have_the_mutex(&segment);
    }
}

/// Who lives and has the mutex is waited for, as docs/map.md says: a damaged word that names this very process becomes one of the dead.
fn let_nobody_alive_have_the_mutex(segment: &Segment) {
    let own = segment.own();
    let me = u64::from(own.slot + 1) << 32 | u64::from(own.generation);
    if let Some(owner) = segment.region().atomic_u64(0) {
        ignore(owner.compare_exchange(me, me + 1, Ordering::Relaxed, Ordering::Relaxed));
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(unique().replace(' ', "-"));
        let _ = std::fs::create_dir(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write_private(path: &Path, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|file| file.write_all_at(bytes, 0)).expect("a folder of our own");
}
