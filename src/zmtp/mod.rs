//! ZMTP 3.1, the wire protocol of ZeroMQ, as a pure state machine.
//!
//! Bytes go in, events and bytes come out: no socket, no clock but the one passed in, no `unsafe`, nothing of the
//! other rooms. [`Connection`] is one peer; everything else here is a part of it.
//!
//! ```
//! use interproc::zmtp::{Config, Connection, Flow, Peer, Sink, SocketType, encode_message};
//!
//! #[derive(Default)]
//! struct Inbox(Vec<Vec<u8>>);
//! impl Sink for Inbox {
//!     fn ready(&mut self, _peer: &Peer) -> Flow { Flow::Continue(()) }
//!     fn frame(&mut self, body: &[u8], _more: bool) -> Flow { self.0.push(body.to_vec()); Flow::Continue(()) }
//! }
//!
//! let now = 0; // milliseconds of any clock that does not run backwards
//! let mut push = Connection::new(&Config::new(SocketType::Push), now);
//! let mut pull = Connection::new(&Config::new(SocketType::Pull), now);
//! let (mut at_push, mut at_pull) = (Inbox::default(), Inbox::default());
//! for _ in 0..2 {
//!     // greeting, then READY: what stands in an outbox is written to the peer
//!     let (a, b) = (std::mem::take(push.outbox()), std::mem::take(pull.outbox()));
//!     push.receive(&b, now, &mut at_push)?;
//!     pull.receive(&a, now, &mut at_pull)?;
//! }
//! let mut wire = Vec::new();
//! encode_message(&["hello", "world"], &mut wire);
//! let received = pull.receive(&wire, now, &mut at_pull)?;
//! assert_eq!(received.consumed, wire.len());
//! assert_eq!(at_pull.0, [b"hello", b"world"]);
//! # Ok::<(), interproc::zmtp::ProtocolError>(())
//! ```
//!
//! # What is spoken, and what is refused
//!
//! RFC 37 (ZMTP 3.1) and RFC 23 (3.0), with the NULL mechanism. A peer that announces a higher version is spoken to in
//! 3.1. ZMTP 1.0, 2.0 and unversioned bytes are refused as soon as they are certain to be that: those have no
//! mechanism, so that accepting them would make any byte stream a message source (libzmq#4932) and any secured socket
//! open to a downgrade.
//!
//! Where the RFC leaves room, libzmq 4.3.5 is followed:
//!
//! | Case | What happens |
//! |---|---|
//! | SUBSCRIBE, CANCEL to a socket that does not publish; JOIN, LEAVE | ignored |
//! | A command between the frames of one message | handled |
//! | PING whose context is longer than 16 bytes | answered with its first 16 |
//! | READY without Socket-Type | accepted: RFC 37 only says SHOULD |
//! | Single-frame message 0x01+topic or 0x00+topic to PUB, XPUB, whatever the peer's version | a subscription |
//!
//! Stricter than libzmq: reserved flag bits, COMMAND with MORE, PING without a whole TTL, a command whose name does not
//! fit, a command of unknown name after the handshake (libzmq ignores it, and sends none), a message before READY, or a
//! reserved identity end the connection; ERROR ends it at any time.
//!
//! # Bounds
//!
//! Nothing is ever allocated from a declared length, and none above [`MAX_MESSAGE`] is waited for: a message whose frames
//! add up to more, or that has more than [`MAX_FRAMES`] frames, ends the connection. A connection keeps its outbox (a peer
//! that asks without reading adds at most [`OUTBOX_LIMIT`] to it) and what READY said (at most
//! [`MAX_HANDSHAKE_COMMAND`]); the bytes of an unfinished frame stay with the caller, who grows his buffer by what has
//! arrived and not by what was announced.

#![forbid(unsafe_code)]

mod command;
mod config;
mod connection;
mod error;
mod frame;
mod greeting;
mod handshake;
mod heartbeat;
mod identity;
mod mechanism;
mod metadata;
mod peer;
mod socket_type;
mod traffic;

pub use config::{Config, Security};
pub use connection::Connection;
pub use error::ProtocolError;
pub use frame::{COMMAND, Header, MAX_HEADER, MORE, decode_header, encode_frame, encode_header, encode_message};
pub use greeting::GREETING_SIZE;
pub use handshake::MAX_HANDSHAKE_COMMAND;
pub use heartbeat::OUTBOX_LIMIT;
pub use identity::Identity;
pub use metadata::Properties;
pub use peer::Peer;
pub use socket_type::SocketType;
pub use traffic::{Flow, MAX_FRAMES, MAX_MESSAGE, Received, Sink};
