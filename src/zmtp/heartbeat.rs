//! Heartbeats: when to send PING, and when silence means that the peer is gone (RFC 37, "Connection Heartbeating").
//!
//! Any bytes are a sign of life. As in libzmq, silence counts from a PING on: ours (`heartbeat_timeout`), or the peer's
//! if it names a time to live.

use super::{Config, ProtocolError};

/// While more bytes than this wait in the outbox, no PING or PONG is added: the peer does not read what is there.
pub const OUTBOX_LIMIT: usize = 4096;

#[derive(Debug)]
pub(super) struct Heartbeat {
    /// Milliseconds; 0: no PING.
    interval: u64,
    /// Milliseconds; 0: no time-out.
    timeout: u64,
    /// What our PING says: tenths of a second.
    ttl: u16,
    next_ping: Option<u64>,
    answer_by: Option<u64>,
    traffic_by: Option<u64>,
    /// We do not read, so that silence means nothing.
    paused: bool,
}

impl Heartbeat {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            interval: config.heartbeat_interval,
            timeout: config.heartbeat_timeout.unwrap_or(config.heartbeat_interval),
            ttl: u16::try_from(config.heartbeat_ttl / 100).unwrap_or(u16::MAX),
            next_ping: None,
            answer_by: None,
            traffic_by: None,
            paused: false,
        }
    }

    /// The handshake is over. A 3.0 peer gets no PING: it would not know it.
    pub(super) fn start(&mut self, peer_is_3_1: bool, now: u64) {
        if peer_is_3_1 && self.interval > 0 {
            self.next_ping = Some(now.saturating_add(self.interval));
        }
    }

    /// We read, and `something` came or nothing.
    #[inline]
    pub(super) fn heard(&mut self, something: bool) {
        if something {
            self.answer_by = None;
            self.traffic_by = None;
        }
        self.paused = false;
    }

    /// We stop reading, until [`heard`](Self::heard).
    pub(super) fn pause(&mut self) {
        self.heard(true);
        self.paused = true;
    }

    /// The peer's PING came; `ttl` is in tenths of a second.
    pub(super) fn ping(&mut self, ttl: u16, now: u64) {
        if ttl > 0 {
            self.traffic_by = Some(now.saturating_add(u64::from(ttl) * 100));
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<u64> {
        [self.next_ping, self.answer_by, self.traffic_by].into_iter().flatten().min()
    }

    /// Does what is due. `Some(ttl)`: send a PING with this time to live.
    pub(super) fn tick(&mut self, now: u64) -> Result<Option<u16>, ProtocolError> {
        let due = |deadline: Option<u64>| deadline.is_some_and(|at| at <= now);
        if due(self.answer_by) {
            return Err(ProtocolError::HeartbeatTimeout);
        }
        if due(self.traffic_by) {
            return Err(ProtocolError::TimeToLiveExpired);
        }
        if !due(self.next_ping) {
            return Ok(None);
        }
        self.next_ping = Some(now.saturating_add(self.interval));
        if self.answer_by.is_none() && self.timeout > 0 && !self.paused {
            self.answer_by = Some(now.saturating_add(self.timeout));
        }
        Ok(Some(self.ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zmtp::SocketType;

    fn heartbeat(interval: u64, timeout: Option<u64>, ttl: u64) -> Heartbeat {
        Heartbeat::new(&Config {
            heartbeat_interval: interval,
            heartbeat_timeout: timeout,
            heartbeat_ttl: ttl,
            ..Config::new(SocketType::Pair)
        })
    }

    #[test]
    fn off_by_default_and_for_3_0_peers() {
        let mut off = heartbeat(0, None, 0);
        off.start(true, 5);
        assert_eq!((off.deadline(), off.tick(u64::MAX)), (None, Ok(None)));
        let mut old = heartbeat(100, None, 0);
        old.start(false, 5);
        assert_eq!((old.deadline(), old.tick(u64::MAX)), (None, Ok(None)));
    }

    #[test]
    fn pings_go_out_at_the_interval_and_silence_is_the_end() {
        let mut heartbeat = heartbeat(100, Some(250), 3_099);
        heartbeat.start(true, 1_000);
        assert_eq!(heartbeat.deadline(), Some(1_100));
        assert_eq!(heartbeat.tick(1_099), Ok(None));
        assert_eq!(heartbeat.tick(1_100), Ok(Some(30)));
        assert_eq!(heartbeat.tick(1_100), Ok(None));
        assert_eq!(heartbeat.tick(1_200), Ok(Some(30)));
        assert_eq!(heartbeat.tick(1_300), Ok(Some(30)));
        // the time-out runs from the first PING that had no answer
        assert_eq!(heartbeat.deadline(), Some(1_350));
        assert_eq!(heartbeat.tick(1_350), Err(ProtocolError::HeartbeatTimeout));
    }

    #[test]
    fn any_traffic_is_life() {
        let mut heartbeat = heartbeat(100, None, 0);
        heartbeat.start(true, 0);
        for now in (100..2_000).step_by(100) {
            assert_eq!(heartbeat.tick(now), Ok(Some(0)));
            assert_eq!(heartbeat.answer_by, Some(now + 100));
            heartbeat.heard(true);
        }
    }

    #[test]
    fn a_zero_timeout_never_ends_it() {
        let mut heartbeat = heartbeat(100, Some(0), 0);
        heartbeat.start(true, 0);
        assert_eq!(heartbeat.tick(100), Ok(Some(0)));
        assert_eq!(heartbeat.tick(1_000_000), Ok(Some(0)));
    }

    /// libzmq multiplies in 16 bits and so shortens a long time to live.
    #[test]
    fn the_peers_time_to_live_counts_from_its_ping() {
        let mut heartbeat = heartbeat(0, None, 0);
        heartbeat.start(true, 0);
        heartbeat.ping(0, 10);
        assert_eq!(heartbeat.deadline(), None);
        heartbeat.ping(u16::MAX, 10);
        assert_eq!(heartbeat.deadline(), Some(6_553_510));
        assert_eq!(heartbeat.tick(6_553_509), Ok(None));
        assert_eq!(heartbeat.tick(6_553_510), Err(ProtocolError::TimeToLiveExpired));
        heartbeat.heard(true);
        assert_eq!(heartbeat.deadline(), None);
    }

    #[test]
    fn silence_means_nothing_while_we_do_not_read() {
        let mut heartbeat = heartbeat(100, None, 0);
        heartbeat.start(true, 0);
        heartbeat.ping(1, 0);
        heartbeat.pause();
        assert_eq!(heartbeat.tick(100), Ok(Some(0)));
        assert_eq!(heartbeat.tick(10_000), Ok(Some(0)));
        heartbeat.heard(true);
        assert_eq!(heartbeat.tick(10_100), Ok(Some(0)));
        assert_eq!(heartbeat.tick(10_200), Err(ProtocolError::HeartbeatTimeout));
    }

    #[test]
    fn our_time_to_live_is_cut_to_what_the_wire_holds() {
        assert_eq!(heartbeat(1, None, 6_553_599).ttl, u16::MAX);
        assert_eq!(heartbeat(1, None, u64::MAX).ttl, u16::MAX);
        assert_eq!(heartbeat(1, None, 99).ttl, 0);
    }
}
