//! The identity of a peer, also called its routing id.

/// 1 to 255 octets, the first of which is not zero (RFC 37: those are reserved for implementations).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Box<[u8]>);

impl Identity {
    /// `None` when the bytes are no identity: none at all, more than 255, or a zero first.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let valid = bytes.len() <= 255 && bytes.first().is_some_and(|&first| first != 0);
        valid.then(|| Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_255_bytes_and_no_zero_first() {
        assert_eq!(Identity::new(b""), None);
        assert_eq!(Identity::new(b"\0a"), None);
        assert_eq!(Identity::new(&[1; 256]), None);
        assert_eq!(Identity::new(&[1; 255]).unwrap().as_bytes(), [1; 255]);
        assert_eq!(Identity::new(b"a\0").unwrap().as_bytes(), b"a\0");
    }
}
