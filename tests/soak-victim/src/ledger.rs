//! What was sent and what was seen, in a SharedBuffer: it outlives whoever writes it. The same as in
//! scripts/soak/support/ledger.js, which says what the words mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use interproc::shm::{Kind, Open, Place, Segment};

pub const PEOPLE: usize = 4096;
pub const EACH: u32 = 8192;

const AT_PRODUCERS: usize = 64;
const AT_CONSUMERS: usize = AT_PRODUCERS + 8 * PEOPLE;
const AT_NOTES: usize = AT_CONSUMERS + 8 * PEOPLE;

pub const SEEN: u8 = 1;
pub const ACKNOWLEDGING: u8 = 0x40;
pub const ACKNOWLEDGED: u8 = 0x80;

pub struct Ledger(Arc<Segment>);

impl Ledger {
    pub fn open(ticket: &str) -> Result<Self, String> {
        let place = Place::parse(ticket).map_err(|error| error.to_string())?;
        let open = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
        Segment::open(&place, &open).map(Self).map_err(|error| format!("no ledger: {error}"))
    }

    pub fn progress(&self, count: u32) {
        self.word(0).fetch_add(count, Ordering::Relaxed);
    }

    /// Messages before this number may be in the queue.
    pub fn begun(&self, producer: usize) -> &AtomicU32 {
        self.word(AT_PRODUCERS + 8 * producer)
    }

    /// Messages before this number are.
    pub fn sent(&self, producer: usize) -> &AtomicU32 {
        self.word(AT_PRODUCERS + 8 * producer + 4)
    }

    /// Messages that the consumer may have been handed.
    pub fn asked(&self, consumer: usize) -> &AtomicU32 {
        self.word(AT_CONSUMERS + 8 * consumer)
    }

    /// Messages that it noted.
    pub fn noted(&self, consumer: usize) -> &AtomicU32 {
        self.word(AT_CONSUMERS + 8 * consumer + 4)
    }

    /// What became of one message; `None`: there is no such message.
    pub fn note(&self, producer: usize, number: u32) -> Option<&AtomicU8> {
        if producer >= PEOPLE || number >= EACH {
            return None;
        }
        let at = AT_NOTES + producer * EACH as usize + number as usize;
        let region = self.0.region();
        if at >= region.len() {
            return None;
        }
        // SAFETY: inside the region, which lives as long as the segment; all who touch it do so by atomics.
        Some(unsafe { AtomicU8::from_ptr(region.as_ptr().add(at)) })
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        self.0.region().atomic_u32(at).expect("a ledger is larger")
    }
}
