//! ROUTER: to the peer that the first frame names, from each peer in turn with its name in front.

use std::collections::HashMap;

use super::{Core, Error, Frames, PLENTY, Pattern, PipeKey, probe};
use crate::zmq::wire::{frames, message_size};
use crate::zmtp::decode_header;

/// Peers by routing id.
#[derive(Debug)]
pub(super) struct Router {
    peers: HashMap<Box<[u8]>, PipeKey>,
    next_id: u32,
}

impl Default for Router {
    fn default() -> Self {
        Self { peers: HashMap::new(), next_id: crate::zmq::random() }
    }
}

impl Router {
    /// Gives the pipe a name: the one its peer announced, or five bytes that begin with zero.
    fn name(&mut self, core: &mut Core, key: PipeKey) -> bool {
        let id = match core.pipes[key].identity.clone() {
            Some(id) => id,
            None => loop {
                self.next_id = self.next_id.wrapping_add(1);
                let id: Box<[u8]> = [&[0], &self.next_id.to_be_bytes()[..]].concat().into();
                if !self.peers.contains_key(&id) {
                    break id;
                }
            },
        };
        if let Some(&old) = self.peers.get(&id) {
            if !core.options.handover {
                return false;
            }
            // The old one gives its name up and ends.
            core.pipes[old].identity = None;
            core.pipes[old].ending = true;
        }
        core.pipes[key].identity = Some(id.clone());
        self.peers.insert(id, key);
        true
    }

    fn is_named(&self, core: &Core, key: PipeKey) -> bool {
        core.pipes[key].identity.as_ref().is_some_and(|id| self.peers.get(id) == Some(&key))
    }
}

impl Pattern for Router {
    /// A pipe that we connect has its name at once, if the user gave it one.
    fn attached(&mut self, core: &mut Core, key: PipeKey) -> bool {
        let welcome = core.pipes[key].identity.is_none() || self.name(core, key);
        probe(core, key);
        welcome
    }

    fn ready(&mut self, core: &mut Core, key: PipeKey) -> bool {
        self.is_named(core, key) || self.name(core, key)
    }

    fn detached(&mut self, core: &mut Core, key: PipeKey) {
        if self.is_named(core, key)
            && let Some(id) = &core.pipes[key].identity
        {
            self.peers.remove(id);
        }
    }

    fn room(&self, _core: &Core) -> usize {
        PLENTY
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        let mut sent = 0;
        while let Some(size) = message_size(&wire[sent..]) {
            let message = &wire[sent..sent + size];
            let (id, more) = frames(message).next().ok_or(Error::Invalid)?;
            let rest = match decode_header(message) {
                Ok(Some(header)) => &message[header.len + id.len()..],
                _ => return Err(Error::Invalid),
            };
            let key = self.peers.get(id).copied();
            let room = key.map_or(0, |key| core.room(key));
            match key {
                Some(key) if room > 0 && more => core.push(key, &[rest]),
                // Nothing but a name: there is nothing to send.
                Some(_) if room > 0 => {}
                Some(_) if core.options.mandatory && sent == 0 => return Err(Error::Again),
                None if core.options.mandatory && sent == 0 => return Err(Error::Unreachable),
                _ if core.options.mandatory => return Ok(sent),
                _ => {}
            }
            sent += size;
        }
        Ok(sent)
    }

    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        let key = core.next_active()?;
        let pipe = &mut core.pipes[key];
        let moved = match &pipe.identity {
            Some(id) if self.peers.get(id) == Some(&key) => {
                to.push(id, true);
                pipe.inbox.move_to(to, 1)
            }
            _ => {
                pipe.inbox.skip_message();
                0
            }
        };
        core.took();
        Some((key, moved))
    }
}
