//! One end of a ZMTP connection as a test drives it: what a socket would do around the engine, without a socket.

use std::mem::take;

use interproc::zmtp::{Config, Connection, Flow, OUTBOX_LIMIT, Peer, ProtocolError, Sink, SocketType};

/// What the engine handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Ready,
    Frame(Vec<u8>, bool),
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
}

/// Keeps the events; says `Break` after every `pause_every`th (0: never).
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) events: Vec<Event>,
    pub(crate) pause_every: usize,
}

impl Inbox {
    fn push(&mut self, event: Event) -> Flow {
        self.events.push(event);
        match self.events.len().checked_rem(self.pause_every) {
            Some(0) => Flow::Break(()),
            _ => Flow::Continue(()),
        }
    }
}

impl Sink for Inbox {
    fn ready(&mut self, _peer: &Peer) -> Flow {
        self.push(Event::Ready)
    }

    fn frame(&mut self, body: &[u8], more: bool) -> Flow {
        self.push(Event::Frame(body.to_vec(), more))
    }

    fn subscribe(&mut self, topic: &[u8]) -> Flow {
        self.push(Event::Subscribe(topic.to_vec()))
    }

    fn cancel(&mut self, topic: &[u8]) -> Flow {
        self.push(Event::Cancel(topic.to_vec()))
    }
}

/// A connection, its inbox, and the bytes that it left over.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) inbox: Inbox,
    pub(crate) rest: Vec<u8>,
}

impl End {
    pub(crate) fn new(config: &Config) -> Self {
        Self { connection: Connection::new(config, 0), inbox: Inbox::default(), rest: Vec::new() }
    }

    /// Hands over bytes of the peer, and checks what holds for every call.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: u64) -> Result<(), ProtocolError> {
        self.rest.extend_from_slice(bytes);
        loop {
            let received = match self.connection.receive(&self.rest, now, &mut self.inbox) {
                Ok(received) => received,
                Err(error) => {
                    assert_eq!(self.connection.tick(now), Err(error.clone()), "an error stays");
                    assert_eq!(self.connection.poll_timeout(), None);
                    return Err(error);
                }
            };
            assert!(received.consumed <= self.rest.len());
            self.rest.drain(..received.consumed);
            if received.need > 0 {
                assert!(received.need > self.rest.len(), "what was there was not used");
                return Ok(());
            }
        }
    }

    /// Takes what is to be written to the peer.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        take(self.connection.outbox())
    }

    /// Takes the events up to now.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        take(&mut self.inbox.events)
    }
}

/// Carries the outboxes to the other side until both are empty.
pub(crate) fn exchange(a: &mut End, b: &mut End, now: u64) -> Result<(), ProtocolError> {
    loop {
        let (to_b, to_a) = (a.sent(), b.sent());
        if to_a.is_empty() && to_b.is_empty() {
            return Ok(());
        }
        b.feed(&to_b, now)?;
        a.feed(&to_a, now)?;
    }
}

/// Two ends whose handshake is over.
pub(crate) fn ends(a: &Config, b: &Config) -> (End, End) {
    let (mut a, mut b) = (End::new(a), End::new(b));
    exchange(&mut a, &mut b, 0).unwrap();
    assert_eq!(a.events(), [Event::Ready]);
    assert_eq!(b.events(), [Event::Ready]);
    (a, b)
}

/// Our end, handshaken with a peer of that version and type.
pub(crate) fn with_raw_peer(config: &Config, minor: u8, kind: &str) -> End {
    let mut end = End::new(config);
    end.feed(&greeting(minor), 0).unwrap();
    end.feed(&ready(kind), 0).unwrap();
    assert_eq!(end.events(), [Event::Ready]);
    end.sent();
    end
}

/// The greeting of a NULL peer that speaks 3.`minor`.
pub(crate) fn greeting(minor: u8) -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[..16].copy_from_slice(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, minor, b'N', b'U', b'L', b'L']);
    greeting
}

/// The READY of such a peer.
pub(crate) fn ready(kind: &str) -> Vec<u8> {
    let len = u8::try_from(kind.len()).unwrap();
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(len);
    body.extend_from_slice(kind.as_bytes());
    [&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// Feeds a stream at once and in pieces of `cut` bytes: the same events, the same end, bounded memory.
pub(crate) fn check(stream: &[u8], cut: usize) {
    let config = Config { max_message_size: Some(100_000), ..Config::new(SocketType::XPub) };
    let mut whole = End::new(&config);
    let result = whole.feed(stream, 0);
    let mut pieces = End::new(&config);
    let pieced = stream.chunks(cut).try_for_each(|piece| pieces.feed(piece, 0));
    assert_eq!(result, pieced);
    assert_eq!(whole.events(), pieces.events());
    if result.is_ok() {
        assert_eq!(whole.rest, pieces.rest);
    }
    let sent = whole.sent();
    assert_eq!(sent, pieces.sent());
    assert!(sent.len() <= OUTBOX_LIMIT + 300, "{} bytes to send", sent.len());
}
