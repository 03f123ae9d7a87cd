//! Who sleeps and wants to be woken: one bit per seat, so that a publisher learns from one cache line that nobody does.
//!
//! Lost wake-ups are impossible among the living: a sleeper sets its bit, then looks once more; a publisher publishes, then
//! looks at the bits. A killed publisher or sleeper may still lose one, therefore nobody sleeps without a bound.

use super::state::SEATS;
use crate::sync::counted::AtomicU64;
use crate::sync::{Ordering, fence};

/// Words of a set.
pub(crate) const WORDS: usize = SEATS / 64;

/// A set of seats in shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiters<'a> {
    pub(crate) words: &'a [AtomicU64],
}

impl Waiters<'_> {
    /// Before sleeping. Then look once more for what is waited for, and only then sleep.
    pub(crate) fn arm(self, seat: u16) {
        let (word, bit) = self.place(seat);
        word.fetch_or(bit, Ordering::AcqRel);
        // SYNC: pairs with the fence in `pick`: one of the two sees what the other did before.
        fence(Ordering::SeqCst);
    }

    /// After sleeping, or instead. `false`: someone is about to wake us, or did; if that was in vain, pass it on.
    pub(crate) fn disarm(self, seat: u16) -> bool {
        let (word, bit) = self.place(seat);
        word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }

    /// After publishing: a sleeper for the caller to wake. The first at or after seat `from`, so that all get their turn.
    pub(crate) fn pick(self, from: u16) -> Option<u16> {
        // SYNC: pairs with the fence in `arm`.
        fence(Ordering::SeqCst);
        self.pick_again(from)
    }

    /// As [`Waiters::pick`], when nothing was published since the last.
    pub(crate) fn pick_again(self, from: u16) -> Option<u16> {
        let first = usize::from(from) / 64;
        for round in 0..=self.words.len() {
            let index = (first + round) % self.words.len();
            // Of the word that is begun in its middle, the lower half comes last.
            let above = u64::MAX << (from % 64);
            let mask = if round == 0 { above } else { u64::MAX };
            loop {
                let candidates = self.words[index].load(Ordering::Relaxed) & mask;
                if candidates == 0 {
                    break;
                }
                let bit = candidates & candidates.wrapping_neg();
                if self.words[index].fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                    return u16::try_from(index * 64).ok().map(|seat| seat + bit_number(bit));
                }
            }
        }
        None
    }

    /// Takes all who are in the set now, for the caller to wake. Once each: who finds nothing comes back before we are through.
    pub(crate) fn take_all(self, mut each: impl FnMut(u16)) {
        for (index, word) in self.words.iter().enumerate() {
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut taken = word.swap(0, Ordering::AcqRel);
            while taken != 0 {
                each(u16::try_from(index * 64).unwrap_or(0) + bit_number(taken));
                taken &= taken - 1;
            }
        }
    }

    /// Is anyone in the set? A glance, nothing more.
    pub(crate) fn any(self) -> bool {
        self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Calls `each` for every seat in the set.
    pub(crate) fn each(self, mut each: impl FnMut(u16)) {
        for (index, word) in self.words.iter().enumerate() {
            let mut rest = word.load(Ordering::Relaxed);
            while rest != 0 {
                each(u16::try_from(index * 64).unwrap_or(0) + bit_number(rest));
                rest &= rest - 1;
            }
        }
    }

    /// Is this seat in the set? A glance, nothing more.
    pub(crate) fn has(self, seat: u16) -> bool {
        let (word, bit) = self.place(seat);
        word.load(Ordering::Acquire) & bit != 0
    }

    fn place(&self, seat: u16) -> (&AtomicU64, u64) {
        let seat = usize::from(seat);
        (&self.words[seat / 64 % self.words.len()], 1 << (seat % 64))
    }
}

fn bit_number(bit: u64) -> u16 {
    u16::try_from(bit.trailing_zeros()).unwrap_or(0)
}

#[cfg(all(test, not(interproc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_get_their_turn() {
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let waiters = Waiters { words: &words };
        assert!(!waiters.any());
        assert_eq!(waiters.pick(0), None);
        for seat in [0, 63, 64, 511] {
            waiters.arm(seat);
        }
        let mut found = Vec::new();
        waiters.each(|seat| found.push(seat));
        assert_eq!(found, [0, 63, 64, 511]);
        assert_eq!(waiters.pick(63), Some(63));
        assert_eq!(waiters.pick(63), Some(64));
        assert_eq!(waiters.pick(65), Some(511));
        assert!(waiters.any());
        assert!(waiters.has(0));
        assert_eq!(waiters.pick(65), Some(0));
        assert_eq!(waiters.pick(65), None);
        waiters.arm(3);
        waiters.arm(500);
        let mut taken = Vec::new();
        waiters.take_all(|seat| {
            taken.push(seat);
            waiters.arm(seat);
        });
        assert_eq!(taken, [3, 500]);
        waiters.take_all(|_| {});
        waiters.arm(70);
        assert_eq!(waiters.pick(100), Some(70));
        waiters.arm(9);
        assert!(waiters.disarm(9));
        assert!(!waiters.disarm(9));
    }
}
