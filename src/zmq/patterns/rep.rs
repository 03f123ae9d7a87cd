//! REP: a request from each peer in turn, then the reply to it.

use super::{Core, Error, Frames, Pattern, PipeKey};
use crate::zmq::wire::message_size;
use crate::zmtp::{MORE, encode_frame};

/// Between replies, or owing one.
#[derive(Debug, Default)]
pub(super) struct Rep {
    owing: Option<Debt>,
}

#[derive(Debug)]
struct Debt {
    /// `None`: the peer is gone, the reply goes nowhere.
    to: Option<PipeKey>,
    /// Encoded: what stood before the request, and the empty frame.
    envelope: Vec<u8>,
}

impl Pattern for Rep {
    fn attached(&mut self, _core: &mut Core, _key: PipeKey) -> bool {
        true
    }

    fn detached(&mut self, _core: &mut Core, key: PipeKey) {
        if let Some(debt) = &mut self.owing
            && debt.to == Some(key)
        {
            debt.to = None;
        }
    }

    fn room(&self, _core: &Core) -> usize {
        usize::from(self.owing.is_some())
    }

    /// A peer that takes no more does not get its reply, as in libzmq: waiting for it would stop all the others.
    fn send(&mut self, core: &mut Core, wire: &[u8]) -> Result<usize, Error> {
        let size = message_size(wire).ok_or(Error::Invalid)?;
        let debt = self.owing.take().ok_or(Error::State)?;
        if let Some(key) = debt.to
            && core.room(key) > 0
        {
            core.push(key, &[&debt.envelope, &wire[..size]]);
        }
        Ok(size)
    }

    fn take(&mut self, core: &mut Core, to: &mut Frames) -> Option<(PipeKey, usize)> {
        if self.owing.is_some() {
            return None;
        }
        let key = core.next_active()?;
        let inbox = &mut core.pipes[key].inbox;
        let mut envelope = Vec::new();
        let mut moved = 0;
        while let Some((frame, more)) = inbox.pop() {
            encode_frame(MORE, &frame, &mut envelope);
            if !more {
                break; // No empty frame: nothing that we could answer.
            }
            if frame.is_empty() {
                moved = inbox.move_to(to, 1);
                self.owing = Some(Debt { to: Some(key), envelope });
                break;
            }
        }
        core.took();
        Some((key, moved))
    }
}
