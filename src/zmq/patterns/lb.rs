//! Sending to each peer in turn, passing over those that take no more.

use super::{Core, PLENTY, PipeKey};
use crate::zmq::Error;
use crate::zmq::wire::message_size;

/// The peers to send to, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct LoadBalancer {
    pipes: Vec<PipeKey>,
    turn: usize,
}

impl LoadBalancer {
    pub(super) fn add(&mut self, key: PipeKey) {
        self.pipes.push(key);
    }

    pub(super) fn remove(&mut self, key: PipeKey) {
        if let Some(place) = self.pipes.iter().position(|one| *one == key) {
            self.pipes.remove(place);
            if place < self.turn {
                self.turn -= 1;
            }
        }
    }

    /// Counts no further than is of use.
    pub(super) fn room(&self, core: &Core) -> usize {
        let mut sum = 0;
        for &key in &self.pipes {
            sum += core.room(key);
            if sum >= PLENTY {
                return PLENTY;
            }
        }
        sum
    }

    /// The next peer that takes a message. Its turn is over with that.
    pub(super) fn next(&mut self, core: &Core) -> Option<PipeKey> {
        for _ in 0..self.pipes.len() {
            if self.turn >= self.pipes.len() {
                self.turn = 0;
            }
            let key = self.pipes[self.turn];
            self.turn += 1;
            if core.room(key) > 0 {
                return Some(key);
            }
        }
        None
    }

    pub(super) fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        if let &[only] = &*self.pipes {
            return match core.room(only) {
                0 => Err(Error::Again),
                room => Ok(core.push_run(only, wire, room)),
            };
        }
        let mut sent = 0;
        while let Some(size) = message_size(&wire[sent..]) {
            let Some(key) = self.next(core) else { break };
            core.push(key, &[&wire[sent..sent + size]]);
            sent += size;
        }
        if sent == 0 { Err(Error::Again) } else { Ok(sent) }
    }
}
