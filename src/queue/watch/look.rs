//! Looking before sleeping.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::Watch;

/// How long to look at once, before the loop's other sources have their turn.
const BURST: Duration = Duration::from_micros(4);
/// Looks before another thread may have the core.
const LOOKS: u32 = 16;

impl Watch {
    /// Begins to look, if that is worth it. `false`: sleep.
    pub(super) fn begin_look(&self) -> bool {
        self.since.set(None);
        let looks = !self.spin.get().window(Instant::now()).is_zero()
            && self.token.get().is_some_and(|token| self.reactor.look_soon(token));
        self.looks.set(looks);
        looks
    }

    pub(super) fn end_look(&self) {
        if self.looks.replace(false)
            && let Some(token) = self.token.get()
        {
            self.reactor.end_look(token);
        }
    }

    /// Looks for a while; then it wakes, asks for the loop's next round, or sleeps.
    pub(super) fn look(&self) {
        if !self.looks.get() {
            return;
        }
        let now = Instant::now();
        let since = self.since.get().unwrap_or(now);
        self.since.set(Some(since));
        let found = self.look_until(now + BURST);
        let now = Instant::now();
        let (mut spin, took) = (self.spin.get(), now - since);
        if found {
            spin.found(took, now);
            self.spin.set(spin);
            return self.wake();
        }
        if took < spin.window(now) && self.token.get().is_some_and(|token| self.reactor.look_soon(token)) {
            return;
        }
        spin.in_vain(took, now);
        self.spin.set(spin);
        self.end_look();
        if self.sleep() {
            self.wake();
        }
    }

    fn look_until(&self, end: Instant) -> bool {
        let mut found = false;
        self.with(|sleeper| {
            loop {
                for _ in 0..LOOKS {
                    found = sleeper.ready();
                    if found {
                        return;
                    }
                    std::hint::spin_loop();
                }
                // The sender may wait for this very core.
                std::thread::yield_now();
                if Instant::now() >= end {
                    found = sleeper.ready();
                    return;
                }
            }
        });
        found
    }
}

/// With one core, the sender cannot run while we look.
pub(super) fn has_cores() -> bool {
    static CORES: LazyLock<bool> =
        LazyLock::new(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1));
    *CORES
}
