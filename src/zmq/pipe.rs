//! Pipes: one per peer, with a queue in each direction, and what the patterns do with them.

use std::collections::VecDeque;
use std::rc::Rc;

use super::connection::Connection;
use super::frames::Frames;
use super::inproc;
use super::options::Options;
use super::out_queue::OutQueue;

/// Where a pipe stands in [`Core::pipes`].
pub(super) type PipeKey = usize;

/// One peer of a socket: a connection that stands, one that is being made again and again, or a socket of the same
/// context.
pub(super) struct Pipe {
    /// Never used twice, unlike the key.
    pub(super) serial: u64,
    pub(super) link: Link,
    pub(super) out: OutQueue,
    pub(super) inbox: Frames,
    /// Messages handed over that the user has not looked at.
    pub(super) outstanding: usize,
    pub(super) send_hwm: usize,
    pub(super) receive_hwm: usize,
    /// What a ROUTER calls the peer.
    pub(super) identity: Option<Box<[u8]>>,
    /// The handshake is over.
    pub(super) up: bool,
    /// Nothing is sent any more: the pipe ends with what it holds.
    pub(super) ending: bool,
    /// Everything queued is still to be sent, then the pipe goes.
    pub(super) retiring: bool,
    /// Which of our listeners accepted it.
    pub(super) binding: Option<u64>,
    /// In [`Core::active`].
    active: bool,
    /// In [`Core::dirty`].
    dirty: bool,
    /// The last message that a publisher has put here.
    pub(super) mark: u64,
}

/// What carries the messages.
pub(super) enum Link {
    /// Nothing, for now.
    None,
    Wire(Rc<Connection>),
    Inproc(inproc::End),
}

impl Pipe {
    /// Has everything left this process, or the other socket taken it?
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty()
            && match &self.link {
                Link::Inproc(end) => end.is_flushed(),
                _ => true,
            }
    }
}

/// The pipes of a socket, as its pattern sees them.
pub(super) struct Core {
    pub(super) options: Options,
    pub(super) pipes: slab::Slab<Pipe>,
    /// Pipes with whole messages to hand over, in the order of their turns.
    active: VecDeque<PipeKey>,
    /// Pipes with something to write.
    pub(super) dirty: Vec<PipeKey>,
    next_serial: u64,
}

/// Room that is as good as endless.
pub(super) const PLENTY: usize = 1 << 20;

impl Core {
    pub(super) fn new(options: Options) -> Self {
        Self { options, pipes: slab::Slab::new(), active: VecDeque::new(), dirty: Vec::new(), next_serial: 1 }
    }

    /// A new pipe with the high-water marks as they are now.
    pub(super) fn add(&mut self, link: Link) -> PipeKey {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.pipes.insert(Pipe {
            serial,
            link,
            out: OutQueue::default(),
            inbox: Frames::default(),
            outstanding: 0,
            send_hwm: self.options.send_hwm,
            receive_hwm: self.options.receive_hwm,
            identity: None,
            up: false,
            ending: false,
            retiring: false,
            binding: None,
            active: false,
            dirty: false,
            mark: 0,
        })
    }

    pub(super) fn remove(&mut self, key: PipeKey) -> Pipe {
        self.active.retain(|one| *one != key);
        self.dirty.retain(|one| *one != key);
        self.pipes.remove(key)
    }

    /// How many messages the pipe takes now.
    pub(super) fn room(&self, key: PipeKey) -> usize {
        let pipe = &self.pipes[key];
        if pipe.ending || (self.options.immediate && !pipe.up) {
            return 0;
        }
        if self.options.conflate {
            return PLENTY;
        }
        match &pipe.link {
            Link::Inproc(end) => end.room(pipe.out.messages()),
            _ if pipe.send_hwm == 0 => PLENTY,
            _ => pipe.send_hwm.saturating_sub(pipe.out.messages()),
        }
    }

    /// Queues one message, given in encoded pieces; the caller has looked for room.
    pub(super) fn push(&mut self, key: PipeKey, pieces: &[&[u8]]) {
        let pipe = &mut self.pipes[key];
        if self.options.conflate {
            pipe.out.keep_begun();
        }
        pipe.out.push(pieces);
        self.touch(key);
    }

    /// Queues up to `count` messages of an encoded run; tells how many bytes it took.
    pub(super) fn push_run(&mut self, key: PipeKey, wire: &[u8], count: usize) -> usize {
        if self.options.conflate {
            let Some(last) = super::wire::messages(wire).last() else { return 0 };
            self.push(key, &[last]);
            return wire.len();
        }
        let (_, bytes) = self.pipes[key].out.push_run(wire, count);
        self.touch(key);
        bytes
    }

    /// There is something to write.
    fn touch(&mut self, key: PipeKey) {
        let pipe = &mut self.pipes[key];
        if !std::mem::replace(&mut pipe.dirty, true) {
            self.dirty.push(key);
        }
    }

    /// Ends the pipe's being dirty.
    pub(super) fn clean(&mut self) -> Vec<PipeKey> {
        let keys = std::mem::take(&mut self.dirty);
        for &key in &keys {
            self.pipes[key].dirty = false;
        }
        keys
    }

    /// Does the pipe hold as many received messages as it may?
    pub(super) fn is_full(&self, key: PipeKey) -> bool {
        let pipe = &self.pipes[key];
        pipe.receive_hwm != 0 && !self.options.conflate && pipe.inbox.messages() + pipe.outstanding >= pipe.receive_hwm
    }

    /// The pipe may have got whole messages.
    pub(super) fn activate(&mut self, key: PipeKey) {
        let pipe = &mut self.pipes[key];
        if pipe.inbox.messages() > 0 && !std::mem::replace(&mut pipe.active, true) {
            self.active.push_back(key);
        }
    }

    /// The pipe whose turn it is, with a message to take. Call [`Core::took`] afterwards.
    pub(super) fn next_active(&self) -> Option<PipeKey> {
        self.active.front().copied()
    }

    /// Is it the only one with messages?
    pub(super) fn is_only_active(&self) -> bool {
        self.active.len() == 1
    }

    /// The pipe at the front has had its turn.
    pub(super) fn took(&mut self) {
        let Some(key) = self.active.pop_front() else { return };
        let pipe = &mut self.pipes[key];
        pipe.active = pipe.inbox.messages() > 0;
        if pipe.active {
            self.active.push_back(key);
        }
    }
}
