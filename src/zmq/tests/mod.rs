//! Sockets against each other on one reactor, over every transport.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::reactor::{Blocking, Hold, Reactor};
use crate::zmtp::{SocketType, encode_message};

mod delivery;
mod patterns;

type Message = Vec<Vec<u8>>;

/// A reactor with a driver, and a watchdog.
struct Bench {
    reactor: Rc<Reactor>,
    driver: Blocking,
    context: Arc<Context>,
    _hold: Hold,
}

/// A socket whose messages are collected.
struct Peer {
    socket: Socket,
    log: Rc<Log>,
}

#[derive(Default)]
struct Log {
    messages: RefCell<Vec<Message>>,
    room: Cell<usize>,
    events: RefCell<Vec<Event>>,
    /// So often is nothing taken.
    refusals: Cell<u32>,
}

impl Handler for Log {
    fn received(&self, batch: &mut Frames) {
        if self.refusals.get() > 0 {
            self.refusals.set(self.refusals.get() - 1);
            return;
        }
        let mut message = Vec::new();
        while let Some((body, more)) = batch.pop() {
            message.push(body.to_vec());
            if !more {
                self.messages.borrow_mut().push(std::mem::take(&mut message));
            }
        }
    }

    fn writable(&self, room: usize) {
        self.room.set(room);
    }

    fn event(&self, event: &Event) {
        self.events.borrow_mut().push(event.clone());
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(Context::new())
    }

    fn with(context: Arc<Context>) -> Self {
        let reactor = Reactor::new().unwrap();
        let driver = Blocking::new(&reactor);
        let hold = Hold::new(&reactor);
        hold.set(true);
        Self { reactor, driver, context, _hold: hold }
    }

    fn socket(&self, kind: SocketType) -> Peer {
        self.socket_with(kind, Options::default())
    }

    fn socket_with(&self, kind: SocketType, options: Options) -> Peer {
        let log = Rc::new(Log::default());
        let handler = Rc::<Log>::clone(&log);
        let socket = Socket::new(&self.reactor, &self.context, kind, options, handler).unwrap();
        Peer { socket, log }
    }

    /// Both, with the second connected to the first.
    fn pair(&self, transport: &str, first: SocketType, second: SocketType) -> (Peer, Peer) {
        let (first, second) = (self.socket(first), self.socket(second));
        let address = first.socket.bind(&any(transport)).unwrap();
        second.socket.connect(&address).unwrap();
        (first, second)
    }

    /// Runs until it is so; a second chance after ten seconds does not exist.
    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        self.wake_every(Duration::from_millis(20));
        self.driver.run_until(|| {
            assert!(Instant::now() < deadline, "it never came: {what}");
            done()
        });
    }

    /// Lets everything happen that happens in such a time.
    fn run_for(&self, time: Duration) {
        let end = Instant::now() + time;
        self.wake_every(Duration::from_millis(5));
        self.driver.run_until(|| Instant::now() >= end);
    }

    fn wake_every(&self, time: Duration) {
        fn again(reactor: &Rc<Reactor>, time: Duration) {
            let own = Rc::downgrade(reactor);
            reactor.set_timer(Instant::now() + time, move || {
                if let Some(reactor) = own.upgrade() {
                    again(&reactor, time);
                }
            });
        }
        again(&self.reactor, time);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.reactor.close();
    }
}

impl Peer {
    fn send(&self, parts: &[&str]) -> Result<usize, Error> {
        let mut wire = Vec::new();
        encode_message(parts, &mut wire);
        self.socket.send(&wire)
    }

    fn got(&self) -> usize {
        self.log.messages.borrow().len()
    }

    /// All messages, their parts joined by `|`; taken, and said to be consumed.
    fn take(&self) -> Vec<String> {
        let messages = std::mem::take(&mut *self.log.messages.borrow_mut());
        self.socket.consumed(messages.len());
        let text = |part: &Vec<u8>| String::from_utf8_lossy(part).into_owned();
        messages.iter().map(|message| message.iter().map(text).collect::<Vec<_>>().join("|")).collect()
    }
}

const TRANSPORTS: [&str; 3] = ["tcp", "ipc", "inproc"];

fn any(transport: &str) -> String {
    match transport {
        "tcp" => "tcp://127.0.0.1:*".into(),
        "ipc" => "ipc://*".into(),
        _ => format!("inproc://{}", super::random()),
    }
}
