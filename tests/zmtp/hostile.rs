//! Peers that lie, or that speak something else: each gets a clear error, and nothing worse.
//!
//! The named cases are faults that libzmq or another implementation had once.

use interproc::zmtp::{Config, Identity, MAX_FRAMES, MAX_MESSAGE, ProtocolError, SocketType, encode_message};

use crate::support::{End, Event, greeting, ready, with_raw_peer};

fn pull() -> End {
    with_raw_peer(&Config::new(SocketType::Pull), 1, "PUSH")
}

fn long(flags: u8, size: u64) -> Vec<u8> {
    [&[flags][..], &size.to_be_bytes()].concat()
}

#[test]
fn other_protocols_are_refused_at_their_first_bytes() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", // TLS
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0",
        b"\xff\0\0\0\0\0\0\0\x01\0",   // ZMTP 1.0, a long frame: unversioned
        b"\xff\0\0\0\0\0\0\0\x01\x7e", // the last byte of the signature is wrong
        b"\x01\0",                     // ZMTP 1.0, an empty identity
        b"\x05\0abcd",                 // ZMTP 1.0, an identity
    ] {
        for cut in 1..=bytes.len() {
            let mut end = End::new(&Config::new(SocketType::Pull));
            let result = end.feed(&bytes[..cut], 0);
            let known = bytes[0] != 0xFF || cut > 9;
            let expected = if known { Err(ProtocolError::NotZmtp) } else { Ok(()) };
            assert_eq!(result, expected, "{}", bytes[..cut].escape_ascii());
        }
    }
}

/// libzmq 4.3.5 takes these on NULL sockets (#4932), and took them on others once (#1273, a downgrade attack).
#[test]
fn older_versions_are_refused_as_soon_as_they_say_so() {
    for (major, rest) in [(0, &b""[..]), (1, b"\x08\0\0"), (2, b"\x01")] {
        let bytes = [&greeting(0)[..10], &[major], rest].concat();
        let mut end = End::new(&Config::new(SocketType::Pull));
        assert_eq!(end.feed(&bytes[..10], 0), Ok(()));
        assert_eq!(end.feed(&bytes[10..], 0), Err(ProtocolError::UnsupportedVersion(major)));
        assert_eq!(end.events(), []);
    }
}

#[test]
fn other_mechanisms_are_refused() {
    for name in [&b"PLAIN"[..], b"CURVE", b"GSSAPI", b"", b"null", b"NULLX", b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x"] {
        let mut bytes = greeting(1);
        bytes[12..32].fill(0);
        bytes[12..12 + name.len()].copy_from_slice(name);
        let mut end = End::new(&Config::new(SocketType::Pull));
        end.sent();
        let error = end.feed(&bytes, 0).unwrap_err();
        assert_eq!(error.code(), "ERR_ZMTP_MECHANISM_MISMATCH");
        assert_eq!(end.sent(), b"", "nothing is told to such a peer");
    }
}

/// zmq.rs 0.7 aborts the process on these, rzmq had a capacity overflow, CVE-2019-6250 was an integer overflow.
#[test]
fn lengths_near_the_ends_of_integers() {
    for shift in 33..63 {
        for size in [(1 << shift) - 1, 1 << shift, (1 << shift) + 1] {
            for flags in [2, 3] {
                for limit in [None, Some(1 << 20), Some(u64::MAX)] {
                    let config = Config { max_message_size: limit, ..Config::new(SocketType::Pull) };
                    let mut end = with_raw_peer(&config, 1, "PUSH");
                    assert_eq!(end.feed(&long(flags, size), 0), Err(ProtocolError::MessageTooBig));
                }
            }
            assert_eq!(pull().feed(&long(6, size), 0), Err(ProtocolError::CommandTooBig(size)));
        }
    }
    for size in [1 << 63, (1 << 63) + 1, u64::MAX - 9, u64::MAX] {
        for flags in [2, 3, 6] {
            assert_eq!(pull().feed(&long(flags, size), 0), Err(ProtocolError::MessageTooBig));
        }
    }
}

/// No limit that the user sets, or leaves unset, makes a message without bound: neither one frame nor their sum, which
/// must not wrap either.
#[test]
fn a_message_has_a_bound_of_its_own() {
    for limit in [None, Some(MAX_MESSAGE), Some(u64::MAX >> 1), Some(u64::MAX)] {
        let config = Config { max_message_size: limit, ..Config::new(SocketType::Pull) };
        for (before, size, fits) in [
            (&b""[..], MAX_MESSAGE, true),
            (b"", MAX_MESSAGE + 1, false),
            (b"\x01\x05hello", MAX_MESSAGE - 5, true),
            (b"\x01\x05hello", MAX_MESSAGE - 4, false),
            (b"\x01\x05hello", u64::MAX >> 1, false),
            (b"\0\x05hello", MAX_MESSAGE, true),
        ] {
            for flags in [2, 3] {
                let mut end = with_raw_peer(&config, 1, "PUSH");
                end.feed(before, 0).unwrap();
                let result = end.feed(&long(flags, size), 0);
                assert_eq!(result, if fits { Ok(()) } else { Err(ProtocolError::MessageTooBig) });
            }
        }
    }
}

#[test]
fn without_a_limit_the_frames_of_a_message_are_counted_all_the_same() {
    let mut end = pull();
    let run = [1, 0].repeat(1 << 16);
    for _ in 0..MAX_FRAMES >> 16 {
        assert_eq!(end.feed(&run, 0), Ok(()));
        end.events();
    }
    assert_eq!(end.feed(&[0, 0], 0), Err(ProtocolError::MessageTooBig));
    assert_eq!(end.events(), []);
}

#[test]
fn empty_frames_without_end_are_a_message_too_big() {
    let config = Config { max_message_size: Some(10_000), ..Config::new(SocketType::Pull) };
    let mut end = with_raw_peer(&config, 1, "PUSH");
    let error = (0..1_000).find_map(|_| end.feed(&[1, 0].repeat(1_000), 0).err());
    assert_eq!(error, Some(ProtocolError::MessageTooBig));
    assert_eq!(end.events().len(), 10_000);
}

#[test]
fn flags_outside_the_grammar_end_it() {
    for flags in 0..=255 {
        let result = pull().feed(&[flags], 0);
        if [0, 1, 2, 3, 4, 6].contains(&flags) {
            assert_eq!(result, Ok(()));
        } else {
            assert_eq!(result, Err(ProtocolError::InvalidFlags(flags)));
        }
    }
}

#[test]
fn messages_and_other_commands_before_ready_are_refused() {
    for bytes in [
        &b"\0\x01x"[..],
        b"\x01\0",
        b"\x02\0\0\0\0\0\0\x01\0",
        b"\x04\x07\x04PING\0\0",
        b"\x04\x0a\x09SUBSCRIBE",
        b"\x04\x06\x05HELLO",
    ] {
        let mut end = End::new(&Config::new(SocketType::Pub));
        end.feed(&greeting(1), 0).unwrap();
        assert_eq!(end.feed(bytes, 0), Err(ProtocolError::UnexpectedCommand));
        assert_eq!(end.events(), []);
    }
}

/// RFC 37 has one READY; libzmq ignores commands that it does not know after the handshake, but sends none of them.
#[test]
fn unknown_commands_end_it_and_so_does_a_second_ready() {
    for bytes in [&ready("DEALER")[..], b"\x04\x09\x08WHATEVER", b"\x04\x05\x04ping", b"\x04\x06\x05HELLOx"] {
        let mut end = pull();
        let before = end.connection.peer().cloned();
        assert_eq!(end.feed(&[b"\0\x01a", bytes, b"\0\x01b"].concat(), 0), Err(ProtocolError::UnexpectedCommand));
        assert_eq!(end.connection.peer().cloned(), before);
        assert_eq!(end.events(), [Event::Frame(b"a".to_vec(), false)]);
    }
}

/// CVE-2019-13132 was a stack overflow in this metadata.
#[test]
fn metadata_is_held_to_its_grammar() {
    let ready = |metadata: &[u8]| {
        let body = [b"\x05READY", metadata].concat();
        let mut end = End::new(&Config::new(SocketType::Router));
        end.feed(&greeting(1), 0).unwrap();
        let error = end.feed(&[&long(6, body.len() as u64), &body[..]].concat(), 0).err();
        (error, end.connection.peer().cloned())
    };
    let property = |name: &[u8], value: &[u8]| {
        let len = u32::try_from(value.len()).unwrap().to_be_bytes();
        [&[u8::try_from(name.len()).unwrap()], name, &len, value].concat()
    };
    let dealer = property(b"Socket-Type", b"DEALER");
    for metadata in [&b"\x0bSocket-Type\xff\xff\xff\xffDEALER"[..], b"\x0bSocket-Type\0\0\0\x07DEALER", b"\xff", b"\0"]
    {
        assert_eq!(ready(metadata).0, Some(ProtocolError::MalformedReady));
    }
    for identity in [&[1; 256][..], &[1; 60_000], b"\0", b"\0abc"] {
        let metadata = [&dealer[..], &property(b"Identity", identity)].concat();
        assert_eq!(ready(&metadata).0, Some(ProtocolError::InvalidMetadata));
    }
    assert_eq!(ready(&property(b"Socket-Type", b"STREAM")).0, Some(ProtocolError::IncompatibleSocketType(None)));
    // many properties are fine up to the bound of the command
    let many = [&dealer[..], &property(b"X", b"").repeat(10_000)].concat();
    let (error, peer) = ready(&many);
    assert_eq!(error, None);
    assert_eq!(peer.unwrap().properties().count(), 10_001);
    let too_many = property(b"X", b"").repeat(11_000);
    assert_eq!(ready(&too_many).0, Some(ProtocolError::CommandTooBig(66_006)));
}

/// libzmq reads past a short PING, and takes 16 bits for its time to live in milliseconds.
#[test]
fn pings_of_every_length() {
    for len in 0..=300 {
        let body = [b"\x04PING", &vec![0xFF; len][..]].concat();
        let frame = if body.len() < 256 {
            [&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat()
        } else {
            [&long(6, body.len() as u64), &body[..]].concat()
        };
        let mut end = pull();
        let result = end.feed(&frame, 7);
        if len < 2 {
            assert_eq!(result, Err(ProtocolError::MalformedCommand));
        } else {
            let context = vec![0xFF; (len - 2).min(16)];
            let pong = [&[4, u8::try_from(5 + context.len()).unwrap()], &b"\x04PONG"[..], &context].concat();
            assert_eq!((result, end.sent()), (Ok(()), pong));
            assert_eq!(end.connection.poll_timeout(), Some(7 + 6_553_500));
        }
    }
}

#[test]
fn commands_whose_name_does_not_fit_end_it() {
    for bytes in [&b"\x04\0"[..], b"\x04\x01\0", b"\x04\x05\0PING", b"\x04\x05\x05PING", b"\x04\x05\xffPING"] {
        assert_eq!(pull().feed(bytes, 0), Err(ProtocolError::MalformedCommand));
    }
}

/// What a peer has sent when it dies in the middle, at every byte: nothing is made up, nothing is handed over twice.
#[test]
fn a_stream_cut_at_every_byte_gives_a_prefix() {
    let mut stream = [&greeting(1)[..], &ready("SUB")].concat();
    stream.extend_from_slice(b"\x04\x0b\x09SUBSCRIBEa\0\x02\x01b\x04\x0c\x04PING\0\x01abcde\x04\x07\x06CANCEL");
    encode_message(&[&b"x"[..], &[7; 300], b""], &mut stream);
    let mut whole = End::new(&Config::new(SocketType::XPub));
    whole.feed(&stream, 0).unwrap();
    let all = whole.events();
    assert_eq!(all.len(), 7);
    assert_eq!(whole.rest, b"");
    for cut in 0..stream.len() {
        let mut end = End::new(&Config::new(SocketType::XPub));
        end.feed(&stream[..cut], 0).unwrap();
        let events = end.events();
        assert!(all.starts_with(&events) && events.len() < all.len(), "{cut} bytes");
        end.feed(&stream[cut..], 0).unwrap();
        assert_eq!([events, end.events()].concat(), all, "{cut} bytes");
    }
}

#[test]
fn after_an_error_nothing_is_taken() {
    let mut end = pull();
    let error = end.feed(b"\0\x01a\x05", 0).unwrap_err();
    assert_eq!(end.events(), [Event::Frame(b"a".to_vec(), false)]);
    assert_eq!(end.connection.receive(b"\0\x01b", 1, &mut end.inbox), Err(error));
    assert_eq!(end.events(), []);
}

#[test]
fn no_identity_of_ours_can_break_the_rules() {
    for bytes in [&b""[..], b"\0x", &[1; 256]] {
        assert_eq!(Identity::new(bytes), None);
    }
}
