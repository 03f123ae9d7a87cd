//! The queue as Rust programs use it: values by serde, blocking calls. All of it is [`Work`], which JavaScript uses too.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::body::Message;
use super::codec::Codec;
use super::error::Error;
use super::member::{SLICE, Stats};
use super::options::Options;
use super::work::{Delivery, Work};

/// How long a blocking receive looks before it sleeps: a sender on another core answers within that.
pub(super) const SPIN: Duration = Duration::from_micros(20);
/// Bytes of messages that one lease takes, more or less.
pub(super) const LEASE_BYTES: usize = 256 * 1024;

/// A work queue in shared memory: many senders, many receivers, in any processes of this user, in Rust and in JavaScript. Each
/// message goes to one receiver.
///
/// A message is in the queue from the moment that its send returned, whatever becomes of the sender; what a receiver had
/// not got when it was killed stays in the queue. A handle is for one thread at a time; another thread opens one of its own.
///
/// ```
/// use interproc::queue::{Options, Queue};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Resize { file: String, to: u32 }
///
/// # fn main() -> Result<(), interproc::queue::Error> {
/// # let name = format!("doc {}", std::process::id());
/// # let name = name.as_str();
/// // `new Queue(name)` in Node.
/// let mut jobs = Queue::open(name)?;
/// jobs.send(&Resize { file: "cat.jpg".into(), to: 640 })?;
///
/// // In this process or another, in Rust or in JavaScript.
/// let mut worker = Options::new().create(false).open(name)?;
/// let job: Resize = worker.receive()?;
/// assert_eq!(job, Resize { file: "cat.jpg".into(), to: 640 });
/// assert_eq!(worker.try_receive::<Resize>()?, None);
/// # Ok(())
/// # }
/// ```
///
/// With acknowledgement a message stays in the queue until its receiver says that it is dealt with; if the receiver dies
/// before, another gets it:
///
/// ```
/// # use interproc::queue::Options;
/// # fn main() -> Result<(), interproc::queue::Error> {
/// let mut orders = Options::new().ack(true).create_unnamed()?;
/// orders.send("one espresso")?;
/// let message = orders.receive_message()?;
/// let order: String = message.decode()?;
/// // … serve it, then:
/// orders.ack(message)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Queue {
    pub(super) work: Work,
    pub(super) codec: Codec,
    /// A value that is being encoded.
    pub(super) outbox: Vec<u8>,
    /// The messages of a lease.
    pub(super) slab: Vec<u8>,
    pub(super) deliveries: Vec<Delivery>,
    /// When the calls that do not wait last looked for what the dead left.
    looked: Instant,
}

/// How long a call waits.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    Not,
    /// `None`: for ever.
    Until(Option<Instant>),
}

impl Queue {
    /// Opens the queue of that name or ticket, or creates it under that name. [`Options`] does the same with more to say.
    ///
    /// # Errors
    /// [`Error::Open`]
    pub fn open(place: &str) -> Result<Self, Error> {
        Options::new().open(place)
    }

    pub(super) fn new(work: Work, codec: Codec) -> Self {
        let (outbox, slab, deliveries) = (Vec::new(), Vec::new(), Vec::new());
        Self { work, codec, outbox, slab, deliveries, looked: Instant::now() }
    }

    /// The next value; waits for it. Whatever codec its sender used: the message says it.
    ///
    /// # Errors
    /// [`Error::Decode`], which holds the message: it is received all the same. [`Error::NeedsAck`], [`Error::Damaged`], [`Error::Io`]
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.one_for_ever(|queue| queue.receive_value(Wait::Until(None)))
    }

    /// The next value if there is one now.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn try_receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        self.receive_value(Wait::Not)
    }

    /// The next value; waits for it, at most so long.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_timeout<T: DeserializeOwned>(&mut self, timeout: Duration) -> Result<Option<T>, Error> {
        self.receive_value(after(timeout))
    }

    /// All values that are there, up to `most`; waits for the first.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); what comes before a message that cannot be decoded is given first.
    pub fn receive_many<T: DeserializeOwned>(&mut self, most: usize) -> Result<Vec<T>, Error> {
        self.without_ack()?;
        self.fetch(most, Wait::Until(None), |fetched| fetched.decode())
    }

    /// The next message; waits for it. In a queue with acknowledgement it is to be given to [`ack`](Self::ack) or [`release`](Self::release).
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`]
    pub fn receive_message(&mut self) -> Result<Message, Error> {
        self.one_for_ever(|queue| queue.receive_one(Wait::Until(None)))
    }

    /// The next message if there is one now.
    ///
    /// # Errors
    /// As [`receive_message`](Self::receive_message).
    pub fn try_receive_message(&mut self) -> Result<Option<Message>, Error> {
        self.receive_one(Wait::Not)
    }

    /// The next message; waits for it, at most so long.
    ///
    /// # Errors
    /// As [`receive_message`](Self::receive_message).
    pub fn receive_message_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, Error> {
        self.receive_one(after(timeout))
    }

    /// The message is dealt with: nobody gets it again. `false`: the queue has no acknowledgement, or another handle had it.
    ///
    /// # Errors
    /// [`Error::Damaged`]
    #[expect(clippy::needless_pass_by_value, reason = "there is nothing to be done with it afterwards")]
    pub fn ack(&mut self, message: Message) -> Result<bool, Error> {
        Ok(self.work.ack(message.id)?)
    }

    /// The message goes back into the queue, for any receiver. `false`: the queue has no acknowledgement, or another handle had it.
    ///
    /// # Errors
    /// [`Error::Damaged`]
    #[expect(clippy::needless_pass_by_value, reason = "there is nothing to be done with it afterwards")]
    pub fn release(&mut self, message: Message) -> Result<bool, Error> {
        Ok(self.work.release(message.id)?)
    }

    /// The values as they come, without an end.
    pub fn iter<T: DeserializeOwned>(&mut self) -> impl Iterator<Item = Result<T, Error>> + '_ {
        std::iter::repeat_with(|| self.receive())
    }

    /// What values are encoded with.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether messages are acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.work.flags().ack
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.work.segment().name()
    }

    /// What opens exactly this queue elsewhere: [`Queue::open`], or `new Queue(ticket)` in Node. `None` for one in a file.
    #[must_use]
    pub fn ticket(&self) -> Option<String> {
        self.work.segment().ticket().map(|ticket| ticket.to_string())
    }

    /// What it holds and did.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.work.stats()
    }

    pub(super) fn receive_value<T: DeserializeOwned>(&mut self, wait: Wait) -> Result<Option<T>, Error> {
        self.without_ack()?;
        Ok(self.fetch(1, wait, |fetched| fetched.decode())?.pop())
    }

    pub(super) fn receive_one(&mut self, wait: Wait) -> Result<Option<Message>, Error> {
        Ok(self.fetch(1, wait, |fetched| Ok(fetched.into_message()))?.pop())
    }

    /// Waiting without a deadline ends with something.
    fn one_for_ever<R>(&mut self, mut one: impl FnMut(&mut Self) -> Result<Option<R>, Error>) -> Result<R, Error> {
        loop {
            if let Some(found) = one(self)? {
                return Ok(found);
            }
        }
    }

    fn without_ack(&self) -> Result<(), Error> {
        if self.acknowledged() { Err(Error::NeedsAck) } else { Ok(()) }
    }

    /// What the dead left is settled by whoever waits; a program that only asks does it now and then.
    pub(super) fn look_around(&mut self) -> bool {
        if self.looked.elapsed() < SLICE {
            return false;
        }
        self.looked = Instant::now();
        self.work.look_around()
    }
}

pub(super) fn after(timeout: Duration) -> Wait {
    Wait::Until(Instant::now().checked_add(timeout))
}
