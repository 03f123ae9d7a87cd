//! PUB and XPUB: to every peer that subscribes, dropping for those that take no more.

use super::{Core, Error, Frames, PLENTY, Pattern, PipeKey, take_fairly};
use crate::zmq::trie::{Change, Trie};
use crate::zmq::wire::{frames, messages};

/// XPUB hands over subscriptions, and what its peers send.
#[derive(Debug)]
pub(super) struct Publish {
    is_x: bool,
    topics: Trie,
    peers: Vec<PipeKey>,
    matching: Vec<PipeKey>,
    message: u64,
}

impl Publish {
    pub(super) fn new(is_x: bool) -> Self {
        Self { is_x, topics: Trie::default(), peers: Vec::new(), matching: Vec::new(), message: 0 }
    }

    /// Fills `matching` with the peers to send to, each once.
    fn find_matching(&mut self, core: &mut Core, message: &[u8]) {
        let Some((topic, _)) = frames(message).next() else { return };
        self.message += 1;
        self.matching.clear();
        let (mark, matching) = (self.message, &mut self.matching);
        self.topics.matches(topic, |key| {
            if core.pipes[key].mark != mark {
                core.pipes[key].mark = mark;
                matching.push(key);
            }
        });
        if core.options.invert_matching {
            self.matching.clear();
            self.matching.extend(self.peers.iter().filter(|key| core.pipes[**key].mark != mark));
        }
    }

    /// XPUB: the user hears of a subscription, as a message of the peer.
    fn tell(&self, core: &mut Core, key: PipeKey, topic: &[u8], on: bool) {
        if self.is_x {
            core.pipes[key].inbox.push_whole(&[&[u8::from(on)], topic].concat());
            core.activate(key);
        }
    }
}

impl Pattern for Publish {
    fn attached(&mut self, _core: &mut Core, key: PipeKey) -> bool {
        self.peers.push(key);
        true
    }

    fn ready(&mut self, core: &mut Core, key: PipeKey) -> bool {
        if let (true, Some(welcome)) = (self.is_x, core.options.welcome.clone()) {
            let mut wire = Vec::new();
            crate::zmtp::encode_message(&[&welcome], &mut wire);
            core.push(key, &[&wire]);
        }
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        self.peers.retain(|one| *one != key);
    }

    /// What it subscribed to goes with it; its successor subscribes anew.
    fn lost(&mut self, core: &mut Core, key: PipeKey) {
        for topic in self.topics.remove_all(key) {
            self.tell(core, key, &topic, false);
        }
    }

    fn room(&self, core: &Core) -> usize {
        if core.options.no_drop { self.peers.iter().map(|key| core.room(*key)).min().unwrap_or(PLENTY) } else { PLENTY }
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        let mut sent = 0;
        for message in messages(wire) {
            self.find_matching(core, message);
            if core.options.no_drop && self.matching.iter().any(|key| core.room(*key) == 0) {
                return if sent == 0 { Err(Error::Again) } else { Ok(sent) };
            }
            for &key in &self.matching {
                if core.room(key) > 0 {
                    core.push(key, &[message]);
                }
            }
            sent += message.len();
        }
        Ok(sent)
    }

    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        if self.is_x {
            return take_fairly(core, to);
        }
        let key = core.next_active()?;
        core.pipes[key].inbox.clear();
        core.took();
        Some((key, 0))
    }

    fn subscribed(&mut self, core: &mut Core, key: PipeKey, topic: &[u8], on: bool) -> bool {
        let change = if on { self.topics.add(topic, key) } else { self.topics.remove(topic, key) };
        let all = if on { core.options.verbose } else { core.options.verboser };
        match change {
            Change::Full => return false,
            Change::Edge => self.tell(core, key, topic, on),
            Change::Counted if all => self.tell(core, key, topic, on),
            Change::Counted | Change::Missing => {}
        }
        true
    }
}
