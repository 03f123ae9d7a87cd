//! A connect: tries until there is a connection, and again when that breaks.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::Error;
use super::connection::{Connection, Origin};
use super::endpoint::{Endpoint, Host, IpcPath};
use super::event::Event;
use super::inner::Inner;
use super::pipe::PipeKey;
use super::resolve::Lookup;
use super::tune::tune;
use crate::net::{Address, Stream};
use crate::reactor::TimerId;

/// One endpoint that the socket connects to, and its pipe.
pub(super) struct Connecter {
    me: Weak<Self>,
    inner: Weak<Inner>,
    endpoint: Endpoint,
    /// As the user wrote it.
    pub(super) text: String,
    pub(super) key: PipeKey,
    current: RefCell<Option<Rc<Connection>>>,
    connecting: Cell<bool>,
    timer: Cell<Option<TimerId>>,
    /// The next pause, without its random part.
    pause: Cell<Option<u32>>,
    stopped: Cell<bool>,
}

impl Connecter {
    pub(super) fn start(inner: &Rc<Inner>, endpoint: Endpoint, text: String, key: PipeKey) -> Result<Rc<Self>, Error> {
        let pause = inner.state.borrow().core.options.reconnect_interval;
        let connecter = Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            inner: Rc::downgrade(inner),
            endpoint,
            text,
            key,
            current: RefCell::default(),
            connecting: Cell::new(false),
            timer: Cell::new(None),
            pause: Cell::new(pause),
            stopped: Cell::new(false),
        });
        connecter.attempt();
        Ok(connecter)
    }

    /// No connection stands, but one is being made.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting.get()
    }

    /// The transport stands.
    pub(super) fn connected(&self) {
        self.connecting.set(false);
        self.clear_timer();
        if let Some(inner) = self.inner.upgrade() {
            if let Some(connection) = &*self.current.borrow() {
                let state = inner.state.borrow();
                connection.with_stream(|fd| tune(fd, &state.core.options));
            }
            inner.note(Event::Connect(self.text.clone()));
        }
    }

    /// The handshake is over: the next pause is the first again.
    pub(super) fn succeeded(&self) {
        if let Some(inner) = self.inner.upgrade() {
            self.pause.set(inner.state.borrow().core.options.reconnect_interval);
        }
    }

    /// Tries again after a pause; `false` if that is not wanted.
    pub(super) fn retry(&self) -> bool {
        let (Some(inner), Some(pause), false) = (self.inner.upgrade(), self.pause.get(), self.stopped.get()) else {
            return false;
        };
        self.current.take();
        self.connecting.set(false);
        self.clear_timer();
        let (first, max) = {
            let state = inner.state.borrow();
            (state.core.options.reconnect_interval.unwrap_or(pause), state.core.options.reconnect_max)
        };
        // libzmq: the random part keeps many clients of a server that starts again from coming all at once.
        let delay = pause.saturating_add(super::random() % first.max(1));
        if max > first {
            self.pause.set(Some(pause.saturating_mul(2).min(max)));
        }
        inner.note(Event::ConnectRetry(self.text.clone(), delay));
        self.after(Duration::from_millis(delay.into()), &inner, Self::attempt);
        true
    }

    /// Gives up, for good.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.clear_timer();
        let current = self.current.take();
        if let Some(connection) = current {
            connection.close();
        }
    }

    /// What the name stands for.
    pub(super) fn found(&self, answer: io::Result<Vec<SocketAddr>>) {
        let Some(inner) = self.inner.upgrade() else { return };
        let ipv6 = inner.state.borrow().core.options.ipv6;
        let address = answer.unwrap_or_default().into_iter().find(|one| ipv6 || one.is_ipv4());
        match address {
            _ if self.stopped.get() => {}
            Some(address) => self.dial(&inner, &Address::Ip(address)),
            None => {
                inner.note(Event::ConnectDelay(self.text.clone()));
                self.retry();
            }
        }
    }

    fn attempt(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        match &self.endpoint {
            Endpoint::Tcp(Host::Ip(ip), port) => self.dial(&inner, &Address::Ip(SocketAddr::new(*ip, *port))),
            Endpoint::Tcp(Host::Name(name), port) => self.look_up(&inner, name, *port),
            Endpoint::Ipc(IpcPath::File(path)) => self.dial(&inner, &Address::Unix(path.into())),
            Endpoint::Ipc(IpcPath::Abstract(name)) => {
                let name = [&[0], &**name].concat();
                self.dial(&inner, &Address::Unix(std::ffi::OsStr::from_bytes(&name).to_owned()));
            }
            // `Socket::connect` lets none of these through.
            Endpoint::Tcp(Host::Any, _) | Endpoint::Ipc(IpcPath::Any) | Endpoint::Inproc(_) => {}
        }
    }

    fn look_up(&self, inner: &Rc<Inner>, name: &str, port: u16) {
        let lookup = inner.bell().and_then(|bell| Ok(Lookup::start(name, port, bell)?));
        match lookup {
            Ok(lookup) => inner.state.borrow_mut().lookups.push((lookup, Weak::clone(&self.me))),
            Err(_) => drop(self.retry()),
        }
    }

    fn dial(&self, inner: &Rc<Inner>, address: &Address) {
        let origin = Origin::Connected(Weak::clone(&self.me));
        let connection = Connection::new(inner, self.text.clone(), origin, Some(self.key));
        *self.current.borrow_mut() = Some(Rc::clone(&connection));
        self.connecting.set(true);
        inner.note(Event::ConnectDelay(self.text.clone()));
        let sink = Rc::<Connection>::clone(&connection);
        match Stream::connect(&inner.reactor, address, None, sink) {
            Ok(stream) => {
                connection.adopt(stream);
                let limit = inner.state.borrow().core.options.connect_timeout;
                if limit > 0 {
                    self.after(Duration::from_millis(limit), inner, Self::time_out);
                }
            }
            Err(_) => drop(self.retry()),
        }
    }

    fn time_out(&self) {
        let current = self.current.take();
        if let Some(connection) = current {
            connection.close();
        }
        self.retry();
    }

    fn after(&self, delay: Duration, inner: &Inner, then: fn(&Self)) {
        let me = Weak::clone(&self.me);
        let timer = inner.reactor.set_timer(Instant::now() + delay, move || {
            if let Some(me) = me.upgrade() {
                me.timer.set(None);
                then(&me);
            }
        });
        self.timer.set(Some(timer));
    }

    fn clear_timer(&self) {
        if let (Some(timer), Some(inner)) = (self.timer.take(), self.inner.upgrade()) {
            inner.reactor.clear_timer(timer);
        }
    }
}
