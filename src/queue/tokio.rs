//! The waiting calls for programs on tokio: what waits is the queue's bell in their runtime, not their thread.

use std::io;
use std::os::fd::AsFd;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::Message;
use super::error::Error;
use super::member::SLICE;
use super::queue::{Queue, Wait};

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Messages,
    Room,
}

/// While it lives, others ring the queue's bell.
struct Armed<'a> {
    queue: &'a mut Queue,
    what: What,
}

impl Queue {
    /// As [`send`](Self::send), without blocking the thread. A future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Panics
    /// Outside a runtime of tokio with I/O and time.
    pub async fn send_async<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.until(What::Room, |queue| Ok(queue.try_send(value)?.then_some(()))).await
    }

    /// As [`receive`](Self::receive), without blocking the thread. A future that is dropped before it is ready, as in `select!`, has
    /// received nothing.
    ///
    /// ```
    /// # use interproc::queue::Options;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), interproc::queue::Error> {
    /// let mut queue = Options::new().create_unnamed()?;
    /// queue.send_async("hello").await?;
    /// let text: String = queue.receive_async().await?;
    /// # assert_eq!(text, "hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    ///
    /// # Panics
    /// Outside a runtime of tokio with I/O and time.
    pub async fn receive_async<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.until(What::Messages, |queue| queue.receive_value(Wait::Not)).await
    }

    /// As [`receive_message`](Self::receive_message), without blocking the thread; see [`receive_async`](Self::receive_async).
    ///
    /// # Errors
    /// As [`receive_message`](Self::receive_message).
    ///
    /// # Panics
    /// Outside a runtime of tokio with I/O and time.
    pub async fn receive_message_async(&mut self) -> Result<Message, Error> {
        self.until(What::Messages, |queue| queue.receive_one(Wait::Not)).await
    }

    async fn until<R>(
        &mut self,
        what: What,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<R>, Error>,
    ) -> Result<R, Error> {
        if let Some(found) = attempt(self)? {
            return Ok(found);
        }
        let bell = self.work.bell()?.as_fd().try_clone_to_owned()?;
        // SAFETY: an open descriptor that nobody else has, and that its owner keeps.
        let bell = unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE) }.map_err(io::Error::from)?;
        loop {
            self.work.bell()?.silence();
            let armed = Armed::new(self, what);
            // What came before others saw that we wait rings no bell.
            if let Some(found) = attempt(armed.queue)? {
                return Ok(found);
            }
            match ::tokio::time::timeout(SLICE, bell.readable()).await {
                Ok(rung) => rung?.clear_ready(),
                // Nobody woke us: the usual reason is that there is nothing, the other is a death.
                Err(_) => drop(armed.queue.work.look_around()),
            }
        }
    }
}

impl<'a> Armed<'a> {
    fn new(queue: &'a mut Queue, what: What) -> Self {
        match what {
            What::Messages => queue.work.arm_receiver(),
            What::Room => queue.work.arm_sender(),
        }
        Self { queue, what }
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        match self.what {
            What::Messages => self.queue.work.disarm_receiver(),
            What::Room => self.queue.work.disarm_sender(),
        }
    }
}
