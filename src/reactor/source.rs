//! What is registered in a reactor, how it is named, and what it is told.

use std::rc::Rc;

/// What is called when a descriptor is ready.
pub trait Source {
    /// Runs on the reactor's thread, inside a turn, with no borrow of the reactor held.
    fn ready(self: Rc<Self>, readiness: Readiness);

    /// The reactor ends and calls nothing any more: let go of what holds this source in turn.
    fn abandon(self: Rc<Self>) {}

    /// The descriptor may be readable: it has a watch of its own in the driver's loop now, which reports as long as there
    /// is something. `true`: there was. `false`: there was nothing, or nothing is wanted; it goes back to the poll.
    ///
    /// Where one peer asks and answers all the time, this saves asking the poll whose wake-up it is. Only descriptors that
    /// are watched for [`Interest::READABLE`](super::Interest) alone come here.
    fn directly_readable(self: Rc<Self>) -> bool {
        false
    }
}

/// Names one registered source. Stale tokens (the source is gone, its place reused) are recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

/// What the poll said about a descriptor, or what the source asked for with [`Reactor::again`](super::Reactor::again).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be something to read (or to accept). Read until `WouldBlock`, or until less came than was asked for.
    pub readable: bool,
    /// There may be room to write, or a connect has ended.
    pub writable: bool,
    /// The peer will send no more, or the descriptor is broken: read until 0 or an error.
    pub closed: bool,
    /// A [`Remote`](super::Remote) was used: something was put where this source looks for it.
    pub notified: bool,
}

impl Token {
    pub(super) fn new(key: usize, generation: u32) -> Self {
        // A thread never has 2^32 descriptors, so the key fits.
        Self((u64::from(generation) << 32) | (key as u64 & 0xffff_ffff))
    }

    pub(super) fn from_mio(token: mio::Token) -> Self {
        Self(token.0 as u64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits on every target we build for")]
    pub(super) fn mio(self) -> mio::Token {
        mio::Token(self.0 as usize)
    }

    pub(super) fn key(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Readiness {
    /// Only `readable`.
    pub const READABLE: Self = Self { readable: true, writable: false, closed: false, notified: false };
    /// Only `writable`.
    pub const WRITABLE: Self = Self { readable: false, writable: true, closed: false, notified: false };

    pub(super) fn of(event: &mio::event::Event) -> Self {
        let broken = event.is_error();
        Self {
            readable: event.is_readable() || broken,
            writable: event.is_writable() || broken,
            closed: event.is_read_closed() || broken,
            notified: false,
        }
    }
}
