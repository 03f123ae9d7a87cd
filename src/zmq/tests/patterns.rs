//! What each socket type does with several peers.

use super::*;

#[test]
fn push_gives_to_each_in_turn_and_pull_takes_from_each_in_turn() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let push = bench.socket(SocketType::Push);
        let address = push.socket.bind(&any(transport)).unwrap();
        let pulls: Vec<Peer> = (0..3).map(|_| bench.socket(SocketType::Pull)).collect();
        for pull in &pulls {
            pull.socket.connect(&address).unwrap();
        }
        bench.run_for(Duration::from_millis(50));
        for number in 0..9 {
            push.send(&[&number.to_string()]).unwrap();
        }
        bench.until("three each", || pulls.iter().all(|pull| pull.got() == 3));
        let mut starts: Vec<u32> = Vec::new();
        for pull in &pulls {
            let got: Vec<u32> = pull.take().iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(got, [got[0], got[0] + 3, got[0] + 6], "{transport}");
            starts.push(got[0]);
        }
        starts.sort_unstable();
        assert_eq!(starts, [0, 1, 2]);
    }
}

#[test]
fn a_full_peer_is_passed_over() {
    let bench = Bench::new();
    let push = bench.socket_with(SocketType::Push, Options { send_hwm: 2, ..Options::default() });
    push.socket.connect("tcp://127.0.0.1:1").unwrap();
    let pull = bench.socket(SocketType::Pull);
    push.socket.connect(&pull.socket.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    bench.run_for(Duration::from_millis(50));
    for number in 0..20 {
        push.send(&[&number.to_string()]).unwrap();
    }
    bench.until("all but two", || pull.got() == 18);
}

#[test]
fn with_immediate_only_standing_connections_count() {
    let bench = Bench::new();
    let push = bench.socket_with(SocketType::Push, Options { immediate: true, ..Options::default() });
    push.socket.connect("tcp://127.0.0.1:1").unwrap();
    assert_eq!(push.socket.room(), 0);
    let pull = bench.socket(SocketType::Pull);
    push.socket.connect(&pull.socket.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    bench.until("room", || push.log.room.get() > 0);
}

#[test]
fn publishers_send_what_is_subscribed_to() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (publisher, first) = bench.pair(transport, SocketType::Pub, SocketType::Sub);
        let second = bench.socket(SocketType::Sub);
        second.socket.subscribe(b"", true).unwrap();
        second.socket.connect(&publisher.socket.last_endpoint().unwrap()).unwrap();
        for topic in [&b"ab"[..], b"ab", b"c"] {
            first.socket.subscribe(topic, true).unwrap();
        }
        first.socket.subscribe(b"ab", false).unwrap();
        bench.run_for(Duration::from_millis(60));
        for text in ["a", "ab", "abc", "cd", "d"] {
            publisher.send(&[text, "body"]).unwrap();
        }
        bench.until("what everyone wants", || second.got() == 5);
        bench.run_for(Duration::from_millis(20));
        assert_eq!(first.take(), ["ab|body", "abc|body", "cd|body"], "{transport}");
        first.socket.subscribe(b"ab", false).unwrap();
        bench.run_for(Duration::from_millis(60));
        publisher.send(&["ab"]).unwrap();
        publisher.send(&["c"]).unwrap();
        bench.until("the last", || first.got() == 1);
        assert_eq!(first.take(), ["c"], "{transport}");
    }
}

#[test]
fn xpub_hears_of_subscriptions_and_of_their_end() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (xpub, xsub) = bench.pair(transport, SocketType::XPub, SocketType::XSub);
        bench.run_for(Duration::from_millis(50));
        for text in ["\u{1}A", "\u{1}A", "\u{1}B", "hello"] {
            xsub.send(&[text]).unwrap();
        }
        bench.until("two subscriptions and a message", || xpub.got() == 3);
        assert_eq!(xpub.take(), ["\u{1}A", "\u{1}B", "hello"], "{transport}");
        xpub.send(&["A!"]).unwrap();
        xpub.send(&["C!"]).unwrap();
        xpub.send(&["B!"]).unwrap();
        bench.until("two messages", || xsub.got() == 2);
        assert_eq!(xsub.take(), ["A!", "B!"]);
        xsub.send(&["\0B"]).unwrap();
        bench.until("a cancel", || xpub.got() == 1);
        xsub.socket.close();
        bench.until("the end of all", || xpub.got() == 2);
        assert_eq!(xpub.take(), ["\0B", "\0A"], "{transport}");
    }
}

#[test]
fn a_subscriber_tells_a_new_publisher_what_it_wants() {
    let bench = Bench::new();
    let (publisher, subscriber) = bench.pair("tcp", SocketType::Pub, SocketType::Sub);
    subscriber.socket.subscribe(b"x", true).unwrap();
    let address = publisher.socket.last_endpoint().unwrap();
    bench.run_for(Duration::from_millis(50));
    publisher.socket.close();
    bench.run_for(Duration::from_millis(50));
    let second = bench.socket(SocketType::Pub);
    second.socket.bind(&address).unwrap();
    bench.until("a message of the second", || {
        second.send(&["xyz"]).unwrap();
        subscriber.got() > 0
    });
}

#[test]
fn a_slow_subscriber_misses_messages_and_stops_nobody() {
    let bench = Bench::new();
    let publisher = bench.socket_with(SocketType::Pub, Options { send_hwm: 5, ..Options::default() });
    let address = publisher.socket.bind("tcp://127.0.0.1:*").unwrap();
    let slow = bench.socket_with(SocketType::Sub, Options { receive_hwm: 5, ..Options::default() });
    slow.socket.subscribe(b"", true).unwrap();
    slow.socket.connect(&address).unwrap();
    bench.run_for(Duration::from_millis(50));
    let body = "x".repeat(100_000);
    for number in 0..500 {
        publisher.send(&[&format!("{number:03}"), &body]).unwrap();
    }
    bench.until("the mark", || slow.got() == 5);
    let mut all = slow.take();
    bench.run_for(Duration::from_millis(50));
    all.extend(slow.take());
    assert!(
        all.iter().map(|text| &text[..3]).eq((0..all.len()).map(|n| format!("{n:03}"))),
        "the first ones, in order"
    );
}

#[test]
fn requests_and_replies_alternate() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (rep, req) = bench.pair(transport, SocketType::Rep, SocketType::Req);
        assert!(matches!(rep.send(&["early"]), Err(Error::State)));
        for round in 0..3 {
            let text = format!("q{round}");
            assert_eq!(req.send(&[&text, "2"]).unwrap(), 0);
            assert!(matches!(req.send(&["again"]), Err(Error::State)));
            bench.until("a request", || rep.got() == 1);
            assert_eq!(rep.take(), [format!("{text}|2")]);
            rep.send(&["reply"]).unwrap();
            bench.until("a reply", || req.got() == 1);
            assert_eq!(req.take(), ["reply"], "{transport}");
        }
    }
}

#[test]
fn a_reply_goes_back_along_its_way() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (router, req) = bench.pair(transport, SocketType::Router, SocketType::Req);
        let (rep, dealer) = bench.pair(transport, SocketType::Rep, SocketType::Dealer);
        req.send(&["hello"]).unwrap();
        bench.until("at the router", || router.got() == 1);
        let forward = |from: &Peer, to: &Peer| {
            let message = from.log.messages.borrow_mut().remove(0);
            from.socket.consumed(1);
            let mut wire = Vec::new();
            encode_message(&message, &mut wire);
            to.socket.send(&wire).unwrap();
            message
        };
        let message = forward(&router, &dealer);
        assert_eq!((message.len(), message[0].len(), message[0][0]), (3, 5, 0), "{transport}");
        bench.until("at the rep", || rep.got() == 1);
        assert_eq!(rep.take(), ["hello"]);
        rep.send(&["world"]).unwrap();
        bench.until("back at the dealer", || dealer.got() == 1);
        forward(&dealer, &router);
        bench.until("back at the req", || req.got() == 1);
        assert_eq!(req.take(), ["world"]);
    }
}

#[test]
fn a_router_knows_peers_by_the_name_they_give() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let router = bench.socket_with(SocketType::Router, Options { mandatory: true, ..Options::default() });
        let address = router.socket.bind(&any(transport)).unwrap();
        assert!(matches!(router.send(&["dealer", "x"]), Err(Error::Unreachable)));
        let mut options = Options::default();
        options.set_bytes(5, Some(b"dealer")).unwrap();
        let dealer = bench.socket_with(SocketType::Dealer, options.clone());
        dealer.socket.connect(&address).unwrap();
        bench.until("the dealer", || router.send(&["dealer", "hi"]).is_ok());
        bench.until("the message", || dealer.got() > 0);
        dealer.send(&["back"]).unwrap();
        bench.until("the answer", || router.got() == 1);
        assert_eq!(router.take(), ["dealer|back"], "{transport}");
        // A second of the same name is turned away, unless it may take over.
        let second = bench.socket_with(SocketType::Dealer, options);
        second.socket.connect(&address).unwrap();
        bench.run_for(Duration::from_millis(60));
        dealer.take();
        router.send(&["dealer", "1"]).unwrap();
        bench.until("at the first", || dealer.got() == 1);
        router.socket.options(|options| options.handover = true);
        // Over inproc the one that was turned away has ended already.
        let _ = second.socket.disconnect(&address);
        second.socket.connect(&address).unwrap();
        bench.until("at the second", || router.send(&["dealer", "2"]).is_ok() && second.got() > 0);
    }
}

#[test]
fn pair_has_one_peer() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (first, second) = bench.pair(transport, SocketType::Pair, SocketType::Pair);
        bench.run_for(Duration::from_millis(30));
        let third = bench.socket(SocketType::Pair);
        third.socket.connect(&first.socket.last_endpoint().unwrap()).unwrap();
        bench.run_for(Duration::from_millis(30));
        first.send(&["to you"]).unwrap();
        second.send(&["and back"]).unwrap();
        bench.until("both", || first.got() == 1 && second.got() == 1);
        assert_eq!((first.take(), second.take()), (vec!["and back".into()], vec!["to you".into()]), "{transport}");
        assert_eq!(third.got(), 0);
    }
}

#[test]
fn req_matches_replies_to_requests_if_asked_to() {
    let bench = Bench::new();
    let router = bench.socket(SocketType::Router);
    let options = Options { correlate: true, relaxed: true, ..Options::default() };
    let req = bench.socket_with(SocketType::Req, options);
    req.socket.connect(&router.socket.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    for text in ["one", "two"] {
        req.send(&[text]).unwrap();
    }
    bench.until("both requests", || router.got() == 2);
    for message in std::mem::take(&mut *router.log.messages.borrow_mut()) {
        let mut wire = Vec::new();
        encode_message(&message, &mut wire);
        router.socket.send(&wire).unwrap();
    }
    bench.until("a reply", || req.got() == 1);
    bench.run_for(Duration::from_millis(30));
    assert_eq!(req.take(), ["two"]);
}

#[test]
fn conflation_keeps_the_newest() {
    let bench = Bench::new();
    let pull = bench.socket(SocketType::Pull);
    let push = bench.socket_with(SocketType::Push, Options { conflate: true, ..Options::default() });
    let address = pull.socket.bind("tcp://127.0.0.1:*").unwrap();
    push.socket.connect(&address).unwrap();
    for number in 0..100 {
        push.send(&[&number.to_string()]).unwrap();
    }
    bench.until("the last", || pull.got() == 1);
    assert_eq!(pull.take(), ["99"]);
}
