//! Looking at all requests.

use std::sync::atomic::Ordering;

use super::mutex::World;
use super::outcome::Patience;
use super::record::{Mode, Record, SHARDS, State};
use super::table::{BRIEF, Table};

/// A request as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, in UTF-8 as a rule.
    pub key: Vec<u8>,
    /// What is asked for.
    pub mode: Mode,
    /// Held, or waited for.
    pub held: bool,
    /// Process id, in its own PID namespace.
    pub pid: u32,
    /// Which thread of it; 0: a blocked one.
    pub agent: u64,
    /// Permits.
    pub count: u32,
    ticket: u64,
}

impl Table {
    /// All requests, oldest first. Of the living only. Never blocks: a part that a stopped process keeps is read as it lies there.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for shard in 0..SHARDS {
            let listed = self.with(shard, Patience::Loop(BRIEF), |locked| {
                locked.reap_all();
                entries.extend(locked.records().filter_map(|(_, record)| entry(record)));
            });
            if listed.is_none() {
                let living = |record: &&Record| self.is_alive(record.owner.load(Ordering::Relaxed));
                entries.extend(self.words(shard).records.iter().filter(living).filter_map(unlocked));
            }
        }
        entries.sort_by(|a, b| (&a.key, a.ticket).cmp(&(&b.key, b.ticket)));
        entries
    }
}

/// As [`entry`], of a record that may change meanwhile: not if it did.
fn unlocked(record: &Record) -> Option<Entry> {
    let entry = entry(record)?;
    let same = self::entry(record)? == entry;
    same.then_some(entry)
}

fn entry(record: &Record) -> Option<Entry> {
    let held = record.state().is_held();
    if !held && record.state() != State::Waiting {
        return None;
    }
    let mode = record.mode()?;
    Some(Entry {
        key: record.key(),
        mode,
        held,
        pid: record.pid.load(Ordering::Relaxed),
        agent: record.agent.load(Ordering::Relaxed),
        count: record.count.load(Ordering::Relaxed),
        ticket: record.ticket.load(Ordering::Relaxed),
    })
}
