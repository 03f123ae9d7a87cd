//! Frames a second through the ZMTP engine, on one core: `cargo bench --bench zmtp [--no-default-features]`.
//!
//! Decode runs a handshaken connection over 64 KiB reads, encode appends to a 64 KiB buffer that is then emptied.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::mem::take;
use std::time::{Duration, Instant};

use interproc::zmtp::{Config, Connection, Flow, Peer, Sink, SocketType, encode_frame};

const BATCH: usize = 64 << 10;
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 5;

#[derive(Default)]
struct Count {
    frames: u64,
    bytes: u64,
}

impl Sink for Count {
    fn ready(&mut self, _peer: &Peer) -> Flow {
        Flow::Continue(())
    }

    fn frame(&mut self, body: &[u8], _more: bool) -> Flow {
        self.frames += 1;
        // Look at the body, as a receiver that copies it would.
        self.bytes += body.len() as u64 + u64::from(body.first().copied().unwrap_or(0));
        Flow::Continue(())
    }
}

fn main() {
    for size in [16, 128, 1024, 16 << 10] {
        let body = vec![7; size];
        println!("decode {size:>6} B  {:>10.2} M frames/s", decode(&body));
        println!("encode {size:>6} B  {:>10.2} M frames/s", encode(&body));
    }
}

fn decode(body: &[u8]) -> f64 {
    let mut pull = ready(SocketType::Pull, SocketType::Push);
    let mut input = Vec::new();
    while input.len() < BATCH {
        encode_frame(0, body, &mut input);
    }
    best(|| {
        let mut sink = Count::default();
        let received = pull.receive(black_box(&input), 0, &mut sink).expect("valid frames");
        assert_eq!(received.consumed, input.len());
        black_box(sink.bytes);
        sink.frames
    })
}

fn encode(body: &[u8]) -> f64 {
    let mut push = ready(SocketType::Push, SocketType::Pull);
    let mut out = Vec::with_capacity(BATCH + body.len() + 16);
    best(|| {
        out.clear();
        let mut frames = 0;
        while out.len() < BATCH {
            push.encode(black_box(body), false, &mut out);
            frames += 1;
        }
        black_box(&out);
        frames
    })
}

/// The best of some rounds, in millions of frames a second.
fn best(mut batch: impl FnMut() -> u64) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut frames = 0u32;
            while start.elapsed() < ROUND {
                frames += u32::try_from(batch()).expect("a batch is small");
            }
            f64::from(frames) / start.elapsed().as_secs_f64() / 1e6
        })
        .fold(0.0, f64::max)
}

/// A connection whose handshake with a peer is over.
fn ready(ours: SocketType, theirs: SocketType) -> Connection {
    let mut connection = Connection::new(&Config::new(ours), 0);
    let mut peer = Connection::new(&Config::new(theirs), 0);
    let mut sink = Count::default();
    for _ in 0..2 {
        let (to_peer, to_us) = (take(connection.outbox()), take(peer.outbox()));
        peer.receive(&to_peer, 0, &mut sink).expect("a valid handshake");
        connection.receive(&to_us, 0, &mut sink).expect("a valid handshake");
    }
    assert!(connection.peer().is_some());
    connection
}
