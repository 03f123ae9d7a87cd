//! Host names, looked up where it may take its time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use super::inproc::Bell;

/// A look-up under way on a thread of its own.
#[derive(Debug)]
pub(super) struct Lookup {
    answer: Arc<Mutex<Option<io::Result<Vec<SocketAddr>>>>>,
}

impl Lookup {
    /// Begins; `bell` rings at the end.
    pub(super) fn start(name: &str, port: u16, bell: Bell) -> io::Result<Self> {
        let answer = Arc::new(Mutex::new(None));
        let (name, result) = (name.to_owned(), Arc::clone(&answer));
        std::thread::Builder::new().name("interproc-dns".into()).spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            bell.ring();
        })?;
        Ok(Self { answer })
    }

    /// The answer, once.
    pub(super) fn take(&self) -> Option<io::Result<Vec<SocketAddr>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
