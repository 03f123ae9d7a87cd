//! Crash points: a test's child process kills itself at the n-th passing of a named place.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// `name:n`
static WANTED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
    let wanted = std::env::var("INTERPROC_CRASH_AT").ok()?;
    let (name, count) = wanted.split_once(':')?;
    Some((name.to_owned(), count.parse().ok()?))
});

static PASSED: AtomicU32 = AtomicU32::new(0);

pub(crate) fn here(name: &str) {
    if let Some((wanted, count)) = &*WANTED
        && wanted == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        // Nothing of ours runs after it: as if the power of this one process were cut.
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
