//! PUSH, PULL and DEALER: to each peer in turn, from each peer in turn.

use super::lb::LoadBalancer;
use super::{Core, Error, Frames, Pattern, PipeKey, cannot_send, probe};

/// To each peer in turn. What a peer sends is thrown away.
#[derive(Debug, Default)]
pub(super) struct Push {
    peers: LoadBalancer,
}

impl Pattern for Push {
    fn attached(&mut self, _core: &mut Core, key: PipeKey) -> bool {
        self.peers.add(key);
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        self.peers.remove(key);
    }

    fn room(&self, core: &Core) -> usize {
        self.peers.room(core)
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        self.peers.send(core, wire)
    }

    fn take(&mut self, core: &mut Core, _to: &mut Frames) -> Option<(PipeKey, usize)> {
        let key = core.next_active()?;
        core.pipes[key].inbox.clear();
        core.took();
        Some((key, 0))
    }
}

/// From each peer in turn.
#[derive(Debug)]
pub(super) struct Pull;

impl Pattern for Pull {
    fn attached(&mut self, _core: &mut Core, _key: PipeKey) -> bool {
        true
    }

    fn detached(&mut self, _core: &mut Core, _key: PipeKey) {}

    fn room(&self, _core: &Core) -> usize {
        0
    }

    fn send(&mut self, _core: &mut Core, _wire: &[u8]) -> Result<usize, Error> {
        cannot_send()
    }
}

/// Both.
#[derive(Debug, Default)]
pub(super) struct Dealer {
    peers: LoadBalancer,
}

impl Pattern for Dealer {
    fn attached(&mut self, core: &mut Core, key: PipeKey) -> bool {
        self.peers.add(key);
        probe(core, key);
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        self.peers.remove(key);
    }

    fn room(&self, core: &Core) -> usize {
        self.peers.room(core)
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        self.peers.send(core, wire)
    }
}
