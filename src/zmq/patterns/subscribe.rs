//! SUB and XSUB: what matches our subscriptions, from each peer in turn.

use super::{Core, Error, Frames, PLENTY, Pattern, PipeKey, take_fairly};
use crate::zmq::trie::{Change, Trie};
use crate::zmq::wire::{frames, messages};

/// XSUB subscribes by sending, and may send other messages to its publishers.
#[derive(Debug)]
pub(super) struct Subscribe {
    is_x: bool,
    topics: Trie,
    peers: Vec<PipeKey>,
}

/// Our own subscriptions have no pipe.
const US: usize = 0;

impl Subscribe {
    pub(super) fn new(is_x: bool) -> Self {
        Self { is_x, topics: Trie::default(), peers: Vec::new() }
    }

    fn wants(&self, core: &Core, topic: &[u8]) -> bool {
        let mut found = false;
        self.topics.matches(topic, |_| found = true);
        found != core.options.invert_matching
    }
}

impl Pattern for Subscribe {
    fn attached(&mut self, _core: &mut Core, key: PipeKey) -> bool {
        self.peers.push(key);
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        self.peers.retain(|one| *one != key);
    }

    fn room(&self, _core: &Core) -> usize {
        if self.is_x { PLENTY } else { 0 }
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        if !self.is_x {
            return super::cannot_send();
        }
        for message in messages(wire) {
            let is_subscription = match as_subscription(message) {
                // Counted here only for filtering and for new peers: XPUB wants to hear of each (libzmq, xsub.cpp).
                Some((topic, true)) if self.topics.add(topic, US) == Change::Full => return Err(Error::Invalid),
                Some((topic, false)) if self.topics.remove(topic, US) == Change::Missing => continue,
                subscription => subscription.is_some(),
            };
            for &key in &self.peers {
                // A peer that is still unknown gets all our subscriptions when it becomes known.
                if core.room(key) > 0 && (core.pipes[key].up || !is_subscription) {
                    core.push(key, &[message]);
                }
            }
        }
        Ok(wire.len())
    }

    /// A publisher may send what nobody here wants any more, or never wanted.
    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        let everything = !core.options.invert_matching && self.topics.has_everything();
        if everything {
            return take_fairly(core, to);
        }
        let key = core.next_active()?;
        let limit = if core.is_only_active() { usize::MAX } else { 1 };
        let mut inbox = std::mem::take(&mut core.pipes[key].inbox);
        let mut moved = 0;
        while moved < limit && inbox.messages() > 0 {
            let wanted = inbox.peek().is_some_and(|topic| self.wants(core, topic));
            if wanted {
                moved += inbox.move_to(to, 1);
            } else {
                inbox.skip_message();
            }
        }
        core.pipes[key].inbox = inbox;
        core.took();
        Some((key, moved))
    }

    fn subscribe(&mut self, topic: &[u8], on: bool) -> Result<bool, Error> {
        let change = if on { self.topics.add(topic, US) } else { self.topics.remove(topic, US) };
        match change {
            Change::Full => Err(Error::Invalid),
            change => Ok(change == Change::Edge),
        }
    }

    fn subscriptions(&self) -> Vec<Vec<u8>> {
        self.topics.counted().into_iter().map(|(topic, _)| topic).collect()
    }
}

/// What XSUB sends to subscribe: the topic, and whether it subscribes or cancels.
pub(in crate::zmq) fn as_subscription(message: &[u8]) -> Option<(&[u8], bool)> {
    match frames(message).next()? {
        ([1, topic @ ..], false) => Some((topic, true)),
        ([0, topic @ ..], false) => Some((topic, false)),
        _ => None,
    }
}
