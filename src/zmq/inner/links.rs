//! Peers within the context: who comes, what they send, when they go.

use std::rc::Weak;

use super::{Inner, State};
use crate::zmq::inproc::End;
use crate::zmq::patterns::{as_subscription, push_subscription};
use crate::zmq::pipe::{Link, PipeKey};
use crate::zmq::wire::{frames, messages};
use crate::zmtp::SocketType;

impl Inner {
    /// What other sockets of the context have done to us.
    pub(super) fn answer_bell(&self) {
        let mut state = self.state.borrow_mut();
        let mut links = Vec::new();
        for (_, inbox) in &state.inproc_bound {
            links.extend(inbox.take());
        }
        for end in links {
            self.meet(&mut state, end);
        }
        let keys: Vec<PipeKey> = state
            .core
            .pipes
            .iter()
            .filter(|(_, pipe)| matches!(pipe.link, Link::Inproc(_)))
            .map(|(key, _)| key)
            .collect();
        let mut fresh = Vec::new();
        for key in keys {
            if self.pull(&mut state, key) {
                fresh.push(key);
            }
        }
        let topics = if fresh.is_empty() { Vec::new() } else { state.pattern.subscriptions() };
        for key in fresh {
            for topic in &topics {
                push_subscription(&mut state.core, key, topic, true);
            }
        }
        let found: Vec<_> = state.lookups.iter().map(|(lookup, who)| (lookup.take(), Weak::clone(who))).collect();
        let mut answers = found.iter();
        state.lookups.retain(|_| answers.next().is_some_and(|(answer, _)| answer.is_none()));
        drop(state);
        for (answer, who) in found {
            if let (Some(answer), Some(connecter)) = (answer, who.upgrade()) {
                connecter.found(answer);
            }
        }
        self.schedule();
    }

    /// A link of somebody who connected to our name.
    fn meet(&self, state: &mut State, end: End) {
        let key = state.core.add(Link::Inproc(end));
        if !state.pattern.attached(&mut state.core, key) {
            state.end(key);
        }
    }

    /// Takes in what came over a link; tells whether its other side has just become known.
    fn pull(&self, state: &mut State, key: PipeKey) -> bool {
        let State { core, pattern, .. } = state;
        let pipe = &mut core.pipes[key];
        let Link::Inproc(end) = &pipe.link else { return false };
        let (chunks, peer) = (end.receive(), end.peer());
        let mut fresh = false;
        let mut welcome = !pipe.ending;
        if let (false, true, Some(peer)) = (pipe.up, welcome, peer) {
            pipe.up = true;
            fresh = true;
            if pipe.identity.is_none() {
                pipe.identity = peer.identity;
            }
            welcome = pattern.ready(core, key);
        }
        let Some(chunks) = chunks else {
            if !core.pipes[key].ending {
                core.pipes[key].up = false;
                pattern.lost(core, key);
                core.activate(key);
                core.pipes[key].retiring = false;
                state.end(key);
            }
            return false;
        };
        let publishes = matches!(self.kind, SocketType::Pub | SocketType::XPub);
        for message in chunks.iter().flat_map(|chunk| messages(chunk)) {
            match as_subscription(message).filter(|_| publishes) {
                Some((topic, on)) => {
                    welcome &= pattern.subscribed(core, key, topic, on);
                    if let Link::Inproc(end) = &core.pipes[key].link {
                        end.consumed(1);
                    }
                }
                None if core.pipes[key].ending => {}
                None => {
                    for (body, more) in frames(message) {
                        core.pipes[key].inbox.push(body, more);
                    }
                }
            }
        }
        if core.options.conflate {
            while core.pipes[key].inbox.messages() > 1 {
                core.pipes[key].inbox.skip_message();
            }
        }
        core.activate(key);
        if !welcome && !core.pipes[key].ending {
            core.pipes[key].up = false;
            pattern.lost(core, key);
            state.end(key);
        }
        fresh && welcome
    }
}
