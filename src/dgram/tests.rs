use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;
use crate::reactor::{Blocking, Hold, Reactor};

#[derive(Default)]
struct Log {
    got: RefCell<Vec<(Vec<u8>, SocketAddr)>>,
    batches: Cell<usize>,
    errors: RefCell<Vec<io::ErrorKind>>,
}

impl DatagramSink for Log {
    fn received(&self, batch: &Received<'_>) {
        self.batches.set(self.batches.get() + 1);
        let mut got = self.got.borrow_mut();
        got.extend(batch.iter().map(|(bytes, source)| (bytes.to_vec(), source.unwrap())));
    }

    fn drain(&self) {}

    fn error(&self, error: io::Error) {
        self.errors.borrow_mut().push(error.kind());
    }
}

struct Loop {
    reactor: Rc<Reactor>,
    blocking: Blocking,
    _hold: Hold,
}

impl Loop {
    fn new() -> Self {
        let reactor = Reactor::new().unwrap();
        let (blocking, hold) = (Blocking::new(&reactor), Hold::new(&reactor));
        hold.set(true);
        reactor.set_timer(Instant::now() + Duration::from_secs(20), || panic!("the test hangs"));
        Self { reactor, blocking, _hold: hold }
    }

    fn socket(&self, address: &str) -> (Rc<Log>, Rc<Datagrams>, SocketAddr) {
        let log = Rc::new(Log::default());
        let to = address.parse().unwrap();
        let socket = Datagrams::bind(&self.reactor, to, BindOptions::default(), Rc::<Log>::clone(&log)).unwrap();
        let name = socket.with_fd(|fd| socket2::SockRef::from(&fd).local_addr()).unwrap().as_socket().unwrap();
        (log, socket, name)
    }

    fn until(&self, done: impl Fn() -> bool) {
        assert!(self.blocking.run_until(done));
    }
}

fn send_all(socket: &Datagrams, messages: &[Vec<u8>], to: Option<SocketAddr>) {
    let batch: Vec<_> = messages.iter().map(|message| Outgoing { length: message.len(), to }).collect();
    let mut ends = Vec::new();
    let done = socket.send(&messages.concat(), &batch, |index, end| ends.push((index, end.unwrap())));
    assert_eq!(done, messages.len());
    let expected: Vec<_> = messages.iter().map(Vec::len).enumerate().collect();
    assert_eq!(ends, expected);
}

#[test]
fn a_batch_arrives_whole_in_order_with_its_sender() {
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let at = Loop::new();
        let (log, _receiver, to) = at.socket(loopback);
        let (_, sender, from) = at.socket(loopback);
        // Runs of one size (segments), changes of size, empty ones, and large ones.
        let sizes = [64, 64, 64, 20, 64, 0, 0, 7, 1200, 1200, 1200, 1199, 40_000, 64, 64].repeat(3);
        let messages: Vec<Vec<u8>> = sizes.iter().zip(0_u8..).map(|(&size, fill)| vec![fill; size]).collect();
        send_all(&sender, &messages, Some(to));
        at.until(|| log.got.borrow().len() == messages.len());
        for ((bytes, source), message) in log.got.borrow().iter().zip(&messages) {
            assert!(bytes == message);
            assert_eq!(*source, from);
        }
        assert!(log.batches.get() < messages.len());
    }
}

#[test]
fn a_datagram_that_is_too_large_is_its_own_error_only() {
    let at = Loop::new();
    let (log, _receiver, to) = at.socket("127.0.0.1:0");
    let (_, sender, _) = at.socket("127.0.0.1:0");
    let messages = [vec![1; 10], vec![2; 65_530], vec![3; 10]];
    let batch: Vec<_> = messages.iter().map(|message| Outgoing { length: message.len(), to: Some(to) }).collect();
    let mut ends = Vec::new();
    assert_eq!(sender.send(&messages.concat(), &batch, |_, end| ends.push(end.map_err(|e| e.raw_os_error()))), 3);
    assert_eq!(ends, [Ok(10), Err(Some(libc::EMSGSIZE)), Ok(10)]);
    at.until(|| log.got.borrow().len() == 2);
}

#[test]
fn only_a_refusal_of_segments_ends_sending_in_segments() {
    let at = Loop::new();
    let send = |socket: &Datagrams, to| {
        let mut ends = Vec::new();
        let batch = [Outgoing { length: 8, to }; 3];
        assert_eq!(socket.send(&[7; 24], &batch, |_, end| ends.push(end.map_err(|e| e.raw_os_error()))), 3);
        ends
    };
    let (_, socket, _) = at.socket("127.0.0.1:0");
    // Bound, so that nobody else gets the port meanwhile; but it hears another one only.
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    deaf.connect("127.0.0.1:9").unwrap();
    socket.connect(Some(deaf.local_addr().unwrap())).unwrap();
    assert_eq!(send(&socket, None), [Ok(8); 3]);
    // The answer to the batch before is the next one's first error, and that one's alone.
    assert_eq!(send(&socket, None), [Err(Some(libc::ECONNREFUSED)), Ok(8), Ok(8)]);
    assert_eq!(socket.segments.get(), cfg!(target_os = "linux"));
    // What the kernel refuses as it refuses segments is sent without, and is then each one's own error or none.
    let (log, socket, to) = at.socket("127.0.0.1:0");
    let refused = send(&socket, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    assert!(!socket.segments.get());
    assert_eq!(send(&socket, Some(to)), [Ok(8); 3]);
    at.until(|| log.got.borrow().len() == 3);
}

#[test]
fn a_connected_socket_hears_only_its_peer_and_that_it_is_gone() {
    let at = Loop::new();
    let (log, socket, name) = at.socket("127.0.0.1:0");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(Some(peer.local_addr().unwrap())).unwrap();
    stranger.send_to(b"stranger", name).unwrap();
    peer.send_to(b"peer", name).unwrap();
    send_all(&socket, &[b"hello".to_vec()], None);
    at.until(|| !log.got.borrow().is_empty());
    assert_eq!(log.got.borrow()[0].0, b"peer");
    drop(peer);
    send_all(&socket, &[b"anybody?".to_vec()], None);
    at.until(|| !log.errors.borrow().is_empty());
    assert_eq!(log.errors.borrow()[0], io::ErrorKind::ConnectionRefused);
    socket.connect(None).unwrap();
    // The kernel has given up the port that it chose itself; sending takes a new one.
    send_all(&socket, &[b"now you".to_vec()], Some(stranger.local_addr().unwrap()));
    let mut got = [0; 16];
    assert_eq!(stranger.recv(&mut got).unwrap(), 7);
}

#[test]
fn options_are_checked() {
    let at = Loop::new();
    let (_, socket, _) = at.socket("127.0.0.1:0");
    socket.set_broadcast(true).unwrap();
    socket.set_ttl(64).unwrap();
    assert_eq!(socket.set_ttl(0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert_eq!(socket.set_multicast_ttl(256).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    assert!(socket.buffer_size(true, 0).unwrap() > 0);
    socket.close();
    assert_eq!(socket.set_broadcast(true).unwrap_err().kind(), io::ErrorKind::NotConnected);
}
