//! What each socket type does with its pipes: whom to send to, what to hand over (RFC 28 to 31).

mod dealer;
mod lb;
mod pair;
mod publish;
mod rep;
mod req;
mod router;
mod subscribe;

use super::Error;
use super::frames::Frames;
use super::pipe::{Core, PLENTY, PipeKey};
use crate::zmtp::{SocketType, encode_message};

pub(super) use subscribe::as_subscription;

/// One socket type. Called with every change of its pipes.
pub(super) trait Pattern {
    /// A new pipe. Its peer may still be unknown. `false`: this socket takes no more.
    fn attached(&mut self, core: &mut Core, key: PipeKey) -> bool;

    /// The pipe's peer is known now, also after each new connection. `false`: it is not welcome.
    fn ready(&mut self, core: &mut Core, key: PipeKey) -> bool {
        let _ = (core, key);
        true
    }

    /// The pipe's connection broke, or ended for good. Messages that came before may still be in it.
    fn lost(&mut self, core: &mut Core, key: PipeKey) {
        let _ = (core, key);
    }

    /// The pipe is about to go, with nothing left in it.
    fn detached(&mut self, core: &mut Core, key: PipeKey);

    /// How many messages may be sent now.
    fn room(&self, core: &Core) -> usize;

    /// Sends messages of an encoded run as far as there is room; tells how many bytes it took.
    ///
    /// # Errors
    /// Why the first of them cannot be sent. [`Error::Again`]: not now.
    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error>;

    /// Hands over the next message, or several of one pipe; tells whose and how many. A pipe with 0 was passed over.
    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        take_fairly(core, to)
    }

    /// A peer subscribes, or cancels. `false`: it has too many subscriptions.
    fn subscribed(&mut self, core: &mut Core, key: PipeKey, topic: &[u8], on: bool) -> bool {
        let _ = (core, key, topic, on);
        true
    }

    /// We subscribe, or cancel; tells whether the peers must know.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is nothing to subscribe to.
    fn subscribe(&mut self, topic: &[u8], on: bool) -> Result<bool, Error> {
        let _ = (topic, on);
        Err(Error::Invalid)
    }

    /// What a new peer must be told of our subscriptions, each as often as it counts.
    fn subscriptions(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// The behaviour of a socket type; `None` for one that we do not have.
pub(super) fn make(kind: SocketType) -> Option<Box<dyn Pattern>> {
    Some(match kind {
        SocketType::Pair => Box::<pair::Pair>::default(),
        SocketType::Pub => Box::new(publish::Publish::new(false)),
        SocketType::XPub => Box::new(publish::Publish::new(true)),
        SocketType::Sub => Box::new(subscribe::Subscribe::new(false)),
        SocketType::XSub => Box::new(subscribe::Subscribe::new(true)),
        SocketType::Req => Box::<req::Req>::default(),
        SocketType::Rep => Box::<rep::Rep>::default(),
        SocketType::Dealer => Box::<dealer::Dealer>::default(),
        SocketType::Router => Box::<router::Router>::default(),
        SocketType::Push => Box::<dealer::Push>::default(),
        SocketType::Pull => Box::new(dealer::Pull),
        _ => return None,
    })
}

/// One message of each pipe in turn; all messages at once where there is one pipe only.
fn take_fairly(core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
    let key = core.next_active()?;
    let count = if core.is_only_active() { usize::MAX } else { 1 };
    let moved = core.pipes[key].inbox.move_to(to, count);
    core.took();
    Some((key, moved))
}

/// For types that never send.
fn cannot_send() -> Result<usize, Error> {
    Err(Error::Invalid)
}

/// An empty message: it tells a ROUTER that we are there.
const EMPTY: &[u8] = &[0, 0];

/// Subscribes, or cancels, by a message: for peers within the process.
pub(super) fn push_subscription(core: &mut Core, key: PipeKey, topic: &[u8], on: bool) {
    let mut wire = Vec::new();
    encode_message(&[[&[u8::from(on)], topic].concat()], &mut wire);
    core.push(key, &[&wire]);
}

fn probe(core: &mut Core, key: PipeKey) {
    if core.options.probe_router && core.room(key) > 0 {
        core.push(key, &[EMPTY]);
    }
}
