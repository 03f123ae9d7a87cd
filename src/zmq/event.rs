//! What a socket's monitor is told.

use crate::zmtp::ProtocolError;

/// Something that happened to an endpoint of a socket, named as zeromq.js names it. The first field is the endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Bound.
    Bind(String),
    /// Accepted a connection.
    Accept(String),
    /// Accepting failed, with the errno.
    AcceptError(String, i32),
    /// The transport of a connect stands; the handshake follows.
    Connect(String),
    /// A connect did not succeed at once.
    ConnectDelay(String),
    /// A connect will be tried again in so many milliseconds.
    ConnectRetry(String, u32),
    /// A listener was closed, or a connect given up.
    Close(String),
    /// A connection that had stood has ended.
    Disconnect(String),
    /// The handshake succeeded.
    Handshake(String),
    /// The handshake failed; `None`: the peer closed.
    HandshakeError(String, Option<ProtocolError>),
}
