//! Socket types, and which may talk to which (RFC 37, "The Socket-Type Property").

use std::fmt;

/// The type of a socket, as READY names it.
///
/// The draft types (`Client` and those after it) are known by name, so that they can be refused by name: they are
/// compatible with nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum SocketType {
    Pair,
    Pub,
    Sub,
    Req,
    Rep,
    Dealer,
    Router,
    Pull,
    Push,
    XPub,
    XSub,
    Client,
    Server,
    Radio,
    Dish,
    Scatter,
    Gather,
    Peer,
    Channel,
}

use SocketType::{
    Channel, Client, Dealer, Dish, Gather, Pair, Peer, Pub, Pull, Push, Radio, Rep, Req, Router, Scatter, Server, Sub,
    XPub, XSub,
};

impl SocketType {
    /// All types, the eleven classic ones first.
    pub const ALL: [Self; 19] = [
        Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub, Client, Server, Radio, Dish, Scatter, Gather,
        Peer, Channel,
    ];

    /// The name on the wire, e.g. `"XPUB"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Pair => "PAIR",
            Pub => "PUB",
            Sub => "SUB",
            Req => "REQ",
            Rep => "REP",
            Dealer => "DEALER",
            Router => "ROUTER",
            Pull => "PULL",
            Push => "PUSH",
            XPub => "XPUB",
            XSub => "XSUB",
            Client => "CLIENT",
            Server => "SERVER",
            Radio => "RADIO",
            Dish => "DISH",
            Scatter => "SCATTER",
            Gather => "GATHER",
            Peer => "PEER",
            Channel => "CHANNEL",
        }
    }

    /// The type of that name; names are in capitals.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }

    /// Whether the two may be connected. Symmetric; false for every draft type.
    #[must_use]
    pub fn is_compatible(self, peer: Self) -> bool {
        matches!(
            (self, peer),
            (Req, Rep | Router)
                | (Rep, Req | Dealer)
                | (Dealer, Rep | Dealer | Router)
                | (Router, Req | Dealer | Router)
                | (Pub | XPub, Sub | XSub)
                | (Sub | XSub, Pub | XPub)
                | (Push, Pull)
                | (Pull, Push)
                | (Pair, Pair)
        )
    }

    /// Whether it belongs to a draft RFC.
    #[must_use]
    pub fn is_draft(self) -> bool {
        matches!(self, Client | Server | Radio | Dish | Scatter | Gather | Peer | Channel)
    }

    /// Whether it takes subscriptions: PUB, XPUB.
    #[must_use]
    pub fn is_publisher(self) -> bool {
        matches!(self, Pub | XPub)
    }

    /// Whether its READY names an identity: REQ, DEALER, ROUTER.
    #[must_use]
    pub fn has_identity(self) -> bool {
        matches!(self, Req | Dealer | Router)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_are_exact() {
        for kind in SocketType::ALL {
            assert_eq!(SocketType::from_name(kind.to_string().as_bytes()), Some(kind));
        }
        for name in [&b""[..], b"push", b"PUSH\0", b"PUS", b"STREAM", b"DGRAM"] {
            assert_eq!(SocketType::from_name(name), None);
        }
    }

    /// The table of RFC 37, row by row.
    #[test]
    fn compatibility_is_the_table_of_the_rfc() {
        let table = [
            (Pair, &[Pair][..]),
            (Pub, &[Sub, XSub]),
            (Sub, &[Pub, XPub]),
            (Req, &[Rep, Router]),
            (Rep, &[Req, Dealer]),
            (Dealer, &[Rep, Dealer, Router]),
            (Router, &[Req, Dealer, Router]),
            (Pull, &[Push]),
            (Push, &[Pull]),
            (XPub, &[Sub, XSub]),
            (XSub, &[Pub, XPub]),
        ];
        for (ours, counterparts) in table {
            for peer in SocketType::ALL {
                assert_eq!(ours.is_compatible(peer), counterparts.contains(&peer), "{ours} {peer}");
                assert_eq!(ours.is_compatible(peer), peer.is_compatible(ours));
            }
        }
        for draft in SocketType::ALL.into_iter().filter(|kind| kind.is_draft()) {
            assert!(SocketType::ALL.into_iter().all(|peer| !draft.is_compatible(peer)));
        }
        assert_eq!(SocketType::ALL.into_iter().filter(|kind| !kind.is_draft()).count(), 11);
    }
}
