//! What is known of the other side once the handshake is over.

use super::metadata::Metadata;
use super::{Identity, Properties, SocketType};

/// The other side of a connection, as its greeting and READY present it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub(super) is_3_1: bool,
    pub(super) socket_type: Option<SocketType>,
    pub(super) identity: Option<Identity>,
    pub(super) metadata: Metadata,
}

impl Peer {
    /// Whether it speaks ZMTP 3.1 or later: it knows PING, SUBSCRIBE and CANCEL.
    #[must_use]
    pub fn is_3_1(&self) -> bool {
        self.is_3_1
    }

    /// Its type, compatible with ours; `None` when it named none.
    #[must_use]
    pub fn socket_type(&self) -> Option<SocketType> {
        self.socket_type
    }

    /// The identity that it announced; only of REQ, DEALER and ROUTER.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// All properties of its READY, Socket-Type and Identity among them.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        self.metadata.properties()
    }
}
