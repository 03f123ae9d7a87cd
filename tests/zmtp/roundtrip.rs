//! Whatever is encoded is decoded the same, however the transport cuts it.

use interproc::zmtp::{Config, Connection, SocketType, encode_message};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{End, Event, check, ends, ready};

type Message = Vec<Vec<u8>>;

fn message() -> impl Strategy<Value = Message> {
    let part = prop_oneof![
        4 => vec(any::<u8>(), 0..20),
        2 => vec(any::<u8>(), 250..260),
        1 => vec(any::<u8>(), 10_000..20_000),
    ];
    vec(part, 1..5)
}

fn events(messages: &[Message]) -> Vec<Event> {
    let parts = |message: &Message| {
        let last = message.len() - 1;
        let frames = message.iter().cloned().enumerate();
        frames.map(|(at, body)| Event::Frame(body, at < last)).collect::<Vec<_>>()
    };
    messages.iter().flat_map(parts).collect()
}

/// One step of a conversation.
#[derive(Debug, Clone)]
enum Step {
    Send(bool, Message),
    /// Carry so many bytes to one side, or fewer if there are no more.
    Carry(bool, usize),
    Tick(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), message()).prop_map(|(side, message)| Step::Send(side, message)),
        (any::<bool>(), 1..5_000usize).prop_map(|(side, bytes)| Step::Carry(side, bytes)),
        any::<bool>().prop_map(Step::Tick),
    ]
}

/// One side with what it has sent, as a plain list: the model.
struct Side {
    end: End,
    /// Written, but not yet carried.
    wire: Vec<u8>,
    messages: Vec<Message>,
}

impl Side {
    fn new(config: &Config) -> Self {
        Self { end: End::new(config), wire: Vec::new(), messages: Vec::new() }
    }

    fn send(&mut self, message: Message) {
        self.wire.append(self.end.connection.outbox());
        let last = message.len() - 1;
        for (at, part) in message.iter().enumerate() {
            self.end.connection.encode(part, at < last, &mut self.wire);
        }
        self.messages.push(message);
    }

    fn carry(&mut self, bytes: usize, to: &mut Self, now: u64) {
        self.wire.append(self.end.connection.outbox());
        let carried: Vec<u8> = self.wire.drain(..bytes.min(self.wire.len())).collect();
        to.end.feed(&carried, now).expect("a peer that follows the protocol");
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_messages(
        messages in vec(message(), 0..20),
        cuts in vec(1..9_000usize, 1..20),
        pause_every in 0..5usize,
    ) {
        let (_, mut pull) = ends(&Config::new(SocketType::Push), &Config::new(SocketType::Pull));
        pull.inbox.pause_every = pause_every;
        let mut wire = Vec::new();
        for message in &messages {
            encode_message(message, &mut wire);
        }
        let mut rest = &wire[..];
        for cut in cuts.into_iter().cycle() {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            pull.feed(chunk, 0).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(pull.events(), events(&messages));
        prop_assert!(pull.rest.is_empty());
    }

    #[test]
    fn a_conversation_is_its_model(steps in vec(step(), 0..60)) {
        let config = Config { heartbeat_interval: 10, heartbeat_timeout: Some(0), ..Config::new(SocketType::Pair) };
        let (mut a, mut b) = (Side::new(&config), Side::new(&config));
        a.carry(1_000, &mut b, 0);
        b.carry(1_000, &mut a, 0);
        a.carry(1_000, &mut b, 0);
        prop_assert!(a.end.connection.peer().is_some() && b.end.connection.peer().is_some());
        for (now, step) in (0..).step_by(10).zip(steps) {
            match step {
                Step::Send(true, message) => a.send(message),
                Step::Send(false, message) => b.send(message),
                Step::Carry(true, bytes) => a.carry(bytes, &mut b, now),
                Step::Carry(false, bytes) => b.carry(bytes, &mut a, now),
                Step::Tick(true) => a.end.connection.tick(now).unwrap(),
                Step::Tick(false) => b.end.connection.tick(now).unwrap(),
            }
        }
        a.carry(usize::MAX, &mut b, 1_000);
        b.carry(usize::MAX, &mut a, 1_000);
        for (sent, received) in [(&a.messages, b.end.events()), (&b.messages, a.end.events())] {
            prop_assert_eq!(&received[0], &Event::Ready);
            prop_assert_eq!(&received[1..], events(sent));
        }
    }

    /// Garbage after nothing, after a greeting, after a handshake: no panic, no growth, and the same however it is cut.
    #[test]
    fn garbage_means_the_same_in_any_chunking(
        prefix in 0..3usize,
        garbage in vec(prop_oneof![Just(0u8), Just(1), Just(4), Just(6), Just(0xFF), any::<u8>()], 0..500),
        cut in 1..50usize,
    ) {
        let mut stream = match prefix {
            0 => vec![],
            1 => Connection::new(&Config::new(SocketType::Sub), 0).outbox().clone(),
            _ => {
                let mut stream = Connection::new(&Config::new(SocketType::Sub), 0).outbox().clone();
                stream.extend_from_slice(&ready("SUB"));
                stream
            }
        };
        stream.extend_from_slice(&garbage);
        check(&stream, cut);
    }
}
