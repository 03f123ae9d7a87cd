//! How a process that waits in its event loop is woken by another: a named FIFO that its poll watches. The kernel owns the
//! wake-up, it costs one system call at either side, and it needs no thread.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use super::beside::{self, Aux};
use super::sys_unix as sys;

/// A seat's own bell. Its file goes with it.
#[derive(Debug)]
pub struct Bell {
    file: File,
    path: PathBuf,
}

impl Bell {
    pub(crate) fn create(aux: &Aux, seat: u16, number: u64) -> io::Result<Self> {
        let path = aux.path(&name(seat, number));
        Ok(Self { file: sys::create_bell(&path)?, path })
    }

    /// Removes what another bell of this seat left.
    pub(crate) fn remove(aux: &Aux, seat: u16, number: u64) {
        beside::remove(&aux.path(&name(seat, number)));
    }

    /// Before looking at what it rang for. `false`: it did not ring.
    pub fn silence(&self) -> bool {
        sys::silence(&self.file)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        beside::remove(&self.path);
    }
}

/// Bells of others, opened when they are first rung.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    open: HashMap<u16, (u64, File)>,
}

impl Bells {
    /// Rings, if the bell is there: a sleeper that is gone needs no waking.
    pub(crate) fn ring(&mut self, aux: &Aux, seat: u16, number: u64) {
        if self.open.get(&seat).is_none_or(|(known, _)| *known != number) {
            match sys::open_bell(&aux.path(&name(seat, number))) {
                Ok(file) => drop(self.open.insert(seat, (number, file))),
                Err(_) => return,
            }
        }
        if let Some((_, file)) = self.open.get(&seat) {
            sys::ring(file);
        }
    }
}

fn name(seat: u16, number: u64) -> String {
    format!("bell-{seat}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::tests::unique;
    use crate::queue::{Flags, New, Work};

    const FIRST: u64 = 1;

    fn work() -> Work {
        let new = New { capacity: 4096, persistent: false, flags: Flags::default() };
        Work::join(&unique("bell"), Some(new)).unwrap().0
    }

    #[test]
    fn a_full_bell_rings_already() {
        let work = work();
        let bell = Bell::create(work.aux(), 7, FIRST).unwrap();
        let mut bells = Bells::default();
        // More than any pipe holds.
        for _ in 0..1_100_000 {
            bells.ring(work.aux(), 7, FIRST);
        }
        assert!(bell.silence());
        assert!(!bell.silence(), "all of it was taken");
        bells.ring(work.aux(), 7, FIRST);
        assert!(bell.silence());
    }

    #[test]
    fn a_bell_that_is_gone_is_not_missed() {
        let work = work();
        let mut bells = Bells::default();
        bells.ring(work.aux(), 7, FIRST);
        let bell = Bell::create(work.aux(), 7, FIRST).unwrap();
        bells.ring(work.aux(), 7, FIRST);
        drop(bell);
        // Nobody reads there any more: neither an error nor SIGPIPE.
        bells.ring(work.aux(), 7, FIRST);
        let next = Bell::create(work.aux(), 7, FIRST + 1).unwrap();
        bells.ring(work.aux(), 7, FIRST + 1);
        assert!(next.silence());
    }

    #[test]
    fn what_is_no_fifo_is_not_written_to() {
        let work = work();
        let path = work.aux().path(&name(7, FIRST));
        let mut bells = Bells::default();
        std::fs::write(&path, b"precious").unwrap();
        bells.ring(work.aux(), 7, FIRST);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let real = Bell::create(work.aux(), 8, FIRST).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(work.aux().path(&name(8, FIRST)), &path).unwrap();
        bells.ring(work.aux(), 7, FIRST);
        assert!(!real.silence(), "a link is not followed");
        // Its owner puts a FIFO in the place of whatever is there.
        let owner = Bell::create(work.aux(), 7, FIRST).unwrap();
        bells.ring(work.aux(), 7, FIRST);
        assert!(owner.silence());
    }
}
