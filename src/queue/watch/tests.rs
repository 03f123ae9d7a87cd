//! Two threads, a handle of each queue in each, and no repair of lost wake-ups: one that is lost hangs.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::{Waiter, Want, Watch};
use crate::queue::member::{New, Sleeper};
use crate::queue::tests::unique;
use crate::queue::{Flags, Sent, Work};
use crate::reactor::{Blocking, Reactor};
use crate::shm::Place;

const NEW: New = New { capacity: 4096, persistent: false, flags: Flags { ack: false, checked: false, codec: 0 } };

/// A receiver in a loop of its own.
struct Receiver {
    end: Rc<End>,
    watch: Rc<Watch>,
    reactor: Rc<Reactor>,
    driver: Blocking,
}

struct End {
    work: RefCell<Option<Work>>,
    woken: Cell<u32>,
}

impl Waiter for End {
    fn with(&self, task: &mut dyn FnMut(&mut dyn Sleeper)) {
        if let Some(work) = self.work.borrow_mut().as_mut() {
            task(work);
        }
    }

    fn wake(&self) {
        self.woken.set(self.woken.get() + 1);
    }
}

impl Receiver {
    fn new(place: &Place, spin: Duration) -> Self {
        let (work, _) = Work::join(place, Some(NEW)).unwrap();
        let reactor = Reactor::new().unwrap();
        let driver = Blocking::new(&reactor);
        let end = Rc::new(End { work: RefCell::new(Some(work)), woken: Cell::new(0) });
        let waiter: Weak<dyn Waiter> = Rc::<End>::downgrade(&end);
        let watch = Watch::new(&reactor, waiter, spin);
        Self { end, watch, reactor, driver }
    }

    fn take(&self) -> Option<u64> {
        let mut work = self.end.work.borrow_mut();
        let work = work.as_mut().unwrap();
        if work.lease(1, 4096).unwrap() == 0 {
            return None;
        }
        let (mut bytes, mut at) = (vec![0; work.leased_bytes()], 0);
        work.copy(&mut bytes, |delivery| at = delivery.offset).unwrap();
        work.finish().unwrap();
        Some(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()))
    }

    fn receive(&self) -> u64 {
        loop {
            if let Some(found) = self.take() {
                return found;
            }
            if self.watch.arm(Want::Messages).unwrap() {
                let found = self.take();
                self.watch.disarm(Want::Messages);
                match found {
                    Some(found) => return found,
                    None => continue,
                }
            }
            let before = self.end.woken.get();
            assert!(self.driver.run_until(|| self.end.woken.get() > before), "an armed watch holds the loop");
        }
    }

    fn sleep_a_little(&self, random: &mut u32) {
        // About as long as a receiver looks: now before, now after it went to sleep.
        *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let end = Instant::now() + Duration::from_micros(u64::from(*random >> 25));
        while Instant::now() < end {
            std::thread::yield_now();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.watch.close(self.end.work.borrow_mut().as_mut().unwrap());
    }
}

/// `rounds` messages there and back; every one is answered, or this hangs.
fn ping_pong(spin: Duration, rounds: u64) {
    let (there, back) = (unique("watch there"), unique("watch back"));
    let main = Receiver::new(&back, spin);
    let (mut sender, _) = Work::join(&there, Some(NEW)).unwrap();
    let echo = std::thread::spawn(move || {
        let receiver = Receiver::new(&there, spin);
        let (mut sender, _) = Work::join(&back, Some(NEW)).unwrap();
        let mut random = 7;
        for expected in 0..rounds {
            assert_eq!(receiver.receive(), expected);
            receiver.sleep_a_little(&mut random);
            assert_eq!(sender.send(0, &expected.to_le_bytes()).unwrap(), Sent::Yes);
        }
        // The other side still reads.
        sender
    });
    let mut random = 1;
    for number in 0..rounds {
        assert_eq!(sender.send(0, &number.to_le_bytes()).unwrap(), Sent::Yes);
        assert_eq!(main.receive(), number);
        main.sleep_a_little(&mut random);
    }
    echo.join().unwrap();
}

#[test]
fn no_wake_up_is_lost_between_looking_and_sleeping() {
    ping_pong(Duration::from_micros(50), 20_000);
}

#[test]
fn no_wake_up_is_lost_without_looking() {
    ping_pong(Duration::ZERO, 5_000);
}

#[test]
fn what_is_there_already_is_told_at_once() {
    let receiver = Receiver::new(&Place::Anonymous, Duration::ZERO);
    receiver.end.work.borrow_mut().as_mut().unwrap().send(0, &[7; 8]).unwrap();
    assert!(receiver.watch.arm(Want::Messages).unwrap());
    assert_eq!(receiver.end.woken.get(), 0);
}

#[test]
fn waiting_holds_the_loop_unless_unreferenced() {
    let receiver = Receiver::new(&Place::Anonymous, Duration::ZERO);
    assert!(!receiver.driver.run_until(|| false), "nothing is waited for");
    receiver.watch.reference(false);
    assert!(!receiver.watch.arm(Want::Messages).unwrap());
    assert!(!receiver.driver.run_until(|| false), "unreferenced");
    receiver.watch.reference(true);
    receiver.watch.disarm(Want::Messages);
    assert!(!receiver.driver.run_until(|| false), "waited for no more");
}

#[test]
fn a_wake_up_that_is_not_used_goes_to_another() {
    let place = unique("watch");
    let (first, second) = (Receiver::new(&place, Duration::ZERO), Receiver::new(&place, Duration::ZERO));
    assert!(!first.watch.arm(Want::Messages).unwrap());
    assert!(!second.watch.arm(Want::Messages).unwrap());
    let (mut sender, _) = Work::join(&place, None).unwrap();
    sender.send(0, &[1; 8]).unwrap();
    // Whoever is woken does not take it.
    let woken = |receiver: &Receiver| receiver.end.woken.get() > 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !(woken(&first) && woken(&second)) {
        assert!(Instant::now() < deadline, "the second is never woken");
        for receiver in [&first, &second] {
            receiver.reactor.turn();
        }
    }
}

#[test]
fn looks_only_while_it_is_worth_it() {
    let place = unique("watch");
    let receiver = Receiver::new(&place, Duration::from_millis(200));
    let (mut sender, _) = Work::join(&place, None).unwrap();
    let armed = |receiver: &Receiver| {
        let mut armed = false;
        receiver.end.with(&mut |sleeper| {
            let member = sleeper.member();
            armed = member.shared.receivers.has(member.seat);
        });
        armed
    };
    assert!(!receiver.watch.arm(Want::Messages).unwrap());
    assert!(armed(&receiver), "nothing is known yet: it sleeps");
    sender.send(0, &[1; 8]).unwrap();
    assert!(receiver.driver.run_until(|| receiver.end.woken.get() == 1));
    assert_eq!(receiver.take(), Some(u64::from_le_bytes([1; 8])));
    if !super::look::has_cores() {
        return;
    }
    assert!(!receiver.watch.arm(Want::Messages).unwrap());
    assert!(!armed(&receiver), "it slept shortly: it looks, and nobody need ring");
    receiver.watch.disarm(Want::Messages);
    assert!(!receiver.watch.arm(Want::Messages).unwrap());
    assert!(receiver.driver.run_until(|| armed(&receiver)), "it looked in vain: it sleeps");
    sender.send(0, &[2; 8]).unwrap();
    assert!(receiver.driver.run_until(|| receiver.end.woken.get() == 2));
}
