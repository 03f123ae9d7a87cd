//! Addresses as JavaScript names them.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;

use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::net::Address;
use crate::node::env::errno;

/// An address as `socket.address()` gives it.
#[napi(object, object_from_js = false)]
pub(crate) struct SocketName {
    /// IP address, or path of a Unix socket (an abstract name begins with NUL)
    pub address: String,
    /// `IPv4` or `IPv6`; none for a path
    pub family: Option<&'static str>,
    /// none for a path
    pub port: Option<u16>,
}

pub(in crate::node) fn named(result: io::Result<Option<Address>>) -> Either<SocketName, i32> {
    match result {
        Ok(Some(Address::Ip(ip))) => Either::A(SocketName {
            // The interface is not part of it, as in Node.
            address: ip.ip().to_string(),
            family: Some(if ip.is_ipv4() { "IPv4" } else { "IPv6" }),
            port: Some(ip.port()),
        }),
        Ok(Some(Address::Unix(path))) => {
            Either::A(SocketName { address: path.to_string_lossy().into_owned(), family: None, port: None })
        }
        Ok(None) => Either::A(SocketName { address: String::new(), family: None, port: None }),
        Err(error) => Either::B(errno(&error)),
    }
}

/// `fe80::1%eth0`: the interface's name or number after the per cent sign.
pub(in crate::node) fn ip(host: &str, port: u16) -> Option<Address> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(Address::Ip(SocketAddr::new(ip, port)));
    }
    let (host, interface) = host.split_once('%')?;
    // An interface that is not there is 0, the system's choice, as libuv has it.
    let scope = interface.parse().ok().or_else(|| interface_index(interface)).unwrap_or(0);
    Some(Address::Ip(std::net::SocketAddrV6::new(host.parse().ok()?, port, 0, scope).into()))
}

pub(in crate::node) fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a NUL-terminated name.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

pub(super) fn unix(path: &[u8]) -> Address {
    Address::Unix(OsString::from_vec(path.to_vec()))
}
