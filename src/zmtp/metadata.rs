//! Metadata: the list of properties that READY carries (RFC 37, "Connection Metadata").

use super::{Identity, ProtocolError, SocketType};

const SOCKET_TYPE: &[u8] = b"Socket-Type";
const IDENTITY: &[u8] = b"Identity";

/// The properties of a peer: pairs of name and value, in the order sent.
#[derive(Debug, Clone)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (property, rest) = split_property(self.0)?;
        self.0 = rest;
        Some(property)
    }
}

/// Metadata that follows the grammar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata(Box<[u8]>);

/// The two properties that mean something to the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// `None`: the peer named no type.
    pub(super) socket_type: Option<SocketType>,
    pub(super) identity: Option<Identity>,
}

impl Metadata {
    /// Checks and copies the data of a READY.
    pub(super) fn decode(data: &[u8]) -> Result<Self, ProtocolError> {
        let mut rest = data;
        while !rest.is_empty() {
            (_, rest) = split_property(rest).ok_or(ProtocolError::MalformedReady)?;
        }
        Ok(Self(data.into()))
    }

    pub(super) fn properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }

    /// Reads what means something to the protocol. A type that ZMTP does not have is incompatible with all.
    pub(super) fn known(&self) -> Result<Known, ProtocolError> {
        let socket_type = match self.find(SOCKET_TYPE)? {
            Some(name) => {
                let kind = SocketType::from_name(name);
                Some(kind.ok_or(ProtocolError::IncompatibleSocketType(None))?)
            }
            None => None,
        };
        // "For all other socket types, the Identity property shall be ignored."
        let announced = match self.find(IDENTITY)? {
            Some(bytes) if socket_type.is_none_or(SocketType::has_identity) => bytes,
            _ => &[],
        };
        let identity = Identity::new(announced);
        if identity.is_none() && !announced.is_empty() {
            return Err(ProtocolError::InvalidMetadata);
        }
        Ok(Known { socket_type, identity })
    }

    /// The value of a property. Names are case-insensitive. One given twice would be read in different ways by
    /// different peers, so it is refused.
    fn find(&self, name: &[u8]) -> Result<Option<&[u8]>, ProtocolError> {
        let mut values =
            self.properties().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(ProtocolError::InvalidMetadata),
        }
    }
}

/// The data of our READY.
pub(super) fn encode(socket_type: SocketType, identity: Option<&Identity>) -> Vec<u8> {
    let mut data = Vec::new();
    append_property(SOCKET_TYPE, socket_type.name().as_bytes(), &mut data);
    if socket_type.has_identity() {
        let identity = identity.map_or(&[][..], Identity::as_bytes);
        append_property(IDENTITY, identity, &mut data);
    }
    data
}

/// Names and values here are at most 255 bytes.
fn append_property(name: &[u8], value: &[u8], data: &mut Vec<u8>) {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    data.push(len(name));
    data.extend_from_slice(name);
    data.extend_from_slice(&u32::from(len(value)).to_be_bytes());
    data.extend_from_slice(value);
}

type Property<'a> = (&'a [u8], &'a [u8]);

/// Splits off the first property; `None` when there is no whole, valid one.
fn split_property(input: &[u8]) -> Option<(Property<'_>, &[u8])> {
    let (&len, rest) = input.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(len))?;
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    if name.is_empty() || !name.iter().all(valid) {
        return None;
    }
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(i32::from_be_bytes(*len)).ok()?;
    let (value, rest) = rest.split_at_checked(len)?;
    Some(((name, value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, value: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        append_property(name.as_bytes(), value, &mut data);
        data
    }

    fn known(data: &[u8]) -> Result<Known, ProtocolError> {
        Metadata::decode(data)?.known()
    }

    #[test]
    fn ours_is_what_libzmq_sends() {
        assert_eq!(encode(SocketType::Push, Identity::new(b"x").as_ref()), b"\x0bSocket-Type\0\0\0\x04PUSH");
        assert_eq!(encode(SocketType::Req, None), b"\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0");
        let data = encode(SocketType::Router, Identity::new(b"me").as_ref());
        let known = known(&data).unwrap();
        assert_eq!(known.socket_type, Some(SocketType::Router));
        assert_eq!(known.identity, Identity::new(b"me"));
    }

    #[test]
    fn names_are_case_insensitive_and_values_exact() {
        let data = property("sOCKET-tYPE", b"PULL");
        assert_eq!(known(&data).unwrap().socket_type, Some(SocketType::Pull));
        let data = property("Socket-Type", b"pull");
        assert_eq!(known(&data), Err(ProtocolError::IncompatibleSocketType(None)));
    }

    #[test]
    fn unknown_properties_are_kept() {
        let data = [property("X-Host.name_1+", b"\0\xff"), property("b", b"")].concat();
        let metadata = Metadata::decode(&data).unwrap();
        let all: Vec<_> = metadata.properties().collect();
        assert_eq!(all, [(&b"X-Host.name_1+"[..], &b"\0\xff"[..]), (b"b", b"")]);
        assert_eq!(metadata.known().unwrap().socket_type, None);
    }

    #[test]
    fn identities_are_checked_only_where_they_mean_something() {
        let with = |kind: &[u8], identity: &[u8]| {
            // the length of the value needs more than append_property can write
            let mut data = property("Socket-Type", kind);
            data.extend_from_slice(b"\x08Identity");
            data.extend_from_slice(&u32::try_from(identity.len()).unwrap().to_be_bytes());
            data.extend_from_slice(identity);
            known(&data).map(|known| known.identity)
        };
        assert_eq!(with(b"DEALER", b""), Ok(None));
        assert_eq!(with(b"DEALER", &[7; 255]), Ok(Identity::new(&[7; 255])));
        assert_eq!(with(b"DEALER", &[7; 256]), Err(ProtocolError::InvalidMetadata));
        assert_eq!(with(b"REQ", b"\0x"), Err(ProtocolError::InvalidMetadata));
        assert_eq!(with(b"PUSH", b"\0x"), Ok(None));
        assert_eq!(with(b"PUSH", b"x"), Ok(None));
    }

    #[test]
    fn a_property_given_twice_is_refused() {
        let data = [property("Socket-Type", b"PULL"), property("SOCKET-TYPE", b"PUSH")].concat();
        assert_eq!(known(&data), Err(ProtocolError::InvalidMetadata));
    }

    #[test]
    fn every_cut_and_every_bad_length_is_malformed() {
        let data = property("Socket-Type", b"PULL");
        for cut in 1..data.len() {
            assert_eq!(Metadata::decode(&data[..cut]), Err(ProtocolError::MalformedReady), "{cut} bytes");
        }
        for data in [
            &b"\0\0\0\0\0"[..],
            b"\x01 \0\0\0\0",
            b"\x01\0\0\0\0\0",
            b"\x01a\x80\0\0\0",
            b"\x01a\x7f\xff\xff\xff",
            b"\xffa\0\0\0\0",
            b"\x01a\xff\xff\xff\xff",
        ] {
            assert_eq!(Metadata::decode(data), Err(ProtocolError::MalformedReady));
        }
        assert!(Metadata::decode(b"").is_ok());
    }
}
