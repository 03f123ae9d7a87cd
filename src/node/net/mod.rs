//! Stream sockets for JavaScript: [`NetStream`] and [`NetListener`](listener::NetListener), one native object per socket.
//!
//! Results are 0 or more, or a negative errno. Events reach one JavaScript function per object, called with a number:
//! see `event` in `stream.rs`. An object that was closed, or whose stream has ended by itself, answers `-EBADF`.

mod address;
mod descriptor;
mod listener;
mod stream;

pub(super) use address::{SocketName, interface_index, ip, named};
pub(super) use descriptor::is_not_open;
use stream::NetStream;
