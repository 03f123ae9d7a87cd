//! Transports, order, high-water marks, ends.

use super::*;

#[test]
fn messages_arrive_in_order_over_every_transport() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (pull, push) = bench.pair(transport, SocketType::Pull, SocketType::Push);
        let mut wire = Vec::new();
        for number in 0..900 {
            encode_message(&[number.to_string(), "x".repeat(number)], &mut wire);
        }
        push.socket.send_run(&wire).unwrap();
        bench.until("900 messages", || pull.got() == 900);
        let got = pull.take();
        for (number, message) in got.iter().enumerate() {
            assert_eq!(*message, format!("{number}|{}", "x".repeat(number)), "{transport}");
        }
    }
}

#[test]
fn a_message_longer_than_any_buffer_arrives_whole() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (pull, push) = bench.pair(transport, SocketType::Pull, SocketType::Push);
        let long: Vec<u8> = (0..9_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
        let mut wire = Vec::new();
        encode_message(&[&b"head"[..], &long, b"tail"], &mut wire);
        push.socket.send_run(&wire).unwrap();
        bench.until("the message", || pull.got() == 1);
        assert_eq!(pull.log.messages.borrow()[0], [b"head".to_vec(), long, b"tail".to_vec()]);
    }
}

#[test]
fn messages_that_are_not_taken_are_offered_again_and_in_order() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let (pull, push) = bench.pair(transport, SocketType::Pull, SocketType::Push);
        pull.log.refusals.set(3);
        let long = vec![b'l'; RECORD_MAX + 1];
        for number in 0..100 {
            let mut wire = Vec::new();
            encode_message(&[number.to_string().as_bytes(), if number == 1 { &long } else { b"x" }], &mut wire);
            push.socket.send(&wire).unwrap();
            bench.run_for(Duration::from_millis(1));
        }
        bench.until("100 messages", || pull.got() == 100);
        assert_eq!(pull.log.refusals.get(), 0);
        for (number, message) in pull.take().iter().enumerate() {
            assert!(message.starts_with(&format!("{number}|")), "{transport}");
        }
    }
}

#[test]
fn the_pipe_is_there_at_connect_and_takes_as_many_as_the_mark_says() {
    let bench = Bench::new();
    let push = bench.socket_with(SocketType::Push, Options { send_hwm: 3, ..Options::default() });
    assert!(matches!(push.send(&["x"]), Err(Error::Again)));
    push.socket.connect("tcp://127.0.0.1:1").unwrap();
    assert_eq!(push.socket.room(), 3);
    for left in [2, 1, 0] {
        assert_eq!(push.send(&["x"]).unwrap(), left);
    }
    assert!(matches!(push.send(&["x"]), Err(Error::Again)));
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer_and_loses_nothing() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let options = Options { send_hwm: 10, receive_hwm: 10, ..Options::default() };
        let pull = bench.socket_with(SocketType::Pull, options.clone());
        let push = bench.socket_with(SocketType::Push, options);
        push.socket.connect(&pull.socket.bind(&any(transport)).unwrap()).unwrap();
        let body = "y".repeat(100_000);
        let mut sent = 0;
        let deadline = Instant::now() + Duration::from_millis(300);
        bench.run_for(Duration::from_millis(20));
        while Instant::now() < deadline {
            while push.send(&[&sent.to_string(), &body]).is_ok() {
                sent += 1;
            }
            bench.run_for(Duration::from_millis(10));
        }
        // Over inproc both marks count together, and nothing stands between the two.
        let mark = if transport == "inproc" { 20 } else { 10 };
        assert_eq!(pull.got(), mark, "{transport}: the mark is exact");
        assert!(sent < 400, "{transport}: {sent} messages found a place somewhere");
        let mut all = Vec::new();
        bench.until("everything sent", || {
            all.extend(pull.take());
            all.len() == sent
        });
        for (number, message) in all.iter().enumerate() {
            assert!(message.starts_with(&format!("{number}|")), "{transport}");
        }
        bench.until("the writer's being told of room", || push.log.room.get() > 0);
    }
}

#[test]
fn inproc_holds_exactly_both_marks() {
    let bench = Bench::new();
    let pull = bench.socket_with(SocketType::Pull, Options { receive_hwm: 4, ..Options::default() });
    let push = bench.socket_with(SocketType::Push, Options { send_hwm: 3, ..Options::default() });
    push.socket.connect(&pull.socket.bind(&any("inproc")).unwrap()).unwrap();
    let mut sent = 0;
    for _ in 0..10 {
        while push.send(&["x"]).is_ok() {
            sent += 1;
        }
        bench.run_for(Duration::from_millis(5));
    }
    assert_eq!(sent, 7);
}

#[test]
fn connecting_may_come_before_binding() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let scout = bench.socket(SocketType::Pull);
        let address = scout.socket.bind(&any(transport)).unwrap();
        scout.socket.close();
        bench.run_for(Duration::from_millis(5));
        let push = bench.socket(SocketType::Push);
        push.socket.connect(&address).unwrap();
        push.send(&["early"]).unwrap();
        bench.run_for(Duration::from_millis(30));
        let pull = bench.socket(SocketType::Pull);
        if transport == "ipc" {
            std::fs::create_dir(std::path::Path::new(&address[6..]).parent().unwrap()).unwrap();
        }
        pull.socket.bind(&address).unwrap();
        bench.until("the early message", || pull.got() == 1);
        if transport == "ipc" {
            pull.socket.close();
            std::fs::remove_dir(std::path::Path::new(&address[6..]).parent().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_peer_that_comes_back_gets_what_was_not_sent() {
    let bench = Bench::new();
    let push = bench.socket(SocketType::Push);
    let first = bench.socket(SocketType::Pull);
    let address = first.socket.bind("tcp://127.0.0.1:*").unwrap();
    push.socket.connect(&address).unwrap();
    push.send(&["one"]).unwrap();
    bench.until("one", || first.got() == 1);
    first.socket.close();
    bench.run_for(Duration::from_millis(50));
    for text in ["two", "three"] {
        push.send(&[text]).unwrap();
    }
    let second = bench.socket(SocketType::Pull);
    second.socket.bind(&address).unwrap();
    bench.until("two and three", || second.got() == 2);
    assert_eq!(second.take(), ["two", "three"]);
}

#[test]
fn closing_waits_for_the_last_message_and_no_longer_than_linger() {
    let bench = Bench::new();
    let (pull, push) = bench.pair("tcp", SocketType::Pull, SocketType::Push);
    let body = "z".repeat(1_000_000);
    for _ in 0..20 {
        push.send(&[&body]).unwrap();
    }
    push.socket.close();
    bench.until("all messages of the closed socket", || pull.got() == 20);
    let stuck =
        bench.socket_with(SocketType::Push, Options { linger: Some(Duration::from_millis(50)), ..Options::default() });
    stuck.socket.connect("tcp://127.0.0.1:1").unwrap();
    stuck.send(&["never"]).unwrap();
    stuck.socket.close();
    assert!(stuck.socket.is_lingering());
    bench.until("the end of linger", || !stuck.socket.is_lingering());
}

#[test]
fn endpoints_are_freed_and_unknown_ones_refused() {
    for transport in TRANSPORTS {
        let bench = Bench::new();
        let pull = bench.socket(SocketType::Pull);
        let address = pull.socket.bind(&any(transport)).unwrap();
        assert_eq!(pull.socket.last_endpoint().unwrap(), address);
        let other = bench.socket(SocketType::Pull);
        assert_eq!(other.socket.bind(&address).unwrap_err().errno(), libc::EADDRINUSE, "{transport}");
        pull.socket.unbind(&address).unwrap();
        assert!(matches!(pull.socket.unbind(&address), Err(Error::NoEndpoint)));
        if transport != "ipc" {
            other.socket.bind(&address).unwrap();
        }
        assert!(matches!(pull.socket.disconnect(&address), Err(Error::NoEndpoint)));
        pull.socket.connect(&address).unwrap();
        pull.socket.disconnect(&address).unwrap();
        assert!(matches!(pull.socket.disconnect(&address), Err(Error::NoEndpoint)));
    }
}

#[test]
fn a_socket_file_left_by_a_killed_process_is_replaced() {
    let bench = Bench::new();
    let path = std::env::temp_dir().join(format!("interproc-stale-{:08x}", super::super::random()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let pull = bench.socket(SocketType::Pull);
    pull.socket.bind(&format!("ipc://{}", path.display())).unwrap();
    pull.socket.close();
    assert!(!path.exists());
}

#[test]
fn sockets_of_two_threads_talk_by_inproc() {
    let bench = Bench::new();
    let pull = bench.socket(SocketType::Pull);
    let address = pull.socket.bind(&any("inproc")).unwrap();
    let context = Arc::clone(&bench.context);
    let thread = std::thread::spawn(move || {
        let bench = Bench::with(context);
        let push = bench.socket(SocketType::Push);
        push.socket.connect(&address).unwrap();
        let mut sent = 0;
        bench.until("5000 messages sent", || {
            while sent < 5000 && push.send(&[&sent.to_string()]).is_ok() {
                sent += 1;
            }
            sent == 5000
        });
        push.socket.close();
        bench.until("the end", || !push.socket.is_lingering());
    });
    let mut all = Vec::new();
    bench.until("5000 messages", || {
        all.extend(pull.take());
        all.len() == 5000
    });
    assert_eq!(all[4999], "4999");
    thread.join().unwrap();
}

#[test]
fn there_are_no_more_sockets_than_the_context_allows() {
    let bench = Bench::new();
    bench.context.set_max_sockets(1);
    let only = bench.socket(SocketType::Pull);
    let log = Rc::new(Log::default());
    let second = Socket::new(&bench.reactor, &bench.context, SocketType::Pull, Options::default(), log);
    assert_eq!(second.unwrap_err().errno(), libc::EMFILE);
    only.socket.close();
    bench.until("a place", || !only.socket.is_lingering());
    bench.socket(SocketType::Pull);
}

#[test]
fn a_monitor_hears_of_binding_connecting_and_ends() {
    let bench = Bench::new();
    let (pull, push) = (bench.socket(SocketType::Pull), bench.socket(SocketType::Push));
    pull.socket.observe(true);
    push.socket.observe(true);
    let address = pull.socket.bind("tcp://127.0.0.1:*").unwrap();
    push.socket.connect(&address).unwrap();
    bench.until("both handshakes", || {
        let done = |peer: &Peer| peer.log.events.borrow().iter().any(|event| matches!(event, Event::Handshake(_)));
        done(&pull) && done(&push)
    });
    assert!(matches!(&pull.log.events.borrow()[..2], [Event::Bind(at), Event::Accept(_)] if *at == address));
    assert!(matches!(&push.log.events.borrow()[..2], [Event::ConnectDelay(_), Event::Connect(_)]));
    push.socket.close();
    bench
        .until("the disconnect", || pull.log.events.borrow().iter().any(|event| matches!(event, Event::Disconnect(_))));
}
