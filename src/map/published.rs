//! How entries come into a bucket's chain and go from it while others read it, without a mutex and without waiting.
//!
//! An entry's *stamp* names it: the tick of its storing, which no other ever has, and whether it counts. Its bytes are written before
//! the stamp and stay as they are while it counts. A writer, who holds the map's mutex, changes a chain by one store at a time:
//! whoever follows it meets the old value of a key or the new one, never neither. A reader proves at every step that the entry it came
//! from still was in the chain when it went on. A writer that is stopped or killed anywhere leaves a chain that can be read.
//!
//! | change | stores, in this order |
//! |---|---|
//! | a new entry | bytes; [`publish`]; [`link`] into the bucket |
//! | a new value | bytes; [`publish`] the new one; [`retire`] the old one; [`link`] the new one in its place; [`end`] the old one |
//! | a removal | [`retire`]; [`link`] its neighbours; [`end`] |
//!
//! Of two entries with the same key the later counts, and a retired one never does: so a map is repaired after a death.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// In the lower bits of a stamp: the entry counts.
const USED: u64 = 1;
/// Its bytes are whole, but another value has come, or comes, in its place.
const RETIRED: u64 = 2;
const BITS: u32 = 2;

/// Not an entry.
pub(super) const GONE: u64 = 0;

/// Where the entries are.
pub(super) trait Entries {
    /// An entry's stamp, and the link to the next one of its chain (its index plus 1). `None`: no such place.
    fn entry(&self, index: u32) -> Option<(&AtomicU64, &AtomicU32)>;
}

/// Why a search came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Someone was changing the chain: once more.
    Changed,
    /// A link leads nowhere, or in a circle.
    Damaged,
}

/// The stamp of the entry that was stored at this tick.
pub(super) fn used(tick: u64) -> u64 {
    tick << BITS | USED
}

pub(super) fn is_used(stamp: u64) -> bool {
    stamp & ((1 << BITS) - 1) == USED
}

pub(super) fn tick_of(stamp: u64) -> u64 {
    stamp >> BITS
}

/// Says that the entry, whose bytes are all written, counts.
pub(super) fn publish(stamp: &AtomicU64, tick: u64) {
    step();
    // SYNC: pairs with the loads in `search`: who sees the stamp sees the bytes.
    stamp.store(used(tick), Ordering::Release);
}

/// Says that the entry will not count any more. Its bytes stay until [`end`].
pub(super) fn retire(stamp: &AtomicU64) {
    step();
    let tick = tick_of(stamp.load(Ordering::Relaxed));
    // SYNC: pairs with the loads of `settled`: who sees it sees what comes in its place, or the tick of that.
    stamp.store(tick << BITS | RETIRED, Ordering::Release);
}

/// Lets a link lead to another entry.
pub(super) fn link(link: &AtomicU32, to: u32) {
    step();
    // SYNC: pairs with the loads in `search`: who comes to the entry sees its stamp, and the old one's retirement.
    link.store(to, Ordering::Release);
}

/// The entry's blocks may be written again.
pub(super) fn end(stamp: &AtomicU64) {
    step();
    // SYNC: as in `retire`.
    stamp.store(GONE, Ordering::Release);
    // SYNC: pairs with the fence in `is_still`: who read anything that comes after sees the stamp gone.
    fence(Ordering::Release);
}

/// Whether what was read of an entry between the load of `seen` and now was its own.
pub(super) fn is_still(stamp: &AtomicU64, seen: u64) -> bool {
    // SYNC: pairs with the fence in `end`.
    fence(Ordering::Acquire);
    // SYNC: pairs with `publish`: whoever took the blocks since has another tick.
    let now = stamp.load(Ordering::Acquire);
    now & ((1 << BITS) - 1) != GONE && tick_of(now) == tick_of(seen)
}

/// What `pass` over all stamps found, if no entry moved meanwhile. `tick` is that of the last storing, which may be under way: what it
/// moves to where one pass was already, the next one finds; another storing has another tick.
pub(super) fn settled<T: PartialEq>(tick: &AtomicU64, mut pass: impl FnMut() -> T) -> Result<T, Miss> {
    let before = tick.load(Ordering::Relaxed);
    let (first, second) = (pass(), pass());
    // SYNC: pairs with `retire` and `end`: who misses an entry in its old place sees the tick of what moved it.
    fence(Ordering::Acquire);
    let is_quiet = first == second && tick.load(Ordering::Relaxed) == before;
    if is_quiet { Ok(second) } else { Err(Miss::Changed) }
}

/// Calls `visit` with every entry of a chain and its stamp until that gives something. What it gave counts only if this returns `Ok`:
/// `visit` may be called with what is no entry any more, and more than once.
pub(super) fn search<T>(
    entries: &impl Entries,
    bucket: &AtomicU32,
    mut visit: impl FnMut(u32, u64) -> Option<T>,
) -> Result<Option<T>, Miss> {
    let mut from: Option<(&AtomicU64, u64)> = None;
    let came_right = |from: Option<(&AtomicU64, u64)>| from.is_none_or(|(stamp, seen)| is_still(stamp, seen));
    let mut way = bucket;
    // Brent's way to notice a circle: now and then a place is remembered, for twice as many steps.
    let (mut remembered, mut steps, mut limit) = (0, 0_u32, 8_u32);
    loop {
        // SYNC: pairs with `link`.
        let next = way.load(Ordering::Acquire);
        if !came_right(from) {
            return Err(Miss::Changed);
        }
        let Some(index) = next.checked_sub(1) else { return Ok(None) };
        let (stamp, onwards) = entries.entry(index).ok_or(Miss::Damaged)?;
        // SYNC: pairs with `publish`.
        let seen = stamp.load(Ordering::Acquire);
        // SYNC: pairs with `link`. The entry is linked still, so the stamp belongs to one of this chain.
        if way.load(Ordering::Acquire) != next || !is_still(stamp, seen) || !came_right(from) {
            return Err(Miss::Changed);
        }
        if let Some(found) = visit(index, seen) {
            return if is_still(stamp, seen) { Ok(Some(found)) } else { Err(Miss::Changed) };
        }
        if next == remembered {
            return Err(Miss::Damaged);
        }
        steps += 1;
        if steps == limit {
            (remembered, steps, limit) = (next, 0, limit.saturating_mul(2));
        }
        (from, way) = (Some((stamp, seen)), onwards);
    }
}

/// The tests kill the process before each store.
fn step() {
    #[cfg(all(test, not(interproc_loom)))]
    super::crash_tests::step();
}

#[cfg(all(test, interproc_loom))]
#[path = "published_loom_tests.rs"]
mod loom_tests;
