//! The socket's turn: hand over, write, let go.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::{Inner, State};
use crate::zmq::connecter::Connecter;
use crate::zmq::frames::Frames;
use crate::zmq::pipe::{Link, PipeKey};

/// How long to wait before messages are offered again that were not taken.
const PATIENCE: Duration = Duration::from_millis(20);

impl Inner {
    /// The socket's turn.
    pub(super) fn run(&self) {
        self.scheduled.set(false);
        self.resume_stalled();
        let mut state = self.state.borrow_mut();
        let mut batch = std::mem::take(&mut state.refused);
        if batch.is_empty() {
            self.collect(&mut state, &mut batch);
        }
        self.retry_backlog(&mut state);
        drop(state);
        self.flush();
        self.let_go();
        let mut state = self.state.borrow_mut();
        let was_starving = state.starving;
        let room = state.room();
        let events = std::mem::take(&mut state.events);
        drop(state);
        let handler = self.handler.borrow().clone();
        let Some(handler) = handler else { return };
        // First, so that what waits to be sent leaves before the user answers, or closes, because of what has come.
        if was_starving && room > 0 {
            handler.writable(room);
        }
        if batch.messages() > 0 {
            handler.received(&mut batch);
        }
        if batch.messages() > 0 {
            self.offer_again(batch);
        }
        for event in &events {
            handler.event(event);
        }
    }

    fn collect(&self, state: &mut State, batch: &mut Frames) {
        let State { core, pattern, runs, .. } = state;
        while let Some((key, count)) = pattern.take(core, batch) {
            if count == 0 {
                continue;
            }
            let pipe = &mut core.pipes[key];
            pipe.outstanding += count;
            match runs.back_mut() {
                Some((last, serial, sum)) if *last == key && *serial == pipe.serial => *sum += count,
                _ => runs.push_back((key, pipe.serial, count)),
            }
        }
    }

    /// The messages stay first in line, and nothing is collected behind them: so the high-water marks hold.
    fn offer_again(&self, refused: Frames) {
        self.state.borrow_mut().refused = refused;
        let me = Weak::clone(&self.me);
        self.reactor.set_timer(Instant::now() + PATIENCE, move || {
            if let Some(me) = me.upgrade() {
                me.schedule();
            }
        });
    }

    fn resume_stalled(&self) {
        let mut state = self.state.borrow_mut();
        let stalled = std::mem::take(&mut state.stalled);
        let mut resumed = Vec::new();
        for key in stalled {
            match state.core.pipes.get(key).map(|pipe| &pipe.link) {
                Some(Link::Wire(_)) if state.core.is_full(key) => state.stalled.push(key),
                Some(Link::Wire(connection)) => resumed.push(Rc::clone(connection)),
                _ => {}
            }
        }
        drop(state);
        for connection in resumed {
            connection.unstall();
        }
    }

    fn retry_backlog(&self, state: &mut State) {
        if state.backlog.is_empty() {
            return;
        }
        let backlog = std::mem::take(&mut state.backlog);
        let sent = state.pattern.send(&mut state.core, &backlog).unwrap_or(0);
        state.backlog = backlog[sent..].to_vec();
    }

    /// Removes pipes that have ended and are empty.
    fn let_go(&self) {
        let mut state = self.state.borrow_mut();
        let leaving = std::mem::take(&mut state.leaving);
        let mut gone = Vec::new();
        for (key, serial) in leaving {
            if !state.has(key, serial) {
                continue;
            }
            let State { core, pattern, .. } = &mut *state;
            let pipe = &mut core.pipes[key];
            if pipe.retiring && pipe.is_flushed() {
                pipe.retiring = false;
            }
            if pipe.retiring || pipe.inbox.messages() > 0 {
                state.leaving.push((key, serial));
                continue;
            }
            if pipe.up {
                pipe.up = false;
                pattern.lost(core, key);
                core.activate(key);
                if core.pipes[key].inbox.messages() > 0 {
                    state.leaving.push((key, serial));
                    self.schedule();
                    continue;
                }
            }
            pattern.detached(core, key);
            gone.push(core.remove(key));
            state.inproc_connected.retain(|(_, one)| *one != key);
            let (stopped, kept) = std::mem::take(&mut state.connecters).into_iter().partition(|one| one.key == key);
            state.connecters = kept;
            drop(state);
            let stopped: Vec<Rc<Connecter>> = stopped;
            for connecter in stopped {
                connecter.stop();
            }
            state = self.state.borrow_mut();
        }
        let is_done = state.closed && state.core.pipes.is_empty();
        drop(state);
        for pipe in gone {
            if let Link::Wire(connection) = &pipe.link {
                connection.close();
            }
        }
        if is_done {
            self.finish();
        }
    }

    /// Nothing is left of the socket.
    fn finish(&self) {
        if let Some(token) = self.token.take() {
            self.reactor.dismiss(token);
            self.context.leave();
        }
        self.lingering.set(false);
    }

    /// The user has taken so many messages of those handed over.
    pub(in crate::zmq) fn consumed(&self, mut count: usize) {
        let mut state = self.state.borrow_mut();
        while count > 0
            && let Some((key, serial, left)) = state.runs.front_mut()
        {
            let taken = count.min(*left);
            *left -= taken;
            count -= taken;
            let (key, serial, empty) = (*key, *serial, *left == 0);
            if empty {
                state.runs.pop_front();
            }
            if state.has(key, serial) {
                let pipe = &mut state.core.pipes[key];
                pipe.outstanding -= taken;
                if let Link::Inproc(end) = &pipe.link {
                    end.consumed(taken);
                }
            }
        }
        let wake = !state.stalled.is_empty();
        drop(state);
        if wake {
            self.schedule();
        }
    }

    /// Ends a pipe after what it has to send, if `linger` gives it the time.
    pub(in crate::zmq) fn retire(&self, key: PipeKey, linger: Option<Duration>) {
        let mut state = self.state.borrow_mut();
        let Some(pipe) = state.core.pipes.get_mut(key) else { return };
        pipe.retiring = linger != Some(Duration::ZERO) && !pipe.is_flushed();
        let (serial, waits) = (pipe.serial, pipe.retiring);
        state.end(key);
        drop(state);
        self.schedule();
        if let (true, Some(linger)) = (waits, linger) {
            let me = Weak::clone(&self.me);
            self.reactor.set_timer(Instant::now() + linger, move || {
                if let Some(me) = me.upgrade() {
                    me.cut(key, serial);
                }
            });
        }
    }

    /// The time to send the rest is over.
    fn cut(&self, key: PipeKey, serial: u64) {
        let mut state = self.state.borrow_mut();
        if state.has(key, serial) {
            state.core.pipes[key].retiring = false;
            drop(state);
            self.schedule();
        }
    }
}
