//! Two ZMTP connections, or one and a peer made of raw bytes, from the handshake to the end.

use interproc::zmtp::{Config, Identity, ProtocolError, SocketType, encode_message};

use crate::support::{End, Event, ends, exchange, greeting, ready, with_raw_peer};

fn frame(body: &[u8], more: bool) -> Event {
    Event::Frame(body.to_vec(), more)
}

#[test]
fn all_compatible_types_connect_and_all_others_are_refused_by_name() {
    for ours in SocketType::ALL {
        for theirs in SocketType::ALL {
            let (mut a, mut b) = (End::new(&Config::new(ours)), End::new(&Config::new(theirs)));
            let result = exchange(&mut a, &mut b, 0);
            if ours.is_compatible(theirs) {
                assert_eq!(result, Ok(()), "{ours} {theirs}");
                assert_eq!(a.connection.peer().unwrap().socket_type(), Some(theirs));
            } else {
                assert_eq!(result, Err(ProtocolError::IncompatibleSocketType(Some(ours))));
                assert_eq!((a.events(), b.events()), (vec![], vec![]));
                let error = b.sent();
                assert_eq!(&error[2..8], b"\x05ERROR");
                assert!(error.ends_with(b"of the peer is not compatible"));
            }
        }
    }
}

#[test]
fn greeting_and_ready_are_sent_without_waiting() {
    let mut end = End::new(&Config::new(SocketType::Push));
    assert_eq!(end.sent(), greeting(1));
    end.feed(&greeting(1), 0).unwrap();
    assert_eq!(end.sent(), ready("PUSH"));
    assert_eq!(end.events(), []);
}

#[test]
fn a_peer_may_send_everything_at_once() {
    let mut end = End::new(&Config::new(SocketType::Pull));
    let mut bytes = [&greeting(1)[..], &ready("PUSH")].concat();
    encode_message(&["a", "b"], &mut bytes);
    end.feed(&bytes, 0).unwrap();
    assert_eq!(end.events(), [Event::Ready, frame(b"a", true), frame(b"b", false)]);
}

#[test]
fn identities_and_metadata_reach_the_peer() {
    let identity = Identity::new(b"worker-1");
    let dealer = Config { identity: identity.clone(), ..Config::new(SocketType::Dealer) };
    let (dealer, router) = ends(&dealer, &Config::new(SocketType::Router));
    let peer = router.connection.peer().unwrap();
    assert_eq!(peer.identity(), identity.as_ref());
    assert!(peer.is_3_1());
    let properties: Vec<_> = peer.properties().collect();
    assert_eq!(properties, [(&b"Socket-Type"[..], &b"DEALER"[..]), (b"Identity", b"worker-1")]);
    assert_eq!(dealer.connection.peer().unwrap().identity(), None);
}

#[test]
fn a_ready_without_a_type_is_taken() {
    let mut end = End::new(&Config::new(SocketType::Pull));
    end.feed(&[&greeting(1)[..], b"\x04\x06\x05READY"].concat(), 0).unwrap();
    assert_eq!(end.connection.peer().unwrap().socket_type(), None);
}

#[test]
fn an_error_instead_of_ready_is_the_peers_last_word() {
    let mut end = End::new(&Config::new(SocketType::Pull));
    end.feed(&greeting(1), 0).unwrap();
    let error = end.feed(b"\x04\x0a\x05ERROR\x03400", 0).unwrap_err();
    assert_eq!(error.auth_status(), Some(400));
    assert!(!error.may_reconnect());
}

#[test]
fn subscriptions_are_commands_for_3_1_peers_and_messages_for_3_0() {
    let (mut wire, topic) = (Vec::new(), [b't'; 300]);
    let mut new = with_raw_peer(&Config::new(SocketType::Sub), 1, "PUB");
    new.connection.subscribe(b"ab", &mut wire);
    new.connection.cancel(b"", &mut wire);
    assert_eq!(wire, b"\x04\x0c\x09SUBSCRIBEab\x04\x07\x06CANCEL");

    wire.clear();
    let mut old = with_raw_peer(&Config::new(SocketType::Sub), 0, "PUB");
    old.connection.subscribe(b"ab", &mut wire);
    old.connection.cancel(b"", &mut wire);
    assert_eq!(wire, b"\0\x03\x01ab\0\x01\0");

    // 246 to 255 bytes are a short topic but a long command: libzmq had this wrong.
    for len in [0, 1, 245, 246, 255, 256, 300] {
        for minor in [0, 1] {
            let mut sub = with_raw_peer(&Config::new(SocketType::XSub), minor, "XPUB");
            let mut publisher = with_raw_peer(&Config::new(SocketType::XPub), minor, "XSUB");
            let mut wire = Vec::new();
            sub.connection.subscribe(&topic[..len], &mut wire);
            sub.connection.cancel(&topic[..len], &mut wire);
            publisher.feed(&wire, 0).unwrap();
            let topic = topic[..len].to_vec();
            assert_eq!(publisher.events(), [Event::Subscribe(topic.clone()), Event::Cancel(topic)]);
        }
    }
}

#[test]
fn a_publisher_takes_both_forms_whatever_the_version() {
    for (kind, peer) in [(SocketType::Pub, "SUB"), (SocketType::XPub, "XSUB")] {
        for minor in [0, 1] {
            let mut end = with_raw_peer(&Config::new(kind), minor, peer);
            end.feed(b"\0\x02\x01a\0\x01\0\x04\x0b\x09SUBSCRIBEb\x04\x07\x06CANCEL", 0).unwrap();
            assert_eq!(
                end.events(),
                [
                    Event::Subscribe(b"a".to_vec()),
                    Event::Cancel(vec![]),
                    Event::Subscribe(b"b".to_vec()),
                    Event::Cancel(vec![]),
                ]
            );
        }
    }
}

#[test]
fn other_messages_of_a_subscriber_stay_messages() {
    let mut end = with_raw_peer(&Config::new(SocketType::XPub), 1, "XSUB");
    // empty; of another first byte; of two frames that both look like a subscription
    end.feed(b"\0\0\0\x01x\x01\x01\x01\0\x01\x01\0\x01\x01", 0).unwrap();
    assert_eq!(
        end.events(),
        [frame(b"", false), frame(b"x", false), frame(b"\x01", true), frame(b"\x01", false), Event::Subscribe(vec![]),]
    );
}

#[test]
fn what_looks_like_a_subscription_is_none_for_other_types() {
    let mut end = with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH");
    end.feed(b"\0\x02\x01a\x04\x0b\x09SUBSCRIBEb\x04\x07\x06CANCEL\x04\x06\x04JOINg", 0).unwrap();
    assert_eq!(end.events(), [frame(b"\x01a", false)]);
}

#[test]
fn commands_may_stand_between_the_frames_of_a_message() {
    let mut end = with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH");
    end.feed(b"\x01\x01a\x04\x09\x04PING\0\0hi\x04\x05\x04PONG\0\x01b", 0).unwrap();
    assert_eq!(end.events(), [frame(b"a", true), frame(b"b", false)]);
    assert_eq!(end.sent(), b"\x04\x07\x04PONGhi");
}

#[test]
fn an_error_in_the_traffic_ends_it() {
    let mut end = with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH");
    let error = end.feed(b"\0\x01a\x04\x09\x05ERROR\x02no\0\x01b", 0).unwrap_err();
    assert_eq!(error, ProtocolError::PeerError(b"no".as_slice().into()));
    assert_eq!(end.events(), [frame(b"a", false)]);
}

#[test]
fn a_sink_that_says_break_gets_nothing_more_until_it_asks() {
    let (mut push, mut pull) = ends(&Config::new(SocketType::Push), &Config::new(SocketType::Pull));
    let mut wire = Vec::new();
    for body in [b"a", b"b", b"c"] {
        push.connection.encode(body, false, &mut wire);
    }
    pull.inbox.pause_every = 2;
    let first = pull.connection.receive(&wire, 0, &mut pull.inbox).unwrap();
    assert_eq!((first.consumed, first.need), (6, 0));
    let second = pull.connection.receive(&wire[6..], 0, &mut pull.inbox).unwrap();
    assert_eq!((second.consumed, second.need), (3, 1));
    assert_eq!(pull.inbox.events.len(), 3);
}

#[test]
fn need_is_the_whole_frame_as_soon_as_its_length_is_known() {
    let mut end = with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH");
    let mut wire = Vec::new();
    encode_message(&[vec![1; 100_000]], &mut wire);
    for (given, need) in [(0, 1), (1, 2), (8, 9), (9, 100_009), (10, 100_009), (100_008, 100_009)] {
        let received = end.connection.receive(&wire[..given], 0, &mut end.inbox).unwrap();
        assert_eq!((received.consumed, received.need), (0, need), "{given} bytes given");
    }
    end.feed(&wire, 0).unwrap();
    assert_eq!(end.events(), [frame(&[1; 100_000], false)]);
}

#[test]
fn size_limits_hold_for_frames_and_for_messages_and_before_the_body_comes() {
    let config = Config { max_message_size: Some(300), ..Config::new(SocketType::Pull) };
    let accepted: [&[usize]; 4] = [&[300], &[0, 300], &[150, 150], &[299, 0, 1]];
    let refused: [&[usize]; 4] = [&[301], &[300, 1], &[1, 300], &[150, 150, 1]];
    for (cases, fits) in [(accepted, true), (refused, false)] {
        for parts in cases {
            let mut end = with_raw_peer(&config, 1, "PUSH");
            let parts: Vec<_> = parts.iter().map(|&len| vec![0; len]).collect();
            let mut wire = Vec::new();
            encode_message(&parts, &mut wire);
            // a message does not count for the next
            encode_message(&parts, &mut wire);
            assert_eq!(end.feed(&wire, 0).is_ok(), fits, "{parts:?}");
        }
    }
    let mut end = with_raw_peer(&config, 1, "PUSH");
    assert_eq!(end.feed(b"\x02\0\0\0\0\0\0\x01\x2d", 0), Err(ProtocolError::MessageTooBig));

    let mut end = with_raw_peer(&config, 1, "PUSH");
    let mut wire = [1, 0].repeat(1024);
    assert_eq!(end.feed(&wire, 0), Ok(()));
    wire.truncate(2);
    assert_eq!(end.feed(&wire, 0), Err(ProtocolError::MessageTooBig));
}

#[test]
fn command_limits_hold_before_and_after_the_handshake() {
    let mut end = End::new(&Config::new(SocketType::Pub));
    end.feed(&greeting(1), 0).unwrap();
    let error = end.feed(b"\x06\0\0\0\0\0\x01\0\x01", 0).unwrap_err();
    assert_eq!(error, ProtocolError::CommandTooBig(65_537));

    let config = Config { max_command_size: 300, ..Config::new(SocketType::Pub) };
    let mut end = with_raw_peer(&config, 1, "SUB");
    let mut subscriber = with_raw_peer(&Config::new(SocketType::Sub), 1, "PUB");
    let mut wire = Vec::new();
    subscriber.connection.subscribe(&[0; 290], &mut wire);
    end.feed(&wire, 0).unwrap();
    assert_eq!(end.events(), [Event::Subscribe(vec![0; 290])]);
    wire.clear();
    subscriber.connection.subscribe(&[0; 291], &mut wire);
    assert_eq!(end.feed(&wire, 0), Err(ProtocolError::CommandTooBig(301)));
}

#[test]
fn a_handshake_has_a_deadline() {
    let mut end = End::new(&Config::new(SocketType::Pull));
    assert_eq!(end.connection.poll_timeout(), Some(30_000));
    end.feed(&greeting(1), 29_999).unwrap();
    assert_eq!(end.connection.tick(29_999), Ok(()));
    assert_eq!(end.connection.tick(30_000), Err(ProtocolError::HandshakeTimeout));
    assert_eq!(end.feed(&ready("PUSH"), 30_001), Err(ProtocolError::HandshakeTimeout));

    let mut done = with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH");
    assert_eq!(done.connection.poll_timeout(), None);
    assert_eq!(done.connection.tick(u64::MAX), Ok(()));

    let config = Config { handshake_interval: 0, ..Config::new(SocketType::Pull) };
    let mut patient = End::new(&config);
    assert_eq!(patient.connection.poll_timeout(), None);
    assert_eq!(patient.connection.tick(u64::MAX), Ok(()));
}
