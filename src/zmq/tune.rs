//! Options that are the descriptor's.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::Options;

/// Sets what the options say about a descriptor, as far as it has that: a Unix socket has no keep-alive.
pub(super) fn tune(fd: BorrowedFd<'_>, options: &Options) {
    let socket = SockRef::from(&fd);
    // Each may fail where the kind of socket does not have it; libzmq goes on, too.
    let _ = socket.set_tcp_nodelay(true);
    if let Some(size) = options.send_buffer {
        let _ = socket.set_send_buffer_size(size);
    }
    if let Some(size) = options.receive_buffer {
        let _ = socket.set_recv_buffer_size(size);
    }
    if let Some(on) = options.keepalive {
        let _ = socket.set_keepalive(on);
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = options.keepalive_idle {
            keepalive = keepalive.with_time(Duration::from_secs(idle.into()));
        }
        if let Some(interval) = options.keepalive_interval {
            keepalive = keepalive.with_interval(Duration::from_secs(interval.into()));
        }
        if let Some(count) = options.keepalive_count {
            keepalive = keepalive.with_retries(count);
        }
        let _ = socket.set_tcp_keepalive(&keepalive);
    }
    if options.type_of_service > 0 {
        let _ = socket.set_tos_v4(options.type_of_service);
    }
    #[cfg(target_os = "linux")]
    if options.retransmit_timeout > 0 {
        let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(options.retransmit_timeout.into())));
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = &options.interface {
        let _ = socket.bind_device(Some(name));
    }
}
