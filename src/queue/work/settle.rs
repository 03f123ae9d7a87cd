//! The end of a lease, and of a message: received, acknowledged, or back in the queue.

use std::sync::atomic::Ordering;

use super::{Held, Work, head_count};
use crate::queue::member::{add, settle_reading};
use crate::queue::ring::Corrupt;
use crate::queue::state::Status;

impl Work {
    /// The application has all of the lease: it ends. In a queue with acknowledgement the messages are unacknowledged now.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn finish(&mut self) -> Result<(), Corrupt> {
        self.give_back(u32::MAX)
    }

    /// The application has the first `seen` messages of the lease; the others go back to their place in the queue.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn give_back(&mut self, seen: u32) -> Result<(), Corrupt> {
        let mut returned = 0;
        self.member.own().mark.store(seen, Ordering::Release);
        for held in std::mem::take(&mut self.held) {
            let count = head_count(held.head);
            let before = held.head.base;
            crash_point!("finishing");
            if seen >= before.saturating_add(count) {
                add(&self.member.own().received, count);
                self.end(held);
            } else {
                if !self.member.shared.flags.ack {
                    add(&self.member.own().received, seen.saturating_sub(before));
                }
                returned += 1;
                settle_reading(&self.member.shared, held.record, seen)?;
            }
        }
        if returned > 0 {
            self.member.wake_receivers(returned);
        }
        if self.reclaim()? > 0 {
            self.member.wake_senders(false);
        }
        Ok(())
    }

    /// The message is dealt with; it leaves the queue. `false`: it is not among those that this handle has.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn ack(&mut self, id: u64) -> Result<bool, Corrupt> {
        let Some(held) = self.take_out(id) else { return Ok(false) };
        self.member.shared.ring.settle(held.record, self.member.seat, Status::Done);
        crash_point!("acknowledged");
        self.forget(held);
        if self.reclaim()? > 0 {
            self.member.wake_senders(false);
        }
        Ok(true)
    }

    /// The message goes back into the queue, for any receiver. `false`: it is not among those that this handle has.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn release(&mut self, id: u64) -> Result<bool, Corrupt> {
        let Some(held) = self.take_out(id) else { return Ok(false) };
        settle_reading(&self.member.shared, held.record, 0)?;
        self.member.wake_receivers(1);
        Ok(true)
    }

    /// One record was seen whole.
    fn end(&mut self, held: Held) {
        if self.member.shared.flags.ack {
            self.unacknowledged.insert(held.record.position, held);
        } else {
            self.member.shared.ring.settle(held.record, self.member.seat, Status::Done);
            self.forget(held);
        }
    }

    fn forget(&self, held: Held) {
        if let Some(name) = held.part {
            name.remove(self.aux());
        }
    }

    /// A message to be acknowledged or released: of an earlier lease, or of this one while others of it are still to come.
    fn take_out(&mut self, id: u64) -> Option<Held> {
        if !self.member.shared.flags.ack {
            return None;
        }
        self.unacknowledged.remove(&id).or_else(|| {
            let index = self.held.iter().position(|held| held.record.position == id)?;
            add(&self.member.own().received, 1);
            Some(self.held.remove(index))
        })
    }

    /// Slots that became free.
    pub(super) fn reclaim(&self) -> Result<u64, Corrupt> {
        self.member.shared.ring.reclaim(|record| matches!(record.state.status, Status::Done | Status::Aborted))
    }
}
