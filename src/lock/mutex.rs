//! A mutex between processes whose owner may be killed: the next one is told, and repairs what it finds.
//!
//! Held for less than a microsecond at a time, never while JavaScript runs. Its word names the owner, so that its death can be
//! proven by the kernel; a time-out alone proves nothing, a stopped owner keeps it.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Tries before sleeping. The owner is done in less time, unless it was interrupted.
#[cfg(not(interproc_loom))]
const SPINS: u32 = 100;
#[cfg(interproc_loom)]
const SPINS: u32 = 1;
/// How long to sleep before the owner's life is asked for.
const SLICE: Duration = Duration::from_millis(5);

/// The words of a mutex, in shared memory. All zero: free.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Mutex {
    /// Nobody (0), or who has it.
    owner: AtomicU64,
    /// Counts the releases that woke sleepers: what they sleep on.
    releases: AtomicU32,
    /// 1: someone sleeps, or is about to.
    contended: AtomicU32,
}

/// What a mutex needs of the world.
pub(crate) trait World {
    /// Whether `owner` may still be inside. `false` is final.
    fn is_alive(&self, owner: u64) -> bool;
    /// Sleeps while the word is `expected`, for `limit` at most.
    fn sleep(&self, word: &AtomicU32, expected: u32, limit: Duration);
    /// Wakes all who sleep on the word.
    fn wake(&self, word: &AtomicU32);
    /// Called before every new try.
    fn pause(&self);
}

/// How the mutex was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// From someone who left in order.
    Clean,
    /// From someone who died inside: what it guards may be half-done.
    Dead,
}

impl Mutex {
    /// Takes the mutex for `me` (not 0). `None`: a living owner did not leave until `deadline`;
    /// one that has passed already is time for some tries, without sleep.
    pub(crate) fn lock(&self, me: u64, world: &impl World, deadline: Option<Instant>) -> Option<Got> {
        for _ in 0..SPINS {
            if self.take(0, me) {
                return Some(Got::Clean);
            }
            world.pause();
        }
        loop {
            let seen = self.releases.load(Ordering::Acquire);
            // SYNC: pairs with the swap in `unlock`: either it sees the 1, or the try below sees the mutex free.
            self.contended.store(1, Ordering::SeqCst);
            // SYNC: see above; SeqCst on both words.
            let owner = self.owner.load(Ordering::SeqCst);
            if owner == 0 {
                if self.take(0, me) {
                    return Some(Got::Clean);
                }
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let late = left == Some(Duration::ZERO);
            if !late {
                world.sleep(&self.releases, seen, left.map_or(SLICE, |left| left.min(SLICE)));
            }
            let now = self.owner.load(Ordering::Relaxed);
            if now == owner && !world.is_alive(owner) && self.take(owner, me) {
                return Some(Got::Dead);
            }
            if now != 0 && late {
                return None;
            }
        }
    }

    /// Gives it back.
    pub(crate) fn unlock(&self, world: &impl World) {
        // SYNC: pairs with the Acquire in `take`; SeqCst: and with the store to `contended` in `lock`.
        self.owner.store(0, Ordering::SeqCst);
        // SYNC: pairs with the store in `lock`. A plain look first: nobody waits, as a rule.
        if self.contended.load(Ordering::SeqCst) != 0 && self.contended.swap(0, Ordering::SeqCst) != 0 {
            // SYNC: pairs with the load in `lock`, whose sleep ends at once if this came between.
            self.releases.fetch_add(1, Ordering::Release);
            world.wake(&self.releases);
        }
    }

    fn take(&self, from: u64, me: u64) -> bool {
        // SYNC: pairs with the store in `unlock`: what the last owner did is seen.
        self.owner.compare_exchange(from, me, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, interproc_loom))]
mod loom_tests {
    use super::*;
    use crate::sync::model;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    /// Sleeping is spinning here, with the word looked at as the kernel does: a lost wake-up would never end.
    struct Model;

    impl World for Model {
        fn is_alive(&self, owner: u64) -> bool {
            owner != DEAD
        }
        fn sleep(&self, word: &AtomicU32, expected: u32, _limit: Duration) {
            if word.load(Ordering::SeqCst) == expected {
                loom::thread::yield_now();
            }
        }
        fn wake(&self, _word: &AtomicU32) {}
        fn pause(&self) {
            loom::thread::yield_now();
        }
    }

    const DEAD: u64 = 99;

    struct Guarded {
        mutex: Mutex,
        value: UnsafeCell<u32>,
    }

    // SAFETY: the value is touched with the mutex held only: what the model checks.
    unsafe impl Send for Guarded {}
    // SAFETY: as above.
    unsafe impl Sync for Guarded {}

    fn add(guarded: &Guarded, me: u64) -> Got {
        let got = guarded.mutex.lock(me, &Model, None).unwrap();
        guarded.value.with_mut(|value| {
            // SAFETY: the mutex is held; loom reports it if that does not exclude the others.
            unsafe { *value += 1 };
        });
        guarded.mutex.unlock(&Model);
        got
    }

    fn check(dead: bool) {
        model(2, move || {
            let mutex = Mutex {
                owner: AtomicU64::new(if dead { DEAD } else { 0 }),
                releases: AtomicU32::new(0),
                contended: AtomicU32::new(0),
            };
            let guarded = Arc::new(Guarded { mutex, value: UnsafeCell::new(0) });
            let other = {
                let guarded = Arc::clone(&guarded);
                loom::thread::spawn(move || add(&guarded, 2))
            };
            let got = [add(&guarded, 1), other.join().unwrap()];
            assert_eq!(
                guarded.value.with(|value| {
                    // SAFETY: the other thread has ended.
                    unsafe { *value }
                }),
                2
            );
            let told = got.iter().filter(|got| **got == Got::Dead).count();
            assert_eq!(told, usize::from(dead), "exactly one is told of a death");
        });
    }

    #[test]
    fn loom_one_at_a_time() {
        check(false);
    }

    #[test]
    fn loom_one_takes_over_from_the_dead() {
        check(true);
    }
}
