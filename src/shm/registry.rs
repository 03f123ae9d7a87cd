//! The segments of this process: each has one place in its table, whoever opens it, and all are left at the process's end.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError, Weak};

use super::segment::Segment;

/// Device and inode: what a file is, whatever its name.
pub(super) type FileKey = (u64, u64);

static KNOWN: LazyLock<Mutex<HashMap<FileKey, Weak<Segment>>>> = LazyLock::new(Mutex::default);

/// The segment in that file, if this process has it open.
pub(super) fn find(key: FileKey) -> Option<Arc<Segment>> {
    known().get(&key).and_then(Weak::upgrade)
}

/// Enters a segment, or gives the one that another thread entered meanwhile.
pub(super) fn enter(key: FileKey, segment: Arc<Segment>) -> Arc<Segment> {
    leave_at_exit();
    let mut known = known();
    if let Some(other) = known.get(&key).and_then(Weak::upgrade) {
        // Dropping ours leaves it, and that locks the list.
        drop(known);
        drop(segment);
        return other;
    }
    known.insert(key, Arc::downgrade(&segment));
    segment
}

/// Forgets a segment that is being dropped.
pub(super) fn forget(key: FileKey) {
    let mut known = known();
    // A thread that opens it anew at this moment may have replaced the entry.
    if known.get(&key).is_some_and(|entry| entry.strong_count() == 0) {
        known.remove(&key);
    }
}

fn known() -> MutexGuard<'static, HashMap<FileKey, Weak<Segment>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `exit(3)` drops nothing, and Node ends by it after `process.exit` or an uncaught exception.
fn leave_at_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a function without arguments that does not unwind. Fails only when memory is out; the next sweep does it then.
        unsafe { libc::atexit(leave_all) };
    });
}

extern "C" fn leave_all() {
    // Held by a thread that runs on: do not hang in exit.
    let Ok(known) = KNOWN.try_lock() else { return };
    let open: Vec<_> = known.values().filter_map(Weak::upgrade).collect();
    drop(known);
    for segment in open {
        segment.leave_at_exit();
        // Other threads run on until the very end: the memory stays mapped.
        std::mem::forget(segment);
    }
}
