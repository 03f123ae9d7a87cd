//! Settling what the dead left.

use std::sync::atomic::Ordering;

use crate::queue::layout::{self, Shared};
use crate::queue::record::{HEAD, Head, MAX_COUNT};
use crate::queue::ring::{Corrupt, Record};
use crate::queue::state::Status;
use crate::shm::{Dead, Region};

/// Settles all that a dead participant left in a queue. Idempotent up to its last line, so that it may die too.
pub(super) fn recover(region: Region<'_>, dead: Dead) {
    // In a damaged queue nothing can be settled; its users are told so when they use it.
    let Ok(shared) = Shared::attach(region) else { return };
    for (number, seat) in (0..).zip(shared.seats) {
        if layout::is_of(seat.occupant.load(Ordering::Acquire), dead.participant) {
            let _ = settle_seat(&shared, number, seat.mark().load(Ordering::Acquire));
            seat.subscribed.store(0, Ordering::Relaxed);
            shared.subscribers.disarm(number);
            shared.receivers.disarm(number);
            shared.senders.disarm(number);
            seat.mode.store(0, Ordering::Relaxed);
            // Its owner, or who settled it before us, may have died between giving a record back and counting that.
            // SYNC: Release, as in `settle_reading`.
            shared.returned.fetch_add(1, Ordering::Release);
            crash_point!("seat settled");
            // SYNC: Release, pairs with the CAS in `free_seat`.
            seat.occupant.store(0, Ordering::Release);
        }
    }
}

/// Settles the records of a seat whose owner is gone for good. `mark`: how many of its messages the application got.
fn settle_seat(shared: &Shared<'_>, seat: u16, mark: u32) -> Result<(), Corrupt> {
    let mut result = Ok(());
    shared.ring.walk(shared.ring.free(), |record| {
        if record.state.owner == seat {
            crash_point!("settling");
            match record.state.status {
                Status::Writing => {
                    // Fails if another process did it.
                    let _ = shared.ring.settle(record, seat, Status::Aborted);
                }
                Status::Reading => result = settle_reading(shared, record, mark),
                _ => {}
            }
        }
        result.is_ok()
    })?;
    result
}

/// A record that was leased and not finished: what was not seen of it goes back.
pub(crate) fn settle_reading(shared: &Shared<'_>, record: Record, mark: u32) -> Result<(), Corrupt> {
    let mut bytes = [0; HEAD];
    shared.read(record.position, 0, &mut bytes)?;
    let head = Head::decode(&bytes);
    let seen = if shared.flags.ack { 0 } else { mark.saturating_sub(head.base).min(MAX_COUNT) };
    let start = head.start.saturating_add(seen);
    if start >= head.count && !shared.flags.ack {
        let _ = shared.ring.settle(record, record.state.owner, Status::Done);
        return Ok(());
    }
    // `base` is moved along with `start`: settled twice, the same messages count once.
    shared.write_start(record.position, start, head.base.saturating_add(seen))?;
    crash_point!("start written");
    shared.ring.settle(record, record.state.owner, Status::Again);
    // SYNC: Release, pairs with the Acquire in `Work::lease`: who sees the count sees the record.
    shared.returned.fetch_add(1, Ordering::Release);
    Ok(())
}
