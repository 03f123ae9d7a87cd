//! What was published, and how far everyone is, in a SharedBuffer: it outlives whoever writes it. The same as in
//! scripts/soak/support/roll.js, which says what the words mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use interproc::shm::{Kind, Open, Place, Segment};

pub const PUBLISHERS: usize = 4096;

const AT_PUBLISHERS: usize = 64;

/// No publisher goes on.
pub const ENDING: u32 = 1;
/// All of them have ended: the witness says what there was.
pub const WITNESSED: u32 = 2;
/// It did: the others compare.
pub const COMPARED: u32 = 3;

pub struct Roll(Arc<Segment>);

impl Roll {
    pub fn open(ticket: &str) -> Result<Self, String> {
        let place = Place::parse(ticket).map_err(|error| error.to_string())?;
        let open = Open { kind: Kind::BUFFER, recover: &|_, _| {} };
        Segment::open(&place, &open).map(Self).map_err(|error| format!("no roll: {error}"))
    }

    pub fn progress(&self, count: u32) {
        self.word(0).fetch_add(count, Ordering::Relaxed);
    }

    pub fn phase(&self) -> u32 {
        self.word(4).load(Ordering::SeqCst)
    }

    /// A subscriber that lived to the end got so many messages, and missed so many.
    pub fn ended(&self, received: u64, missed: u64) {
        self.word(8).fetch_add(1, Ordering::SeqCst);
        self.word(12).fetch_add(missed as u32, Ordering::SeqCst);
        self.word(16).fetch_add(received as u32, Ordering::SeqCst);
    }

    /// Messages before this number may be in the topic.
    pub fn begun(&self, publisher: usize) -> &AtomicU32 {
        self.word(AT_PUBLISHERS + 16 * publisher)
    }

    /// Messages before this number are.
    pub fn sent(&self, publisher: usize) -> &AtomicU32 {
        self.word(AT_PUBLISHERS + 16 * publisher + 4)
    }

    /// So many messages there were, as the witness says.
    pub fn published(&self, publisher: usize) -> &AtomicU32 {
        self.word(AT_PUBLISHERS + 16 * publisher + 8)
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        self.0.region().atomic_u32(at).expect("a roll is larger")
    }
}
