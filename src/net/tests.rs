use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::reactor::{Blocking, Hold, Reactor};

/// Writes down what it is told.
#[derive(Default)]
struct Log {
    memory: RefCell<Vec<u8>>,
    got: RefCell<Vec<u8>>,
    events: RefCell<Vec<String>>,
    stream: RefCell<Option<Rc<Stream>>>,
    accepted: RefCell<Vec<OwnedFd>>,
    pause_after_read: Cell<bool>,
}

impl Log {
    fn note(&self, event: impl Into<String>) {
        self.events.borrow_mut().push(event.into());
    }

    fn saw(&self, event: &str) -> bool {
        self.events.borrow().iter().any(|seen| seen.starts_with(event))
    }
}

impl StreamSink for Log {
    fn lend(&self, hint: usize, read: &mut dyn FnMut(Room<'_>) -> io::Result<usize>) -> io::Result<usize> {
        let mut memory = self.memory.borrow_mut();
        memory.resize(hint, 0);
        read(memory.as_mut_slice().into())
    }

    fn data(&self, length: usize) {
        self.got.borrow_mut().extend_from_slice(&self.memory.borrow()[..length]);
        if self.pause_after_read.get() {
            self.stream.borrow().as_ref().unwrap().pause();
        }
    }

    fn end(&self) {
        self.note("end");
    }

    fn connected(&self, result: io::Result<()>) {
        self.note(format!("connected {:?}", result.map_err(|error| error.kind())));
    }

    fn drain(&self) {
        self.note("drain");
    }

    fn error(&self, syscall: &'static str, error: io::Error) {
        self.note(format!("{syscall} {:?}", error.kind()));
    }
}

impl ListenerSink for Log {
    fn accepted(&self, fd: OwnedFd) {
        self.accepted.borrow_mut().push(fd);
    }

    fn error(&self, error: io::Error) {
        self.note(format!("accept {:?}", error.kind()));
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
        // A watchdog: a test that waits for what never comes ends here.
        reactor.set_timer(std::time::Instant::now() + Duration::from_secs(20), || panic!("the test hangs"));
        Self { reactor, blocking, _hold: hold }
    }

    fn until(&self, done: impl Fn() -> bool) {
        assert!(self.blocking.run_until(done));
    }

    fn pair(&self) -> (Rc<Log>, Rc<Stream>, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let log = Rc::new(Log::default());
        let stream = Stream::new(&self.reactor, near.into(), Kind::Socket, Rc::<Log>::clone(&log)).unwrap();
        *log.stream.borrow_mut() = Some(Rc::clone(&stream));
        (log, stream, far)
    }
}

fn temporary(name: &str) -> std::path::PathBuf {
    let unique = format!("interproc-{}-{:?}-{name}", std::process::id(), std::thread::current().id());
    std::env::temp_dir().join(unique)
}

#[test]
fn what_the_peer_wrote_arrives_and_then_its_end() {
    let at = Loop::new();
    let (log, stream, mut far) = at.pair();
    stream.resume();
    far.write_all(b"hello").unwrap();
    drop(far);
    at.until(|| log.saw("end"));
    assert_eq!(&*log.got.borrow(), b"hello");
}

#[test]
fn nothing_is_read_while_paused_and_nothing_is_lost() {
    let at = Loop::new();
    let (log, stream, mut far) = at.pair();
    log.pause_after_read.set(true);
    stream.resume();
    far.write_all(&[7; 100_000]).unwrap();
    at.until(|| !log.got.borrow().is_empty());
    let first = log.got.borrow().len();
    for _ in 0..3 {
        at.reactor.turn();
    }
    assert_eq!(log.got.borrow().len(), first);
    log.pause_after_read.set(false);
    stream.resume();
    at.until(|| log.got.borrow().len() == 100_000);
}

#[test]
fn what_does_not_fit_is_queued_and_leaves_in_order() {
    let at = Loop::new();
    let (log, stream, mut far) = at.pair();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for chunk in sent.chunks(1000) {
        stream.write(chunk).unwrap();
    }
    assert!(stream.queued() > 0);
    stream.shutdown().unwrap();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        got
    });
    at.until(|| log.saw("drain"));
    assert_eq!(stream.queued(), 0);
    assert!(reader.join().unwrap() == sent);
}

#[test]
fn a_peer_that_has_gone_is_an_error_not_a_signal() {
    let at = Loop::new();
    let (_log, stream, far) = at.pair();
    drop(far);
    assert_eq!(stream.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    stream.close();
    assert_eq!(stream.write(b"x").unwrap_err().kind(), io::ErrorKind::NotConnected);
}

/// The sink may be borrowed while it writes.
#[cfg(target_os = "linux")]
#[test]
fn what_epoll_refuses_is_told_in_a_turn_and_never_within_a_write() {
    let forget = |at: &Loop, stream: &Stream| {
        let (poll, fd) = (at.reactor.poll_fd(), stream.raw_fd().unwrap());
        // SAFETY: both descriptors are open, and EPOLL_CTL_DEL reads no event.
        let result = unsafe { libc::epoll_ctl(poll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
        assert_eq!(result, 0);
    };
    let fill = |stream: &Stream| {
        let body = [0; 65_536];
        while stream.try_write(&[io::IoSlice::new(&body)]).unwrap() == body.len() {}
    };
    let at = Loop::new();
    let (log, stream, _far) = at.pair();
    forget(&at, &stream);
    let borrowed = log.events.borrow_mut();
    fill(&stream);
    drop(borrowed);
    at.until(|| log.saw("epoll_ctl"));

    let (log, stream, _far) = at.pair();
    forget(&at, &stream);
    fill(&stream);
    stream.close();
    at.reactor.turn();
    assert!(!log.saw("epoll_ctl"), "nothing is told of a closed stream");
}

#[test]
fn a_queued_write_that_fails_is_told() {
    let at = Loop::new();
    let (log, stream, far) = at.pair();
    stream.write(&vec![0; 4_000_000]).unwrap();
    drop(far);
    at.until(|| log.saw("write BrokenPipe"));
}

#[test]
fn a_pipe_is_read_to_its_end_and_written_to() {
    let at = Loop::new();
    let (read, write) = std::io::pipe().unwrap();
    let (out, got) = (Rc::new(Log::default()), Rc::new(Log::default()));
    let writer = Stream::new(&at.reactor, write.into(), Kind::Pipe, Rc::<Log>::clone(&out)).unwrap();
    let reader = Stream::new(&at.reactor, read.into(), Kind::Pipe, Rc::<Log>::clone(&got)).unwrap();
    reader.resume();
    writer.write(&vec![1; 1_000_000]).unwrap();
    writer.shutdown().unwrap();
    at.until(|| got.saw("end"));
    assert_eq!(got.got.borrow().len(), 1_000_000);
    assert!(!writer.is_open());
}

#[test]
fn connects_over_tcp_and_talks() {
    let at = Loop::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = Rc::new(Log::default());
    let to = Address::Ip(server.local_addr().unwrap());
    let stream = Stream::connect(&at.reactor, &to, None, Rc::<Log>::clone(&log)).unwrap();
    stream.write(b"early").unwrap(); // Before it is connected: queued.
    stream.resume();
    let (mut far, _) = server.accept().unwrap();
    at.until(|| log.saw("connected Ok"));
    let mut early = [0; 5];
    far.read_exact(&mut early).unwrap();
    far.write_all(&early).unwrap();
    at.until(|| log.got.borrow().len() == 5);
    assert_eq!(stream.with_fd(|fd| Address::of_peer(fd)).unwrap(), Some(to));
    stream.reset().unwrap();
    assert_eq!(far.read(&mut early).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_refused_connection_is_told() {
    let at = Loop::new();
    // Bound, so that nobody else gets the port meanwhile, and deaf.
    let deaf = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    deaf.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let to = Address::Ip(deaf.local_addr().unwrap().as_socket().unwrap());
    let log = Rc::new(Log::default());
    let stream = Stream::connect(&at.reactor, &to, None, Rc::<Log>::clone(&log));
    if stream.is_ok() {
        at.until(|| log.saw("connected Err(ConnectionRefused)"));
    }
    let nowhere = Address::Unix(temporary("nowhere").into());
    let error = Stream::connect(&at.reactor, &nowhere, None, log).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_listener_accepts_and_removes_its_file() {
    let at = Loop::new();
    let path = temporary("listener");
    let log = Rc::new(Log::default());
    let to = Address::Unix(path.clone().into());
    let listener = Listener::bind(&at.reactor, &to, ListenOptions::default(), Rc::<Log>::clone(&log)).unwrap();
    let taken = Listener::bind(&at.reactor, &to, ListenOptions::default(), Rc::<Log>::clone(&log)).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let _clients: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    at.until(|| log.accepted.borrow().len() == 100);
    assert_eq!(listener.local_address().unwrap(), Some(to));
    listener.close();
    assert!(!path.exists());
}

#[test]
fn a_taken_path_is_left_to_its_owner() {
    let at = Loop::new();
    let path = temporary("taken");
    let _owner = UnixListener::bind(&path).unwrap();
    let to = Address::Unix(path.clone().into());
    Listener::bind(&at.reactor, &to, ListenOptions::default(), Rc::new(Log::default())).unwrap_err();
    assert!(path.exists());
    std::fs::remove_file(path).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn long_paths_and_abstract_names_work() {
    let at = Loop::new();
    let directory = temporary(&"long".repeat(40));
    std::fs::create_dir(&directory).unwrap();
    let abstract_name = format!("\0interproc-test-{}", std::process::id());
    for to in [Address::Unix(directory.join("socket").into()), Address::Unix(abstract_name.into())] {
        let log = Rc::new(Log::default());
        let listener = Listener::bind(&at.reactor, &to, ListenOptions::default(), Rc::<Log>::clone(&log)).unwrap();
        let client = Stream::connect(&at.reactor, &to, None, Rc::<Log>::clone(&log)).unwrap();
        at.until(|| log.saw("connected Ok") && log.accepted.borrow().len() == 1);
        client.close();
        listener.close();
    }
    std::fs::remove_dir(directory).unwrap();
    let too_long = Address::Unix(temporary(&"x".repeat(120)).into());
    let log = Rc::new(Log::default());
    let error = Listener::bind(&at.reactor, &too_long, ListenOptions::default(), log).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn only_what_reads_writes_or_connects_keeps_the_loop_alive() {
    let reactor = Reactor::new().unwrap();
    let blocking = Blocking::new(&reactor);
    let (near, _far) = UnixStream::pair().unwrap();
    let log = Rc::new(Log::default());
    let stream = Stream::new(&reactor, near.into(), Kind::Socket, log).unwrap();
    assert!(!blocking.run_until(|| false)); // Nothing is held: it returns at once.
    stream.resume();
    stream.set_ref(false);
    assert!(!blocking.run_until(|| false));
}
