//! PAIR: one peer, both ways.

use super::{Core, Error, Pattern, PipeKey};

/// The first peer has the socket until it goes; others are turned away.
#[derive(Debug, Default)]
pub(super) struct Pair {
    peer: Option<PipeKey>,
}

impl Pattern for Pair {
    fn attached(&mut self, _core: &mut Core, key: PipeKey) -> bool {
        if self.peer.is_some() {
            return false;
        }
        self.peer = Some(key);
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        if self.peer == Some(key) {
            self.peer = None;
        }
    }

    fn room(&self, core: &Core) -> usize {
        self.peer.map_or(0, |key| core.room(key))
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        match (self.peer, self.room(core)) {
            (Some(key), room @ 1..) => Ok(core.push_run(key, wire, room)),
            _ => Err(Error::Again),
        }
    }
}
