//! How to open a queue.

use std::path::PathBuf;

use super::codec::Codec;
use super::error::Error;
use super::layout::Flags;
use super::member::New;
use super::queue::Queue;
use super::work::Work;
use crate::shm::Place;

/// How to open a queue, and what one that is created for it shall be like. The names are those of the options in JavaScript.
///
/// ```
/// # use interproc::queue::{Codec, Options};
/// # fn main() -> Result<(), interproc::queue::Error> {
/// let queue = Options::new().capacity(1 << 20).codec(Codec::MessagePack).create_unnamed()?;
/// let ticket = queue.ticket().expect("it is no file");
/// let same = Options::new().create(false).open(&ticket)?;
/// # assert_eq!(same.ticket(), Some(ticket));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "these are only wishes until `open`"]
pub struct Options {
    capacity: u64,
    codec: Option<Codec>,
    ack: Option<bool>,
    persistent: bool,
    create: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// 4 MiB, JSON, without acknowledgement, gone with its last user.
    pub fn new() -> Self {
        Self { capacity: 4 * 1024 * 1024, codec: None, ack: None, persistent: false, create: true }
    }

    /// Bytes for messages in a queue that is created, 512 to 64 GiB, rounded up to a power of two. All of it is reserved at once.
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// What values are encoded with. Who opens without this uses the creator's, or JSON where that is a codec of JavaScript alone.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Whether messages stay in the queue until they are acknowledged. The creator decides; another wish is an error.
    pub fn ack(mut self, ack: bool) -> Self {
        self.ack = Some(ack);
        self
    }

    /// Whether a new queue stays when its last user leaves.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// `false`: only what is there is opened.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens the queue of that name or ticket, or creates it under that name.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::AckDiffers`]
    pub fn open(&self, place: &str) -> Result<Queue, Error> {
        self.join(&Place::parse(place).map_err(|error| Error::Open(error.into()))?)
    }

    /// Opens the queue in that file, or creates it. It survives a reboot; damage by a power cut is told ([`Error::Damaged`]).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_file(&self, path: impl Into<PathBuf>) -> Result<Queue, Error> {
        // Files of large messages are made beside it, also when the process has gone to another folder.
        self.join(&Place::File(std::path::absolute(path.into()).map_err(Error::Io)?))
    }

    /// Creates a queue without a name: its ticket finds it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create_unnamed(&self) -> Result<Queue, Error> {
        self.join(&Place::Anonymous)
    }

    fn join(&self, place: &Place) -> Result<Queue, Error> {
        let codec = self.codec.unwrap_or_default().tag().number();
        let flags = Flags { ack: self.ack.unwrap_or(false), codec, ..Flags::default() };
        let create = (self.create && !matches!(place, Place::Ticket(_))) || matches!(place, Place::Anonymous);
        let new = create.then_some(New { capacity: self.capacity, persistent: self.persistent, flags });
        let (work, _) = Work::join(place, new)?;
        let acknowledged = work.flags().ack;
        if self.ack.is_some_and(|wanted| wanted != acknowledged) {
            return Err(Error::AckDiffers { acknowledged });
        }
        let codec = self.codec.unwrap_or_else(|| Codec::numbered(work.flags().codec));
        Ok(Queue::new(work, codec))
    }
}
