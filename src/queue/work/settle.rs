//! The end of a lease, and of a message: received, acknowledged, or back in the queue.

use std::sync::atomic::{Ordering, fence};

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
        let (mut returned, mut small) = (0, false);
        if let Some(last) = self.held.last() {
            let leased = last.head.base.saturating_add(head_count(last.head));
            self.member.own().mark().store(seen.min(leased), Ordering::Release);
        }
        for held in std::mem::take(&mut self.held) {
            let count = head_count(held.head);
            let before = held.head.base;
            crash_point!("finishing");
            if seen >= before.saturating_add(count) {
                add(&self.member.own().received, count);
                small |= held.part.is_none();
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
        self.make_room(small)
    }

    /// The message is dealt with; it leaves the queue. `false`: it is not among those that this handle has.
    ///
    /// # Errors
    /// [`Corrupt`]
    pub fn ack(&mut self, id: u64) -> Result<bool, Corrupt> {
        let Some(held) = self.take_out(id) else { return Ok(false) };
        self.member.shared.ring.end(held.record, self.member.seat);
        crash_point!("acknowledged");
        self.forget(held);
        self.make_room(held.part.is_none())?;
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
            self.member.shared.ring.end(held.record, self.member.seat);
            self.forget(held);
        }
    }

    /// Slots of what is over are free again, and senders are woken once that is worth it. `small`: messages in the ring were.
    fn make_room(&mut self, small: bool) -> Result<(), Corrupt> {
        let freed = self.reclaim()? > 0;
        // Those of large messages: at half of what they may have, or when we find nothing more to receive.
        if self.left >= self.parts.most() / 2 {
            self.left = 0;
            self.member.wake_senders(true);
        } else if freed && small {
            self.member.wake_senders(false);
        }
        Ok(())
    }

    /// A part whose message has left the queue is its writer's again, or goes.
    fn forget(&mut self, held: Held) {
        let Some(name) = held.part else { return };
        self.left = self.left.saturating_add(name.length);
        let shared = &self.member.shared;
        // SYNC: pairs with the fences of `Pool::drop` and `sweep`: either they see that the record is over, or we see that the
        // writer is gone.
        fence(Ordering::SeqCst);
        if shared.flags.checked || name.is_abandoned(shared) {
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
