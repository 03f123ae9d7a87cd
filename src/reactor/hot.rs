//! One busy descriptor in the driver's own loop: request and answer without the detour over the poll.
//!
//! The poll is one descriptor in the loop, so a wake-up says that *something* is ready, and the poll must be asked what:
//! one system call more than a descriptor of the loop itself needs. A source that alone was ready in several turns gets
//! such a watch, until a report comes that it has no use for.

use std::cell::Cell;

use mio::unix::SourceFd;

use super::{Interest, REMOTE, Reactor, Readiness, Token, Watch};

/// Turns with one and the same readable source before it is watched directly.
const TURNS: u32 = 8;

/// Who is alone, and who is watched directly.
#[derive(Debug, Default)]
pub(super) struct Hot {
    alone: Cell<Option<Token>>,
    turns: Cell<u32>,
    direct: Cell<Option<Token>>,
    /// Reports that the direct watch made and the source had a use for.
    uses: Cell<u64>,
}

impl Reactor {
    /// A turn for the source that is watched directly, called by the driver.
    pub(super) fn direct_turn(&self) {
        self.take_turn(|reactor, _| {
            let source = reactor.hot.direct.get().and_then(|token| reactor.find(token));
            let mut used = false;
            if let Some(source) = source {
                reactor.guard(|| used = source.directly_readable());
            }
            if used {
                reactor.hot.uses.set(reactor.hot.uses.get() + 1);
            } else {
                reactor.cool();
            }
        });
    }

    /// Looks whether one source was alone once more.
    pub(super) fn find_hot(&self, events: &mio::Events) {
        let mut events = events.iter();
        let alone = match (events.next(), events.next()) {
            (Some(event), None) if event.token() != REMOTE && Readiness::of(event) == Readiness::READABLE => {
                Token::from_mio(event.token())
            }
            _ => return self.hot.alone.set(None),
        };
        if self.hot.alone.replace(Some(alone)) != Some(alone) {
            self.hot.turns.set(0);
            return;
        }
        self.hot.turns.set(self.hot.turns.get() + 1);
        if self.hot.turns.get() >= TURNS {
            self.heat(alone);
        }
    }

    /// If `token` has a direct watch, ends it: the descriptor is in no poll then.
    pub(super) fn leave_direct(&self, token: Token) -> bool {
        let direct = self.hot.direct.get() == Some(token);
        if direct {
            self.forget_direct();
        }
        direct
    }

    pub(super) fn forget_direct(&self) {
        if self.hot.direct.take().is_some() {
            self.with_driver(|driver| driver.unwatch());
        }
    }

    fn heat(&self, token: Token) {
        self.hot.alone.set(None);
        let Some(watch) = self.watch_of(token) else { return };
        if watch.indirect || watch.interest != Interest::READABLE {
            return;
        }
        self.cool();
        if self.registry.deregister(&mut SourceFd(&watch.fd)).is_err() {
            return;
        }
        if self.with_driver(|driver| driver.watch(watch.fd)) == Some(true) {
            self.hot.direct.set(Some(token));
            self.hot.uses.set(0);
        } else {
            self.register_again(token, Watch { indirect: true, ..watch });
        }
    }

    /// Back to the poll, which reports at once what is ready.
    fn cool(&self) {
        let Some(token) = self.hot.direct.get() else { return };
        self.forget_direct();
        if let Some(watch) = self.watch_of(token) {
            self.register_again(token, Watch { indirect: self.hot.uses.get() == 0, ..watch });
        }
    }

    fn register_again(&self, token: Token, watch: Watch) {
        self.set_watch(token, watch);
        // It was registered before, so only memory can be out; then the source hears of it as of a broken descriptor.
        if self.registry.register(&mut SourceFd(&watch.fd), token.mio(), watch.interest).is_err() {
            self.again(token, Readiness { readable: true, closed: true, ..Readiness::default() });
        }
    }
}
