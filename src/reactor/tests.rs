use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;

/// Counts its calls, reads what is there, and may ask for another turn.
struct Reader {
    stream: UnixStream,
    got: RefCell<Vec<u8>>,
    calls: Cell<usize>,
    on_ready: RefCell<Option<OnReady>>,
}

type OnReady = Box<dyn FnMut(Readiness)>;

impl Source for Reader {
    fn ready(self: Rc<Self>, readiness: Readiness) {
        self.calls.set(self.calls.get() + 1);
        let mut buffer = [0; 64];
        if readiness.readable {
            while let Ok(n @ 1..) = (&self.stream).read(&mut buffer) {
                self.got.borrow_mut().extend_from_slice(&buffer[..n]);
            }
        }
        if let Some(call) = &mut *self.on_ready.borrow_mut() {
            call(readiness);
        }
    }
}

fn pair() -> (Rc<Reader>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let reader = Reader { stream: near, got: RefCell::default(), calls: Cell::new(0), on_ready: RefCell::default() };
    (Rc::new(reader), far)
}

fn reactor() -> (Rc<Reactor>, Blocking, Hold) {
    let reactor = Reactor::new().unwrap();
    let blocking = Blocking::new(&reactor);
    let hold = Hold::new(&reactor);
    hold.set(true);
    (reactor, blocking, hold)
}

#[test]
fn a_ready_descriptor_calls_its_source() {
    let (reactor, blocking, _hold) = reactor();
    let (reader, mut far) = pair();
    let source = Rc::<Reader>::clone(&reader);
    reactor.register(reader.stream.as_fd(), Interest::READABLE, source).unwrap();
    far.write_all(b"hello").unwrap();
    assert!(blocking.run_until(|| reader.got.borrow().len() == 5));
    assert_eq!(&*reader.got.borrow(), b"hello");
}

#[test]
fn a_loop_without_a_reason_ends() {
    let (reactor, blocking, hold) = reactor();
    hold.set(false);
    assert!(!blocking.run_until(|| false));
    drop(reactor);
}

#[test]
fn a_deregistered_source_is_not_called_for_events_already_fetched() {
    let (reactor, blocking, _hold) = reactor();
    let (first, mut far_first) = pair();
    let (second, mut far_second) = pair();
    let tokens = Rc::new(RefCell::new(Vec::new()));
    for (reader, other) in [(&first, &second), (&second, &first)] {
        let (engine, other, list) = (Rc::clone(&reactor), Rc::clone(other), Rc::clone(&tokens));
        let mine = reactor.register(reader.stream.as_fd(), Interest::READABLE, Rc::<Reader>::clone(reader)).unwrap();
        tokens.borrow_mut().push(mine);
        *reader.on_ready.borrow_mut() = Some(Box::new(move |_| {
            for token in list.borrow().iter().filter(|token| **token != mine) {
                engine.deregister(*token, other.stream.as_fd());
            }
        }));
    }
    far_first.write_all(b"x").unwrap();
    far_second.write_all(b"x").unwrap();
    assert!(blocking.run_until(|| first.calls.get() + second.calls.get() > 0));
    reactor.turn();
    assert_eq!(first.calls.get() + second.calls.get(), 1);
}

#[test]
fn a_reused_place_does_not_get_its_predecessors_calls() {
    let (reactor, _blocking, _hold) = reactor();
    let (old, _far) = pair();
    let (new, _far_new) = pair();
    let stale = reactor.enroll(Rc::<Reader>::clone(&old)).unwrap();
    reactor.dismiss(stale);
    let fresh = reactor.enroll(Rc::<Reader>::clone(&new)).unwrap();
    assert_eq!(stale.key(), fresh.key());
    reactor.again(stale, Readiness::WRITABLE);
    reactor.turn();
    assert_eq!((old.calls.get(), new.calls.get()), (0, 0));
}

#[test]
fn again_comes_in_the_next_turn_not_in_this_one() {
    let (reactor, blocking, _hold) = reactor();
    let (reader, _far) = pair();
    let token = reactor.enroll(Rc::<Reader>::clone(&reader)).unwrap();
    let engine = Rc::clone(&reactor);
    *reader.on_ready.borrow_mut() = Some(Box::new(move |_| engine.again(token, Readiness::WRITABLE)));
    reactor.again(token, Readiness::WRITABLE);
    reactor.turn();
    assert_eq!(reader.calls.get(), 1);
    assert!(blocking.run_until(|| reader.calls.get() == 5));
}

#[test]
fn timers_fire_in_order_and_not_before_their_time() {
    let (reactor, blocking, _hold) = reactor();
    let order = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    for (name, millis) in [("late", 30), ("early", 10), ("never", 20)] {
        let order = Rc::clone(&order);
        let id = reactor.set_timer(start + Duration::from_millis(millis), move || {
            order.borrow_mut().push((name, start.elapsed()));
        });
        if name == "never" {
            reactor.clear_timer(id);
        }
    }
    assert!(blocking.run_until(|| order.borrow().len() == 2));
    let order = order.borrow();
    assert_eq!(order.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["early", "late"]);
    assert!(order[0].1 >= Duration::from_millis(10) && order[1].1 >= Duration::from_millis(30));
}

#[test]
fn another_thread_reaches_a_source() {
    let (reactor, blocking, _hold) = reactor();
    let (reader, _far) = pair();
    let notified = Rc::new(Cell::new(false));
    let seen = Rc::clone(&notified);
    *reader.on_ready.borrow_mut() = Some(Box::new(move |readiness| seen.set(readiness.notified)));
    let token = reactor.enroll(Rc::<Reader>::clone(&reader)).unwrap();
    let remote = reactor.remote();
    std::thread::spawn(move || remote.notify(token)).join().unwrap();
    assert!(blocking.run_until(|| reader.calls.get() == 1));
    assert!(notified.get());
}

#[test]
fn a_panicking_source_leaves_the_reactor_usable() {
    let (reactor, blocking, _hold) = reactor();
    let (reader, _far) = pair();
    *reader.on_ready.borrow_mut() = Some(Box::new(|_| panic!("as planned")));
    let token = reactor.enroll(Rc::<Reader>::clone(&reader)).unwrap();
    reactor.again(token, Readiness::READABLE);
    let panic = catch_unwind(AssertUnwindSafe(|| blocking.run_until(|| false))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as planned"));
    *reader.on_ready.borrow_mut() = None;
    reactor.again(token, Readiness::READABLE);
    assert!(blocking.run_until(|| reader.calls.get() == 2));
}

#[test]
fn a_closed_reactor_takes_nothing_and_remotes_are_harmless() {
    let (reactor, _blocking, _hold) = reactor();
    let (reader, _far) = pair();
    let token = reactor.enroll(Rc::<Reader>::clone(&reader)).unwrap();
    let remote = reactor.remote();
    reactor.close();
    assert_eq!(Rc::strong_count(&reader), 1);
    remote.notify(token);
    let held = Rc::new(());
    let (deferred, timed) = (Rc::clone(&held), Rc::clone(&held));
    reactor.defer(move || drop(deferred));
    let timer = reactor.set_timer(Instant::now(), move || drop(timed));
    reactor.clear_timer(timer);
    assert_eq!(Rc::strong_count(&held), 1);
    let refused = reactor.enroll(reader).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::NotConnected);
}

#[test]
fn the_tokio_driver_asks_for_turns_until_it_is_dropped() {
    let reactor = Reactor::new().unwrap();
    let (ask, asked) = std::sync::mpsc::channel();
    let driver = tokio::Tokio::start(
        &reactor,
        Box::new(move || ask.send(()).unwrap_or_default()),
        Box::new(|_| {}),
        Box::new(|_| {}),
    )
    .unwrap();
    reactor.drive(Rc::<tokio::Tokio>::clone(&driver));
    let turn = || {
        asked.recv_timeout(Duration::from_secs(20)).expect("the driver asks for a turn");
        reactor.turn();
        driver.answered();
    };
    let (reader, mut far) = pair();
    reactor.register(reader.stream.as_fd(), Interest::READABLE, Rc::<Reader>::clone(&reader)).unwrap();
    for round in 1..=50 {
        far.write_all(b"x").unwrap();
        while reader.got.borrow().len() < round {
            turn();
        }
    }
    let fired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fired);
    reactor.set_timer(Instant::now() + Duration::from_millis(20), move || seen.set(true));
    while !fired.get() {
        turn();
    }
    reactor.close();
    drop(driver);
    // The task owns `ask`: its end closes the channel.
    while asked.recv_timeout(Duration::from_secs(20)) != Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {}
}
