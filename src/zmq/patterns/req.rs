//! REQ: one request to one peer in turn, then its reply.

use super::lb::LoadBalancer;
use super::{Core, Error, Frames, Pattern, PipeKey, probe};
use crate::zmq::wire::message_size;
use crate::zmtp::{MORE, encode_frame};

/// Between requests, or waiting for a reply.
#[derive(Debug)]
pub(super) struct Req {
    peers: LoadBalancer,
    waiting: bool,
    /// Who has the request; `None` if that peer is gone: then any reply will do.
    asked: Option<PipeKey>,
    request_id: u32,
}

impl Default for Req {
    fn default() -> Self {
        Self { peers: LoadBalancer::default(), waiting: false, asked: None, request_id: crate::zmq::random() }
    }
}

impl Req {
    /// Does the first message answer the request? Takes its envelope off.
    fn open(&self, core: &Core, inbox: &mut Frames) -> bool {
        if core.options.correlate {
            match inbox.pop() {
                Some((id, true)) if *id == self.request_id.to_ne_bytes() => {}
                Some((_, true)) => {
                    inbox.skip_message();
                    return false;
                }
                _ => return false,
            }
        }
        match inbox.pop() {
            Some((delimiter, true)) if delimiter.is_empty() => true,
            Some((_, true)) => {
                inbox.skip_message();
                false
            }
            _ => false,
        }
    }
}

impl Pattern for Req {
    fn attached(&mut self, core: &mut Core, key: PipeKey) -> bool {
        self.peers.add(key);
        probe(core, key);
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        self.peers.remove(key);
        if self.asked == Some(key) {
            self.asked = None;
        }
    }

    fn room(&self, core: &Core) -> usize {
        if self.waiting && !core.options.relaxed { 0 } else { self.peers.room(core).min(1) }
    }

    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        if self.waiting && !core.options.relaxed {
            return Err(Error::State);
        }
        let size = message_size(wire).ok_or(Error::Invalid)?;
        let key = self.peers.next(core).ok_or(Error::Again)?;
        let mut envelope = Vec::new();
        if core.options.correlate {
            self.request_id = self.request_id.wrapping_add(1);
            encode_frame(MORE, &self.request_id.to_ne_bytes(), &mut envelope);
        }
        encode_frame(MORE, &[], &mut envelope);
        core.push(key, &[&envelope, &wire[..size]]);
        self.waiting = true;
        self.asked = Some(key);
        Ok(size)
    }

    /// Late and foreign replies are thrown away.
    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        let key = core.next_active()?;
        let mut inbox = std::mem::take(&mut core.pipes[key].inbox);
        let mut moved = 0;
        if !self.waiting || self.asked.is_some_and(|asked| asked != key) {
            inbox.skip_message();
        } else if self.open(core, &mut inbox) {
            moved = inbox.move_to(to, 1);
            self.waiting = false;
        }
        core.pipes[key].inbox = inbox;
        core.took();
        Some((key, moved))
    }
}
