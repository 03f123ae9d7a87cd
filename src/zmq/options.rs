//! What can be set on a socket, with libzmq's numbers and defaults.

use std::time::Duration;

use super::Error;
use crate::zmtp::{Config, Identity, SocketType};

/// The options of a socket. What concerns a connection is read when that is made; times are milliseconds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Messages that may wait for a peer to take them; 0: no limit.
    pub send_hwm: usize,
    /// Messages of a peer that may wait for us; 0: no limit.
    pub receive_hwm: usize,
    /// How long unsent messages outlive `close`: `None` for ever.
    pub linger: Option<Duration>,
    /// The pause before connecting again; `None`: never again.
    pub reconnect_interval: Option<u32>,
    /// The pause grows up to this; 0: it does not grow.
    pub reconnect_max: u32,
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// The longest message; `None`: as long as the peer sends.
    pub max_message_size: Option<u64>,
    /// Only peers whose connection stands count as peers to send to.
    pub immediate: bool,
    /// Bind and connect with IPv6 too.
    pub ipv6: bool,
    /// The identity that a peer's ROUTER shall know us by.
    pub identity: Option<Identity>,
    /// The routing id by which this ROUTER shall know the next peer that it connects to.
    pub connect_identity: Option<Box<[u8]>>,
    /// How long greeting and handshake may take; 0: for ever.
    pub handshake_interval: u64,
    /// A PING is sent this often; 0: never.
    pub heartbeat_interval: u64,
    /// How long to wait for traffic after a PING; `None`: as long as the interval.
    pub heartbeat_timeout: Option<u64>,
    /// The time to live that our PING names.
    pub heartbeat_ttl: u64,
    /// How long a connect may take; 0: as long as the system tries.
    pub connect_timeout: u64,
    /// Keep the newest message only.
    pub conflate: bool,
    /// ROUTER: sending to nobody is an error.
    pub mandatory: bool,
    /// ROUTER: a new peer may take over the routing id of an old one.
    pub handover: bool,
    /// Tell every ROUTER that we connect to that we are there, by an empty message.
    pub probe_router: bool,
    /// REQ: match replies to requests.
    pub correlate: bool,
    /// REQ: may send again without a reply.
    pub relaxed: bool,
    /// PUB, XPUB: say that there is no room instead of dropping.
    pub no_drop: bool,
    /// XPUB: hand over subscriptions that are not new, too.
    pub verbose: bool,
    /// XPUB: hand over cancels that are not the last, too.
    pub verboser: bool,
    /// XPUB: sent to each new subscriber.
    pub welcome: Option<Box<[u8]>>,
    /// PUB, SUB: hand over what does *not* match.
    pub invert_matching: bool,
    /// Kernel buffers; `None`: the system's default.
    pub send_buffer: Option<usize>,
    /// As above.
    pub receive_buffer: Option<usize>,
    /// `SO_KEEPALIVE` and what belongs to it; `None`: the system's default.
    pub keepalive: Option<bool>,
    /// `TCP_KEEPCNT`.
    pub keepalive_count: Option<u32>,
    /// `TCP_KEEPIDLE`, seconds.
    pub keepalive_idle: Option<u32>,
    /// `TCP_KEEPINTVL`, seconds.
    pub keepalive_interval: Option<u32>,
    /// `TCP_USER_TIMEOUT`; 0: the system's default.
    pub retransmit_timeout: u32,
    /// `IP_TOS`.
    pub type_of_service: u32,
    /// `SO_BINDTODEVICE`.
    pub interface: Option<Box<[u8]>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_hwm: 1000,
            receive_hwm: 1000,
            linger: None,
            reconnect_interval: Some(100),
            reconnect_max: 0,
            backlog: 100,
            max_message_size: None,
            immediate: false,
            ipv6: false,
            identity: None,
            connect_identity: None,
            handshake_interval: 30_000,
            heartbeat_interval: 0,
            heartbeat_timeout: None,
            heartbeat_ttl: 0,
            connect_timeout: 0,
            conflate: false,
            mandatory: false,
            handover: false,
            probe_router: false,
            correlate: false,
            relaxed: false,
            no_drop: false,
            verbose: false,
            verboser: false,
            welcome: None,
            invert_matching: false,
            send_buffer: None,
            receive_buffer: None,
            keepalive: None,
            keepalive_count: None,
            keepalive_idle: None,
            keepalive_interval: None,
            retransmit_timeout: 0,
            type_of_service: 0,
            interface: None,
        }
    }
}

impl Options {
    /// Sets an option by its number in zmq.h. Booleans are 0 and 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that we do not know and for a value that cannot be.
    pub fn set_number(&mut self, option: u32, value: i64) -> Result<(), Error> {
        let flag = || match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid),
        };
        match option {
            11 => self.send_buffer = positive(value)?,
            12 => self.receive_buffer = positive(value)?,
            17 => self.linger = duration(value)?,
            18 => self.reconnect_interval = positive(value)?,
            19 => self.backlog = natural(value)?,
            21 => self.reconnect_max = natural(value)?,
            22 => self.max_message_size = positive(value)?,
            23 => self.send_hwm = natural(value)?,
            24 => self.receive_hwm = natural(value)?,
            33 => self.mandatory = flag()?,
            34 => self.keepalive = positive::<u8>(value)?.map(|on| on != 0),
            35 => self.keepalive_count = positive(value)?,
            36 => self.keepalive_idle = positive(value)?,
            37 => self.keepalive_interval = positive(value)?,
            39 => self.immediate = flag()?,
            40 => (self.verbose, self.verboser) = (flag()?, false),
            42 => self.ipv6 = flag()?,
            51 => self.probe_router = flag()?,
            52 => self.correlate = flag()?,
            53 => self.relaxed = flag()?,
            54 => self.conflate = flag()?,
            56 => self.handover = flag()?,
            57 => self.type_of_service = natural(value)?,
            66 => self.handshake_interval = natural(value)?,
            69 => self.no_drop = flag()?,
            74 => self.invert_matching = flag()?,
            75 => self.heartbeat_interval = natural(value)?,
            // libzmq keeps it in tenths of a second, of which the wire takes 16 bits.
            76 if (0..=6_553_599).contains(&value) => self.heartbeat_ttl = natural(value)?,
            77 => self.heartbeat_timeout = positive(value)?,
            78 => (self.verbose, self.verboser) = (flag()?, flag()?),
            79 => self.connect_timeout = natural(value)?,
            80 => self.retransmit_timeout = natural(value)?,
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    /// Sets an option that is a text, by its number in zmq.h; `None` clears it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that we do not know and for a value that cannot be.
    pub fn set_bytes(&mut self, option: u32, value: Option<&[u8]>) -> Result<(), Error> {
        match option {
            5 => self.identity = Some(value.and_then(Identity::new).ok_or(Error::Invalid)?),
            61 => {
                let id = value.filter(|id| (1..=255).contains(&id.len()) && id[0] != 0).ok_or(Error::Invalid)?;
                self.connect_identity = Some(id.into());
            }
            72 => self.welcome = value.filter(|text| !text.is_empty()).map(Into::into),
            92 => self.interface = value.filter(|name| !name.is_empty() && name.len() < 16).map(Into::into),
            _ => return Err(Error::Invalid),
        }
        Ok(())
    }

    /// What a connection needs to know.
    pub(super) fn config(&self, kind: SocketType) -> Config {
        let mut config = Config::new(kind);
        config.identity.clone_from(&self.identity);
        config.max_message_size = self.max_message_size;
        config.handshake_interval = self.handshake_interval;
        config.heartbeat_interval = self.heartbeat_interval;
        config.heartbeat_timeout = self.heartbeat_timeout;
        config.heartbeat_ttl = self.heartbeat_ttl;
        config
    }
}

/// -1 stands for "not set".
fn positive<T: TryFrom<i64>>(value: i64) -> Result<Option<T>, Error> {
    if value == -1 { Ok(None) } else { natural(value).map(Some) }
}

fn natural<T: TryFrom<i64>>(value: i64) -> Result<T, Error> {
    if value < 0 {
        return Err(Error::Invalid);
    }
    T::try_from(value).map_err(|_| Error::Invalid)
}

fn duration(value: i64) -> Result<Option<Duration>, Error> {
    Ok(positive(value)?.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked_before_they_are_set() {
        let mut options = Options::default();
        options.set_number(23, 7).unwrap();
        options.set_number(17, 250).unwrap();
        options.set_number(18, -1).unwrap();
        assert_eq!(options.send_hwm, 7);
        assert_eq!(options.linger, Some(Duration::from_millis(250)));
        assert_eq!(options.reconnect_interval, None);
        for (option, value) in [(23, -1), (17, -2), (39, 2), (76, 6_553_600), (9999, 0), (19, i64::MAX)] {
            assert!(options.set_number(option, value).is_err(), "{option} {value}");
        }
    }

    #[test]
    fn a_routing_id_is_one_to_255_bytes_and_not_reserved() {
        let mut options = Options::default();
        assert!(options.set_bytes(5, Some(b"")).is_err());
        assert!(options.set_bytes(5, Some(b"\0a")).is_err());
        assert!(options.set_bytes(5, None).is_err());
        options.set_bytes(5, Some(b"me")).unwrap();
        assert_eq!(options.identity.unwrap().as_bytes(), b"me");
    }
}
