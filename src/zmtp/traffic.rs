//! The traffic after the handshake: frames in, within their limits.

use std::ops::ControlFlow;

use super::frame::{Frame, decode_header};
use super::{Config, Peer, ProtocolError};

/// The longest message that is ever taken, all its frames together: 4 GiB less one byte, the largest Buffer of Node 20,
/// and the most that we send at once. More than that is not announced by anybody who means it.
pub const MAX_MESSAGE: u64 = u32::MAX as u64;
/// The most frames that a message may ever have.
pub const MAX_FRAMES: u64 = 1 << 20;

/// Whether a [`Sink`] takes more at once. `Break`: what was handed over is taken, and nothing else is handed over until
/// the next [`receive`](super::Connection::receive): the way to hold a peer back.
pub type Flow = ControlFlow<()>;

/// Takes what a connection receives. The slices are parts of the input and live as long as the call.
pub trait Sink {
    /// The handshake is over; before this there is nothing else, and after it messages may be sent.
    fn ready(&mut self, peer: &Peer) -> Flow;

    /// A frame of a message; with `more`, others of the same message follow. Messages are atomic: one whose last frame
    /// has not come when the connection ends is to be thrown away.
    fn frame(&mut self, body: &[u8], more: bool) -> Flow;

    /// The peer subscribes to a topic, in either form. Only PUB and XPUB get this. Subscriptions are counted: twice the
    /// same needs two cancels. Bound how many a peer may have.
    fn subscribe(&mut self, topic: &[u8]) -> Flow {
        let _ = topic;
        Flow::Continue(())
    }

    /// The peer cancels a subscription, or one that it never had. Only PUB and XPUB get this.
    fn cancel(&mut self, topic: &[u8]) -> Flow {
        let _ = topic;
        Flow::Continue(())
    }
}

/// How far a [`receive`](super::Connection::receive) got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the input that are done with. The rest is to be given again, with what comes after it.
    pub consumed: usize,
    /// Bytes, counted from `consumed`, that must be there before the next call gets any further: the whole frame, as
    /// soon as its length is known. 0 when the sink stopped it. It is a claim of the peer, up to 9 bytes more than
    /// [`MAX_MESSAGE`]: read straight
    /// into a buffer that grows by what has arrived, never allocate it. For a large frame, `decode_header` on the rest
    /// tells where its body will begin: once that buffer holds `need` bytes, the body handed over is its tail, and the
    /// buffer itself can be kept instead of a copy.
    pub need: usize,
}

/// Looks frames up in the input and holds them to their limits.
#[derive(Debug)]
pub(super) struct Traffic {
    max_message: u64,
    max_frames: u64,
    max_command: u64,
    /// Whether single-frame messages may be subscriptions.
    publishes: bool,
    /// Of the message whose last frame has not come: bytes and frames up to now.
    size: u64,
    frames: u64,
}

/// What stands at the start of the input.
#[derive(Debug)]
pub(super) enum Next<'a> {
    /// So many bytes are needed to tell.
    Need(usize),
    /// A frame, and the bytes that it takes with its header.
    Frame(Frame<'a>, usize),
}

/// What a message frame means.
#[derive(Debug)]
pub(super) enum Meaning<'a> {
    Part,
    Subscribe(&'a [u8]),
    Cancel(&'a [u8]),
}

impl Traffic {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            max_message: config.max_message_size.unwrap_or(MAX_MESSAGE).min(MAX_MESSAGE),
            max_frames: config.max_message_size.unwrap_or(MAX_FRAMES).clamp(1024, MAX_FRAMES),
            max_command: config.max_command_size,
            publishes: config.socket_type.is_publisher(),
            size: 0,
            frames: 0,
        }
    }

    /// Whether only some frames of a message have come.
    pub(super) fn in_message(&self) -> bool {
        self.frames > 0
    }

    /// The frame at the start of `input`. Its limits are checked as soon as its header is there.
    #[inline]
    pub(super) fn next<'a>(&self, input: &'a [u8]) -> Result<Next<'a>, ProtocolError> {
        let Some(header) = decode_header(input)? else {
            return Ok(Next::Need(input.len() + 1));
        };
        if header.command {
            if header.size > self.max_command {
                return Err(ProtocolError::CommandTooBig(header.size));
            }
        } else if header.size > self.max_message - self.size || self.frames >= self.max_frames {
            return Err(ProtocolError::MessageTooBig);
        }
        let end = usize::try_from(header.size)
            .ok()
            .and_then(|size| size.checked_add(header.len))
            .ok_or(ProtocolError::MessageTooBig)?;
        let Some(body) = input.get(header.len..end) else {
            return Ok(Next::Need(end));
        };
        let frame = Frame { more: header.more, command: header.command, body };
        Ok(Next::Frame(frame, end))
    }

    /// Counts a message frame that [`next`](Self::next) found, and tells what it is.
    #[inline]
    pub(super) fn part<'a>(&mut self, frame: Frame<'a>) -> Meaning<'a> {
        let single = !self.in_message() && !frame.more;
        if frame.more {
            self.size += frame.body.len() as u64;
            self.frames += 1;
        } else {
            self.size = 0;
            self.frames = 0;
        }
        if self.publishes && single {
            match frame.body {
                [1, topic @ ..] => return Meaning::Subscribe(topic),
                [0, topic @ ..] => return Meaning::Cancel(topic),
                _ => {}
            }
        }
        Meaning::Part
    }

    /// Whether SUBSCRIBE and CANCEL mean anything here.
    pub(super) fn publishes(&self) -> bool {
        self.publishes
    }
}
