//! Heartbeats between two ends, and against peers that abuse them.

use interproc::zmtp::{Config, OUTBOX_LIMIT, ProtocolError, SocketType};

use crate::support::{ends, with_raw_peer};

fn beating() -> Config {
    Config {
        heartbeat_interval: 100,
        heartbeat_timeout: Some(250),
        heartbeat_ttl: 500,
        ..Config::new(SocketType::Pair)
    }
}

#[test]
fn heartbeats_keep_a_quiet_connection_and_end_a_dead_one() {
    let (mut a, mut b) = ends(&beating(), &Config::new(SocketType::Pair));
    for now in (100..2_000).step_by(100) {
        assert_eq!(a.connection.poll_timeout(), Some(now));
        a.connection.tick(now).unwrap();
        let ping = a.sent();
        assert_eq!(ping, b"\x04\x07\x04PING\0\x05");
        b.feed(&ping, now).unwrap();
        assert_eq!(b.connection.poll_timeout(), Some(now + 500));
        let pong = b.sent();
        assert_eq!(pong, b"\x04\x05\x04PONG");
        a.feed(&pong, now).unwrap();
    }
    // b falls silent, and hears nothing: each sees it by its own measure
    a.connection.tick(2_000).unwrap();
    assert_eq!(a.connection.tick(2_249), Ok(()));
    assert_eq!(a.connection.tick(2_250), Err(ProtocolError::HeartbeatTimeout));
    assert_eq!(b.connection.tick(2_399), Ok(()));
    assert_eq!(b.connection.tick(2_400), Err(ProtocolError::TimeToLiveExpired));
}

#[test]
fn any_bytes_are_life_and_an_empty_read_is_none() {
    let (mut a, _) = ends(&beating(), &Config::new(SocketType::Pair));
    a.connection.tick(100).unwrap();
    a.feed(b"\0", 349).unwrap(); // the half of a header
    assert_eq!(a.connection.tick(350), Ok(()));
    a.connection.receive(&[], 360, &mut a.inbox).unwrap();
    assert_eq!(a.connection.tick(600), Err(ProtocolError::HeartbeatTimeout));
}

#[test]
fn a_peer_that_is_held_back_is_not_taken_for_dead() {
    let (mut a, _) = ends(&beating(), &Config::new(SocketType::Pair));
    a.inbox.pause_every = 1;
    let held = b"\0\x01x\0\x01y";
    assert_eq!(a.connection.receive(held, 0, &mut a.inbox).unwrap().consumed, 3);
    for now in (100..100_000).step_by(1_000) {
        assert_eq!(a.connection.tick(now), Ok(()));
    }
    assert_eq!(a.connection.receive(&held[3..], 100_000, &mut a.inbox).unwrap().consumed, 3);
    a.inbox.pause_every = 0;
    a.feed(b"", 100_001).unwrap();
    a.connection.tick(100_100).unwrap();
    assert_eq!(a.connection.tick(100_350), Err(ProtocolError::HeartbeatTimeout));
}

#[test]
fn a_3_0_peer_gets_no_ping_and_its_own_is_answered() {
    let mut end = with_raw_peer(&beating(), 0, "PAIR");
    assert_eq!(end.connection.poll_timeout(), None);
    end.connection.tick(1_000_000).unwrap();
    assert_eq!(end.sent(), b"");
    end.feed(b"\x04\x08\x04PING\0\0x", 0).unwrap();
    assert_eq!(end.sent(), b"\x04\x06\x04PONGx");
}

#[test]
fn who_asks_without_reading_fills_no_memory() {
    let mut end = with_raw_peer(&beating(), 1, "PAIR");
    let flood = b"\x04\x17\x04PING\0\x010123456789abcdef".repeat(10_000);
    end.feed(&flood, 0).unwrap();
    for now in (100..10_000_000).step_by(1_000) {
        end.feed(b"\0\0", now).unwrap();
        end.connection.tick(now).unwrap();
    }
    let sent = end.sent();
    assert!(sent.len() > OUTBOX_LIMIT && sent.len() < OUTBOX_LIMIT + 32, "{} bytes", sent.len());
    // once it is written, answers go on
    end.feed(&flood[..25], 10_000_000).unwrap();
    assert_eq!(end.sent(), b"\x04\x15\x04PONG0123456789abcdef");
}
