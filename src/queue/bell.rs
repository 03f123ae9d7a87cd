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
