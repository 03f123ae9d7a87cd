//! Sleeping until another thread or process changes a word of shared memory.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` is `expected`, until a [`wake`] or for `limit`. Also returns for no reason: look at the word again.
///
/// The waker may be killed between its change and its wake-up, therefore there is no waiting without a limit.
#[cfg(target_os = "linux")]
pub fn wait(word: &AtomicU32, expected: u32, limit: Duration) {
    use rustix::thread::futex;
    let timeout = futex::Timespec::try_from(limit).ok();
    // EAGAIN, EINTR, ETIMEDOUT: the caller looks anyway. No PRIVATE flag: the kernel finds the waiters by page, not by address.
    let _ = futex::wait(word, futex::Flags::empty(), expected, timeout.as_ref());
}

/// Wakes all who sleep on `word`, in any process.
#[cfg(target_os = "linux")]
pub fn wake(word: &AtomicU32) {
    use rustix::thread::futex;
    // Fails only for an address that is not mapped.
    let _ = futex::wake(word, futex::Flags::empty(), u32::MAX >> 1);
}

/// Without a futex that reaches other processes: short sleeps.
#[cfg(not(target_os = "linux"))]
pub fn wait(word: &AtomicU32, expected: u32, limit: Duration) {
    let deadline = std::time::Instant::now() + limit;
    while word.load(std::sync::atomic::Ordering::Acquire) == expected && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The sleepers look by themselves.
#[cfg(not(target_os = "linux"))]
pub fn wake(_word: &AtomicU32) {}
