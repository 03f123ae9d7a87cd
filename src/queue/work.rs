//! The work queue: every message goes to one receiver.
//!
//! A receiver *leases* records: they are its own, but still in the queue. It copies them out (or reads them in place), then
//! *finishes* the lease, or gives back what the application did not get. If it is killed meanwhile, the others put back
//! what was not seen: in a queue without acknowledgement the messages up to the receiver's mark count as seen, and are
//! never delivered again; in one with acknowledgement everything counts as unseen until [`Work::ack`].
mod lease;
mod read;
mod send;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::bell::Bell;
use super::layout::Flags;
use super::member::{Member, New, Sleeper, Stats, settle_reading};
use super::record::{Head, Message};
use super::ring::Record;
use super::{JoinError, Restored, beside::Aux, part};
use crate::shm::{Kind, Place, Segment};

/// One handle of a work queue. Others may be in this process or in others; a handle itself is for one thread at a time.
#[derive(Debug)]
pub struct Work {
    member: Member,
    /// Before it there is nothing for us.
    cursor: u64,
    /// What the last lease passed by because it was being written: position and owner.
    passed: Vec<(u64, u16)>,
    /// The count of returned records that the cursor has heeded.
    heeded: u64,
    /// The records of the present lease, in the order of their positions.
    held: Vec<Held>,
    /// Received and not acknowledged yet, by position.
    unacknowledged: HashMap<u64, Held>,
    /// A damaged record was met, and not told yet.
    damaged: bool,
    scratch: Vec<Message>,
    /// Bytes of large messages that left the queue through us since senders were woken for that.
    left: u64,
    /// Files of large messages: received, and sent. After the member: our seat is empty when the latter are cleared away.
    received: part::Cache,
    parts: part::Pool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    record: Record,
    head: Head,
    /// The file with its one message's body.
    part: Option<part::Name>,
}

/// A message that a lease gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where its body begins: in the caller's memory, or among the slots.
    pub offset: usize,
    /// Bytes of its body.
    pub length: usize,
    /// What the sender said that the body is.
    pub tag: u8,
    /// Names the message for [`Work::ack`].
    pub id: u64,
    /// It was delivered before, to a receiver that died or gave it back.
    pub again: bool,
}

impl Work {
    /// Opens the queue at `place`, or creates it if there is none and `new` says how. `true`: created.
    ///
    /// # Errors
    /// [`JoinError`]
    pub fn join(place: &Place, new: Option<New>) -> Result<(Self, bool), JoinError> {
        let (member, created) = Member::join(place, Kind::QUEUE, new)?;
        let cursor = member.shared.ring.free();
        part::sweep(&member.shared, member.aux());
        let parts = part::Pool::new(member.shared, &member.segment, member.aux(), member.seat);
        let work = Self {
            member,
            cursor,
            passed: Vec::new(),
            heeded: 0,
            held: Vec::new(),
            unacknowledged: HashMap::new(),
            damaged: false,
            scratch: Vec::new(),
            left: 0,
            received: part::Cache::default(),
            parts,
        };
        Ok((work, created))
    }

    /// Where the application's progress is written down, for the case that this process is killed: the number of messages
    /// of the lease that it got. Mapped as long as [`segment`](Self::segment) is.
    pub fn mark(&self) -> &std::sync::atomic::AtomicU32 {
        self.member.own().mark()
    }

    /// Before waiting for messages in an event loop: from now on they ring the [`bell`](Self::bell). Then lease once more.
    pub fn arm_receiver(&self) {
        self.member.shared.receivers.arm(self.member.seat);
    }

    /// After waiting, and after the lease that followed. A wake-up that was not needed goes to another.
    pub fn disarm_receiver(&mut self) {
        if !self.member.shared.receivers.disarm(self.member.seat) && self.ready() {
            self.member.pass_on(false);
        }
    }

    /// Before waiting for room in an event loop: from now on it rings the [`bell`](Self::bell). Then send once more.
    pub fn arm_sender(&self) {
        self.member.shared.senders.arm(self.member.seat);
    }

    /// After waiting. A wake-up that was not needed goes to another.
    pub fn disarm_sender(&mut self) {
        if !self.member.shared.senders.disarm(self.member.seat) {
            self.member.pass_on(true);
        }
    }

    /// The bell to watch while armed. Silence it before looking.
    ///
    /// # Errors
    /// When its FIFO cannot be made.
    pub fn bell(&mut self) -> std::io::Result<&Bell> {
        self.member.bell()
    }

    /// To be called every [`SLICE`](super::SLICE) while waiting: settles what killed processes left. `true`: look again.
    pub fn look_around(&mut self) -> bool {
        self.member.look_around()
    }

    /// Gives up memory of large messages that was not used for `idle`. `true`: there is more, to look at again later.
    pub fn trim(&mut self, idle: Duration) -> bool {
        self.received.trim(idle) | self.parts.trim(idle)
    }

    /// Bytes that one message may have; larger ones go beside the ring.
    pub fn max_message(&self) -> usize {
        self.member.max_message()
    }

    /// The creator's choices.
    pub fn flags(&self) -> Flags {
        self.member.shared.flags
    }

    /// What was found, if the queue is in a file and nobody had it open before this.
    pub fn restored(&self) -> Option<Restored> {
        self.member.restored()
    }

    /// What it holds and did.
    pub fn stats(&self) -> Stats {
        self.member.stats()
    }

    /// Where it lives.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.member.segment
    }

    /// Where its large messages are.
    pub(crate) fn aux(&self) -> &Arc<Aux> {
        self.member.aux()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What the application did not get goes back; what it did not acknowledge too. In a damaged queue nothing can.
        let seen = self.member.own().mark().load(Ordering::Acquire);
        let _ = self.give_back(seen);
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        let returned = unacknowledged.len();
        for held in unacknowledged.into_values() {
            let _ = settle_reading(&self.member.shared, held.record, 0);
        }
        if returned > 0 {
            self.member.wake_receivers(returned);
        }
    }
}

impl Sleeper for Work {
    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn ready(&self) -> bool {
        Self::ready(self)
    }
}

/// Messages of a record that were not received before.
fn head_count(head: Head) -> u32 {
    head.count - head.start
}
