//! Reading: what is there, in reads as large as the traffic, and not more in a turn than the others can wait for.

use std::io;

use super::Stream;
use crate::net::sys_unix;
use crate::reactor::Readiness;

pub(super) const FIRST: usize = 16 * 1024;
/// Bytes read from one stream in one turn; then the others have theirs.
const PER_TURN: usize = 1024 * 1024;
const SMALLEST: usize = 4 * 1024;
/// Measured: larger ones gain nothing more.
const LARGEST: usize = 256 * 1024;

impl Stream {
    pub(super) fn read(&self) {
        let mut budget = PER_TURN;
        self.in_read.set(true);
        while self.reading.get() && self.readable.get() && !self.ended.get() {
            if budget == 0 {
                self.ask_again();
                break;
            }
            budget = budget.saturating_sub(self.read_once());
        }
        self.in_read.set(false);
        self.update_hold();
    }

    /// One read and what follows from it; the number of bytes.
    pub(super) fn read_once(&self) -> usize {
        let Some(sink) = self.sink() else {
            self.readable.set(false);
            return 0;
        };
        let mut asked = 0;
        let got = sink.lend(self.next_read.get(), &mut |mut room| {
            asked = room.len();
            self.with_fd(|fd| sys_unix::read(fd, &mut room))
        });
        match got {
            Ok(0) => {
                self.ended.set(true);
                self.reading.set(false);
                sink.end();
                0
            }
            Ok(length) => {
                self.adapt(asked, length);
                // Less than asked for: the kernel has no more, and tells when it has (epoll(7), "edge-triggered").
                if length < asked && !self.peer_ended.get() {
                    self.readable.set(false);
                }
                sink.data(length);
                length
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable.set(false);
                0
            }
            Err(error) => {
                self.readable.set(false);
                self.reading.set(false);
                sink.error("read", error);
                0
            }
        }
    }

    /// Grows fast while reads are filled, shrinks slowly while they are not.
    fn adapt(&self, asked: usize, got: usize) {
        let hint = self.next_read.get();
        if got == asked && asked >= hint {
            self.next_read.set((hint * 4).min(LARGEST));
        } else if got < hint / 4 {
            self.next_read.set((hint / 2).max(SMALLEST));
        }
    }

    pub(super) fn ask_again(&self) {
        if let Some(token) = self.token.get()
            && !self.asked_again.replace(true)
        {
            self.reactor.again(token, Readiness::default());
        }
    }
}
