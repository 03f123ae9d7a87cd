//! What the engine allocates: nothing for what goes through, nothing for what is only announced.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::size_of;

use interproc::zmtp::{Config, Connection, Flow, Peer, Sink, SocketType, encode_message};

use crate::support::{greeting, ready};

thread_local! {
    /// Bytes that this thread has asked for. Tests run in a thread each.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn asked(work: impl FnOnce()) -> usize {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn ready(&mut self, _peer: &Peer) -> Flow {
        Flow::Continue(())
    }

    fn frame(&mut self, body: &[u8], _more: bool) -> Flow {
        self.0 += body.len();
        Flow::Continue(())
    }
}

fn connection() -> Connection {
    let mut connection = Connection::new(&Config::new(SocketType::Pull), 0);
    let start = [&greeting(1)[..], &ready("PUSH")].concat();
    connection.receive(&start, 0, &mut Count::default()).unwrap();
    connection.outbox().clear();
    connection
}

#[test]
fn frames_go_through_without_an_allocation() {
    let mut connection = connection();
    let mut wire = Vec::new();
    for _ in 0..1_000 {
        encode_message(&[&b"sixteen bytes ok"[..], &[0; 1_000]], &mut wire);
    }
    let mut sink = Count::default();
    let bytes = asked(|| {
        let received = connection.receive(&wire, 0, &mut sink).unwrap();
        assert_eq!(received.consumed, wire.len());
    });
    assert_eq!((bytes, sink.0), (0, 1_016_000));

    let mut out = Vec::with_capacity(10_000);
    let bytes = asked(|| (0..100).for_each(|_| connection.encode(b"sixteen bytes ok", true, &mut out)));
    assert_eq!((bytes, out.len()), (0, 1_800));
}

#[test]
fn an_announced_length_costs_nothing() {
    let mut connection = connection();
    for shift in 9..32 {
        let header = [&[2][..], &(1u64 << shift).to_be_bytes(), &[7; 100]].concat();
        let bytes = asked(|| {
            let received = connection.receive(&header, 0, &mut Count::default()).unwrap();
            assert_eq!(received.consumed, 0);
        });
        assert_eq!(bytes, 0);
    }
}

#[test]
fn an_idle_peer_costs_its_state_and_one_greeting() {
    let bytes = asked(|| {
        let mut connection = Connection::new(&Config::new(SocketType::Pull), 0);
        connection.receive(&greeting(1)[..63], 0, &mut Count::default()).unwrap();
    });
    assert!(bytes + size_of::<Connection>() < 1_000, "{bytes} bytes");
}
