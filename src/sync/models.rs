//! Running models with loom, and the atomics for that.
//!
//! Loom remembers only who touched an atomic last. A thread that loads and then stores hides behind its own load that another
//! one had read there, and the order in which that other comes second is never tried: of some models loom runs a single
//! interleaving (<https://github.com/tokio-rs/loom/issues/392>). Hence each model runs twice: as loom has it, with all that weak
//! memory may show; and with every access counted in a word beside the atomic. Two counts are never independent of each
//! other, so all orders are tried. Counting is relaxed, but a fence beside it orders more than the atomic alone would: that is
//! why the first run is not left out.

use std::cell::Cell;
use std::sync::Arc;

use loom::sync::atomic::{self, Ordering};

/// Branches of one interleaving; counting doubles them.
const BRANCHES: usize = 5_000;

thread_local! {
    /// Whether accesses are counted. All threads of a model are coroutines of one thread.
    static COUNTING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `scenario` in every interleaving with at most `preemptions` preemptions, and under both of the above.
pub(crate) fn model(preemptions: usize, scenario: impl Fn() + Sync + Send + 'static) {
    let scenario = Arc::new(scenario);
    for counting in [false, true] {
        COUNTING.set(counting);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = BRANCHES;
        let scenario = Arc::clone(&scenario);
        builder.check(move || scenario());
    }
    COUNTING.set(false);
}

macro_rules! counted {
    ($name:ident, $word:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            word: atomic::$name,
            accesses: Option<atomic::AtomicU32>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }

        #[allow(dead_code, clippy::allow_attributes, reason = "each has what one of them needs")]
        impl $name {
            pub(crate) fn new(value: $word) -> Self {
                let accesses = COUNTING.get().then(|| atomic::AtomicU32::new(0));
                Self { word: atomic::$name::new(value), accesses }
            }

            pub(crate) fn load(&self, order: Ordering) -> $word {
                self.count();
                self.word.load(order)
            }

            pub(crate) fn store(&self, value: $word, order: Ordering) {
                self.count();
                self.word.store(value, order);
            }

            counted!(@ $word: swap fetch_add fetch_sub fetch_or fetch_and);

            pub(crate) fn compare_exchange(
                &self,
                current: $word,
                new: $word,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$word, $word> {
                self.count();
                self.word.compare_exchange(current, new, success, failure)
            }

            fn count(&self) {
                if let Some(accesses) = &self.accesses {
                    accesses.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    (@ $word:ty: $($method:ident)*) => {
        $(
            pub(crate) fn $method(&self, value: $word, order: Ordering) -> $word {
                self.count();
                self.word.$method(value, order)
            }
        )*
    };
}

counted!(AtomicU64, u64);
counted!(AtomicU32, u32);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// The load before the store is what hides the other thread's load from loom.
    #[test]
    fn loom_a_load_hides_no_interleaving() {
        static SEEN: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        model(3, || {
            let word = loom::sync::Arc::new(AtomicU64::new(0));
            let other = loom::sync::Arc::clone(&word);
            let storing = loom::thread::spawn(move || {
                let before = other.load(Ordering::Relaxed);
                other.store(before + 1, Ordering::Relaxed);
            });
            let found = usize::try_from(word.load(Ordering::Relaxed)).unwrap();
            SEEN[found].fetch_add(1, Ordering::Relaxed);
            storing.join().unwrap();
        });
        assert!(SEEN.iter().all(|times| times.load(Ordering::Relaxed) > 0), "{SEEN:?}");
    }
}
