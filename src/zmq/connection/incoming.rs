//! What the protocol hands over, on its way into the pipe.

use super::{Connection, Origin};
use crate::zmq::inner::State;
use crate::zmq::pipe::Link;
use crate::zmtp::{self, Flow, Peer};

/// Takes what the protocol hands over, into the pipe.
pub(super) struct Incoming<'a> {
    pub(super) state: &'a mut State,
    pub(super) connection: &'a Connection,
    /// The handshake was just completed.
    pub(super) fresh: bool,
    /// The socket does not want this peer.
    pub(super) refused: bool,
}

impl Incoming<'_> {
    fn refuse(&mut self) -> Flow {
        self.refused = true;
        Flow::Break(())
    }
}

impl zmtp::Sink for Incoming<'_> {
    fn ready(&mut self, peer: &Peer) -> Flow {
        self.fresh = true;
        let identity = peer.identity().map(|id| id.as_bytes().into());
        let Some(me) = self.connection.me.upgrade() else { return self.refuse() };
        let known = self.connection.key.get();
        let core = &mut self.state.core;
        let key = known.unwrap_or_else(|| core.add(Link::None));
        self.connection.key.set(Some(key));
        let pipe = &mut core.pipes[key];
        pipe.link = Link::Wire(me);
        pipe.up = true;
        if pipe.identity.is_none() {
            pipe.identity = identity;
        }
        if let Origin::Accepted(binding) = self.connection.origin {
            pipe.binding = Some(binding);
        }
        let welcome =
            (known.is_some() || self.state.pattern.attached(core, key)) && self.state.pattern.ready(core, key);
        if welcome { Flow::Continue(()) } else { self.refuse() }
    }

    #[inline]
    fn frame(&mut self, body: &[u8], more: bool) -> Flow {
        let Some(key) = self.connection.key.get() else { return Flow::Continue(()) };
        let core = &mut self.state.core;
        let pipe = &mut core.pipes[key];
        if pipe.ending {
            return Flow::Continue(()); // Nobody will read it.
        }
        pipe.inbox.push(body, more);
        if more {
            return Flow::Continue(());
        }
        if core.options.conflate {
            while core.pipes[key].inbox.messages() > 1 {
                core.pipes[key].inbox.skip_message();
            }
        }
        if core.is_full(key) { Flow::Break(()) } else { Flow::Continue(()) }
    }

    fn subscribe(&mut self, topic: &[u8]) -> Flow {
        self.subscription(topic, true)
    }

    fn cancel(&mut self, topic: &[u8]) -> Flow {
        self.subscription(topic, false)
    }
}

impl Incoming<'_> {
    fn subscription(&mut self, topic: &[u8], on: bool) -> Flow {
        let Some(key) = self.connection.key.get() else { return Flow::Continue(()) };
        if self.state.pattern.subscribed(&mut self.state.core, key, topic, on) {
            return Flow::Continue(());
        }
        self.refuse()
    }
}
