//! How values become the bodies of messages, and bodies values again: serde's formats that JavaScript knows, too.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor, value::SeqDeserializer};
use serde::{Serialize, forward_to_deserialize_any};

use super::body::Tag;

/// What values are encoded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// JSON, by `serde_json`. JavaScript reads integers beyond 2^53 as the nearest double.
    #[default]
    Json,
    /// MessagePack, by `rmp-serde`: structs are maps with the names of their fields. JavaScript reads integers beyond 2^53 as
    /// `bigint`, and bytes (`serde_bytes`) as a `Buffer`.
    MessagePack,
}

/// Why a value has no bytes in a codec: a map with keys that are no strings in JSON, for instance.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// `serde_json` says so.
    Json(serde_json::Error),
    /// `rmp-serde` says so.
    MessagePack(rmp_serde::encode::Error),
}

/// Why a body is not the value that was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not this JSON, or none at all.
    Json(serde_json::Error),
    /// Not this MessagePack, or none at all.
    MessagePack(rmp_serde::decode::Error),
    /// Bytes or a text, where another value was asked for.
    Plain(PlainError),
    /// Text that is no UTF-8.
    Text(std::str::Utf8Error),
    /// Made by a codec that only its own language knows: V8's, or a program's own.
    Foreign(Tag),
}

impl Codec {
    /// The codec of a queue's creator; JSON where Rust does not have it. Receivers go by each message's tag.
    pub(super) fn numbered(number: u8) -> Self {
        if Tag::new(number) == Tag::MessagePack { Self::MessagePack } else { Self::Json }
    }

    pub(super) fn tag(self) -> Tag {
        match self {
            Self::Json => Tag::Json,
            Self::MessagePack => Tag::MessagePack,
        }
    }

    /// Appends the value to `bytes`.
    pub(super) fn encode<T: Serialize + ?Sized>(self, value: &T, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Json => serde_json::to_writer(bytes, value).map_err(EncodeError::Json),
            Self::MessagePack => rmp_serde::encode::write_named(bytes, value).map_err(EncodeError::MessagePack),
        }
    }
}

/// The value of a body. The depth of what is nested is bounded by the two crates: 128 in JSON, 1024 in MessagePack.
pub(super) fn decode<T: DeserializeOwned>(tag: Tag, bytes: &[u8]) -> Result<T, DecodeError> {
    match tag {
        Tag::Bytes => T::deserialize(Plain::Bytes(bytes)).map_err(DecodeError::Plain),
        Tag::Text => {
            let text = std::str::from_utf8(bytes).map_err(DecodeError::Text)?;
            T::deserialize(Plain::Text(text)).map_err(DecodeError::Plain)
        }
        Tag::Json => serde_json::from_slice(bytes).map_err(DecodeError::Json),
        Tag::MessagePack => {
            let mut rest = bytes;
            let mut reader = rmp_serde::Deserializer::new(&mut rest);
            let value = T::deserialize(&mut reader).map_err(DecodeError::MessagePack)?;
            if rest.is_empty() { Ok(value) } else { Err(DecodeError::MessagePack(trailing())) }
        }
        Tag::V8 | Tag::Custom | Tag::Unknown(_) => Err(DecodeError::Foreign(tag)),
    }
}

fn trailing() -> rmp_serde::decode::Error {
    rmp_serde::decode::Error::Syntax("bytes after its end".to_owned())
}

/// Bytes or a text as serde sees them: `String`, `Vec<u8>`, `serde_json::Value` and the like take them.
#[derive(Clone, Copy)]
enum Plain<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
}

/// What serde says of bytes or a text that are not the value asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct PlainError(String);

impl<'de> Deserializer<'de> for Plain<'_> {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        match self {
            Self::Bytes(bytes) => visitor.visit_bytes(bytes),
            Self::Text(text) => visitor.visit_str(text),
        }
    }

    /// `Vec<u8>` asks for a sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        match self {
            Self::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            Self::Text(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, PlainError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl serde::de::Error for PlainError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl std::error::Error for PlainError {}

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the value has no JSON: {error}"),
            Self::MessagePack(error) => write!(f, "the value has no MessagePack: {error}"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the JSON of the message: {error}"),
            Self::MessagePack(error) => write!(f, "the MessagePack of the message: {error}"),
            Self::Plain(error) => write!(f, "the message is plain bytes or text: {error}"),
            Self::Text(error) => write!(f, "the text of the message: {error}"),
            Self::Foreign(tag) => {
                write!(f, "the message is {tag}; send it with the codec 'json' or 'msgpack' to read it in Rust")
            }
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::MessagePack(error) => Some(error),
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::MessagePack(error) => Some(error),
            Self::Plain(error) => Some(error),
            Self::Text(error) => Some(error),
            Self::Foreign(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name(String);

    #[test]
    fn bytes_and_texts_are_what_is_asked_for() {
        assert_eq!(decode::<String>(Tag::Text, "ü".as_bytes()).unwrap(), "ü");
        assert_eq!(decode::<Option<String>>(Tag::Text, b"a").unwrap().as_deref(), Some("a"));
        assert_eq!(decode::<Name>(Tag::Text, b"a").unwrap(), Name("a".into()));
        assert_eq!(decode::<Value>(Tag::Text, b"a").unwrap(), json!("a"));
        assert_eq!(decode::<Vec<u8>>(Tag::Bytes, b"\xff\0").unwrap(), [255, 0]);
        assert!(matches!(decode::<u32>(Tag::Text, b"7"), Err(DecodeError::Plain(_))));
        assert!(matches!(decode::<String>(Tag::Text, b"\xff"), Err(DecodeError::Text(_))));
    }

    #[test]
    fn both_codecs_are_understood() {
        for codec in [Codec::Json, Codec::MessagePack] {
            let mut bytes = Vec::new();
            codec.encode(&json!({ "a": [1, -1, 1.5, null, true, "x"] }), &mut bytes).unwrap();
            assert_eq!(decode::<Value>(codec.tag(), &bytes).unwrap(), json!({ "a": [1, -1, 1.5, null, true, "x"] }));
            bytes.push(0xc0);
            assert!(decode::<Value>(codec.tag(), &bytes).is_err(), "bytes after the end");
        }
    }

    #[test]
    fn floats_keep_all_their_bits() {
        // The feature `float_roundtrip` of `serde_json`.
        for float in [-1.5e-300, 1e23, f64::MIN_POSITIVE, 0.1 + 0.2] {
            assert_eq!(decode::<f64>(Tag::Json, float.to_string().as_bytes()).unwrap().to_bits(), float.to_bits());
        }
    }

    #[test]
    fn what_only_javascript_reads_is_said_so() {
        for tag in [Tag::V8, Tag::Custom, Tag::new(77)] {
            assert!(matches!(decode::<Value>(tag, b"\xff\x0f"), Err(DecodeError::Foreign(found)) if found == tag));
        }
        let error = decode::<Value>(Tag::V8, b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the message is V8's serialization; send it with the codec 'json' or 'msgpack' to read it in Rust"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_value(bytes: Vec<u8>) {
            for number in 0..8 {
                let _ = decode::<Value>(Tag::new(number), &bytes);
            }
        }
    }
}
