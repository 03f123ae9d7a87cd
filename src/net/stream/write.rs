//! Writing: at once what the kernel takes; the rest when it says that there is room.

use std::io::{self, IoSlice};

use super::{BOTH, Kind, Stream};
use crate::net::sys_unix;
use crate::reactor::{Interest, Readiness};

/// Rounds of flushing in one turn, for the same reason.
const FLUSHES_PER_TURN: usize = 16;

impl Stream {
    /// Writes what the kernel takes now and queues nothing: the number of bytes taken. If it is less than all,
    /// [`StreamSink::drain`](super::StreamSink::drain) tells when to try again. 0 while something is queued, or before the connect has ended.
    ///
    /// # Errors
    /// `EPIPE`, `ECONNRESET`, `ENOTCONN`; [`io::ErrorKind::NotConnected`] on a closed stream.
    pub fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if self.connecting.get() || self.blocked.get() || !self.outbox.borrow().is_empty() {
            return Ok(0);
        }
        let taken = match parts {
            [one] => self.with_fd(|fd| sys_unix::write(fd, self.kind, one)),
            several => self.with_fd(|fd| sys_unix::write_parts(fd, self.kind, several)),
        };
        let taken = or_blocked(taken)?;
        if taken < total && (taken == 0 || parts.len() <= sys_unix::MAX_PARTS) {
            self.block();
        } else if taken < total {
            // The call took all parts that one call takes.
            return Ok(taken + self.try_write(&parts[sys_unix::MAX_PARTS..])?);
        }
        Ok(taken)
    }

    /// Writes at once what the kernel takes, and queues a copy of the rest: look at [`Stream::queued`] and wait for
    /// [`StreamSink::drain`](super::StreamSink::drain) when it is more than you want to keep in memory.
    ///
    /// # Errors
    /// Those of [`Stream::try_write`]. What is queued fails later through [`StreamSink::error`](super::StreamSink::error).
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let taken = self.try_write(&[IoSlice::new(bytes)])?;
        self.outbox.borrow_mut().push(&bytes[taken..]);
        self.update_hold();
        Ok(())
    }

    /// As [`Stream::write`], without a copy if nothing can be written at once.
    ///
    /// # Errors
    /// Those of [`Stream::write`].
    pub fn write_owned(&self, bytes: Vec<u8>) -> io::Result<()> {
        match self.try_write(&[IoSlice::new(&bytes)])? {
            0 => self.outbox.borrow_mut().push_owned(bytes),
            taken => self.outbox.borrow_mut().push(&bytes[taken..]),
        }
        self.update_hold();
        Ok(())
    }

    /// Bytes written and still in this process.
    pub fn queued(&self) -> usize {
        self.outbox.borrow().len()
    }

    /// Ends the sending side once everything queued has left. Reading goes on; a pipe's descriptor is closed.
    ///
    /// # Errors
    /// `ENOTCONN` if the peer has gone; a closed stream: [`io::ErrorKind::NotConnected`].
    pub fn shutdown(&self) -> io::Result<()> {
        if self.connecting.get() || !self.outbox.borrow().is_empty() {
            self.shutting.set(true);
            return Ok(());
        }
        match self.kind {
            Kind::Socket => self.with_fd(sys_unix::shutdown_write),
            Kind::Pipe => {
                self.close();
                Ok(())
            }
        }
    }

    /// There is room: sends what is queued.
    pub(super) fn flush(&self) {
        self.blocked.set(false);
        for _ in 0..FLUSHES_PER_TURN {
            if self.outbox.borrow().is_empty() {
                return self.flushed();
            }
            let sent = {
                let outbox = self.outbox.borrow();
                let parts: Vec<_> = outbox.parts().collect();
                let total = parts.iter().map(|part| part.len()).sum::<usize>();
                self.with_fd(|fd| sys_unix::write_parts(fd, self.kind, &parts)).map(|sent| (sent, total))
            };
            match sent {
                Ok((sent, total)) => {
                    self.outbox.borrow_mut().advance(sent);
                    if sent < total {
                        return self.block();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.block(),
                Err(error) => {
                    self.outbox.borrow_mut().clear();
                    return self.tell(|sink| sink.error("write", error));
                }
            }
        }
        if let Some(token) = self.token.get() {
            self.blocked.set(true);
            self.reactor.again(token, Readiness::WRITABLE);
        }
    }

    fn flushed(&self) {
        self.watch(Interest::READABLE);
        if self.shutting.replace(false)
            && let Err(error) = self.shutdown()
        {
            return self.tell(|sink| sink.error("shutdown", error));
        }
        self.update_hold();
        self.tell(|sink| sink.drain());
    }

    /// There is no room: wait for it.
    fn block(&self) {
        self.blocked.set(true);
        self.watch(BOTH);
        self.update_hold();
    }
}

fn or_blocked(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
