//! How other threads reach a source: a token in a mailbox, and one wake-up for many.

use std::sync::{Arc, Mutex, PoisonError};

use super::Token;

/// Notifies sources of one reactor from any thread. Cheap to clone; harmless after the reactor's end.
#[derive(Clone, Debug)]
pub struct Remote {
    mailbox: Arc<Mailbox>,
}

impl Remote {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// The source's `ready` is called with `notified`, in a turn that comes soon; several calls may become one.
    /// Put what it shall find in its place *before* this call.
    pub fn notify(&self, token: Token) {
        self.mailbox.put(token);
    }
}

#[derive(Debug)]
pub(super) struct Mailbox {
    waker: mio::Waker,
    letters: Mutex<Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    tokens: Vec<Token>,
    closed: bool,
}

impl Mailbox {
    pub(super) fn new(waker: mio::Waker) -> Self {
        Self { waker, letters: Mutex::default() }
    }

    /// All tokens since the last call. The next `put` wakes again.
    pub(super) fn take(&self) -> Vec<Token> {
        std::mem::take(&mut self.lock().tokens)
    }

    pub(super) fn close(&self) {
        let mut letters = self.lock();
        letters.closed = true;
        letters.tokens.clear();
    }

    fn put(&self, token: Token) {
        let mut letters = self.lock();
        if letters.closed || letters.tokens.last() == Some(&token) {
            return; // The wake-up for that token is under way: `take` has not come yet.
        }
        letters.tokens.push(token);
        if letters.tokens.len() == 1 {
            drop(letters);
            // An eventfd write fails only at its counter's end, and then the reactor is awake anyway.
            let _ = self.waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
