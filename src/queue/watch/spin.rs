//! Learns whether it is worth to look for messages for some microseconds before sleeping, as KVM's halt polling does
//! (<https://docs.kernel.org/virt/kvm/halt-polling.html>).
//!
//! To look is much faster than to be woken, and spares both sides the system calls, but it burns a core. So it begins only
//! after a sleep that ended shortly after it began. A look in vain is paid for, by looks that found something before, or by a
//! rest of a hundred times its length: looking in vain costs a hundredth of the time, or half a microsecond a message, whatever
//! the pace of the messages, and however many others want the core.

use std::time::{Duration, Instant};

/// A sleep is short if it took no more than so many times what may be looked: part of it was the waking itself.
const SHORT: u32 = 4;
/// Looks that find something pay for one in vain, or a rest of so many times its length does.
const PRICE: u32 = 100;
/// Looks in vain that can be paid for in advance.
const SAVINGS: u32 = 4;

/// What one receiver learnt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spin {
    limit: Duration,
    looks: bool,
    /// What looks that found something have earned.
    credit: Duration,
    rest: Option<Instant>,
}

impl Spin {
    /// Looks for at most `limit`; zero: never.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, looks: false, credit: Duration::ZERO, rest: None }
    }

    /// For how long to look before sleeping; zero: not at all.
    pub(crate) fn window(&self, now: Instant) -> Duration {
        let looks = self.looks && self.rest.is_none_or(|end| end <= now);
        if looks { self.limit } else { Duration::ZERO }
    }

    /// A look that took so long found something, now.
    pub(crate) fn found(&mut self, took: Duration, now: Instant) {
        // Others had the core most of that time: whoever sleeps is not kept waiting so long.
        if took > self.limit * 2 {
            return self.in_vain(took, now);
        }
        self.credit = (self.credit + self.limit / PRICE).min(self.limit * SAVINGS);
    }

    /// A look that took so long found nothing, now.
    pub(crate) fn in_vain(&mut self, took: Duration, now: Instant) {
        self.looks = false;
        let debt = took.saturating_sub(self.credit);
        self.credit = self.credit.saturating_sub(took);
        self.rest = now.checked_add(debt.saturating_mul(PRICE));
    }

    /// It slept so long, then something came.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.looks = !self.limit.is_zero() && time <= self.limit * SHORT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_micros(50);
    const NEAR: Duration = Duration::from_micros(20);
    const FAR: Duration = Duration::from_millis(5);

    /// A receiver with a clock of its own.
    struct Receiver {
        spin: Spin,
        now: Instant,
        begun: Instant,
        vain: Duration,
        sleeps: u32,
    }

    impl Receiver {
        fn new(limit: Duration) -> Self {
            let now = Instant::now();
            Self { spin: Spin::new(limit), now, begun: now, vain: Duration::ZERO, sleeps: 0 }
        }

        /// Waits for messages that come after `gap`.
        fn wait(&mut self, gap: Duration, waits: u32) {
            for _ in 0..waits {
                let window = self.spin.window(self.now);
                if !window.is_zero() && gap <= window {
                    self.now += gap;
                    self.spin.found(gap, self.now);
                    continue;
                }
                self.now += window;
                if !window.is_zero() {
                    self.vain += window;
                    self.spin.in_vain(window, self.now);
                }
                self.now += gap - window;
                self.spin.slept(gap);
                self.sleeps += 1;
            }
        }

        fn share(&self) -> f64 {
            self.vain.as_secs_f64() / (self.now - self.begun).as_secs_f64()
        }
    }

    #[test]
    fn looks_while_messages_come_at_once() {
        let mut receiver = Receiver::new(LIMIT);
        assert_eq!(receiver.spin.window(receiver.now), Duration::ZERO, "nothing is known at first");
        receiver.wait(NEAR, 1000);
        assert_eq!((receiver.sleeps, receiver.vain), (1, Duration::ZERO));
        assert_eq!(receiver.spin.window(receiver.now), LIMIT);
    }

    #[test]
    fn does_not_look_for_what_comes_late() {
        let mut receiver = Receiver::new(LIMIT);
        receiver.wait(FAR, 1000);
        assert_eq!(receiver.vain, Duration::ZERO);
        receiver.wait(NEAR, 10);
        receiver.wait(FAR, 1000);
        assert_eq!(receiver.vain, LIMIT, "one look in vain ends it");
    }

    #[test]
    fn forgives_what_was_earned() {
        let mut receiver = Receiver::new(LIMIT);
        receiver.wait(NEAR, 10_000);
        for sleeps in 2..=1 + SAVINGS {
            receiver.wait(LIMIT * 3, 1);
            receiver.wait(NEAR, 10);
            assert_eq!(receiver.sleeps, sleeps, "looks again at once");
        }
        receiver.wait(LIMIT * 3, 1);
        receiver.wait(NEAR, 10);
        assert!(receiver.sleeps > 2 + SAVINGS, "rests");
    }

    #[test]
    fn looking_in_vain_costs_a_hundredth_at_most() {
        for gap in [51, 60, 100, 150, 199, 200, 201, 1000] {
            let mut receiver = Receiver::new(LIMIT);
            receiver.wait(Duration::from_micros(gap), 100_000);
            assert!(receiver.share() <= 0.01, "{gap} us: {}", receiver.share());
        }
    }

    #[test]
    fn looks_again_after_a_rest() {
        let mut receiver = Receiver::new(LIMIT);
        receiver.wait(LIMIT * 2, 1000);
        assert!(receiver.vain > LIMIT, "it tries now and then");
        receiver.wait(NEAR, 1000);
        let before = receiver.sleeps;
        receiver.wait(NEAR, 1000);
        assert_eq!(receiver.sleeps, before);
    }

    #[test]
    fn leaves_the_core_to_others_who_want_it() {
        let mut receiver = Receiver::new(LIMIT);
        receiver.wait(NEAR, 10);
        let taken = Duration::from_millis(3);
        receiver.now += taken;
        receiver.spin.found(taken, receiver.now);
        receiver.spin.slept(NEAR);
        assert_eq!(receiver.spin.window(receiver.now + taken * 98), Duration::ZERO);
        assert_eq!(receiver.spin.window(receiver.now + taken * 100), LIMIT);
    }

    #[test]
    fn zero_is_never() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.slept(Duration::ZERO);
        assert_eq!(spin.window(Instant::now()), Duration::ZERO);
    }
}
