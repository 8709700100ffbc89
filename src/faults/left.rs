//! What a fill leaves free of either: inodes are counted, bytes have a size. Pure.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::units::Size;

/// A number of inodes, as in `300`, or bytes, as in `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Inodes.
    Inodes(u64),
    /// Bytes.
    Bytes(Size),
}

struct LeftVisitor;

impl de::Visitor<'_> for LeftVisitor {
    type Value = Left;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of inodes or a size")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Left, E> {
        Ok(Left::Inodes(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Left, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Left, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Left, E> {
        let inodes = text.parse().map(Left::Inodes).ok();
        inodes.or_else(|| text.parse().map(Left::Bytes).ok()).ok_or_else(|| {
            E::custom(format!(
                "`{text}` is neither a number of inodes nor a size\n\nhint: write `300`, or with \
                 `of: bytes` a number and a unit such as `64MiB`"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Left {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeftVisitor)
    }
}

impl Serialize for Left {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inodes(number) => serializer.serialize_u64(*number),
            Self::Bytes(size) => size.serialize(serializer),
        }
    }
}

impl JsonSchema for Left {
    fn schema_name() -> Cow<'static, str> {
        "Left".into()
    }

    fn inline_schema() -> bool {
        true
    }

    // not the pattern of a size: whoever writes neither is told of both
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "whole number | size",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B$|^\$\{.*\}$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_are_counted_and_bytes_have_a_unit() {
        for (text, left) in [
            ("0", Left::Inodes(0)),
            ("300", Left::Inodes(300)),
            ("\"300\"", Left::Inodes(300)),
            ("64MiB", Left::Bytes(Size(64 << 20))),
            ("4096B", Left::Bytes(Size(4096))),
        ] {
            let read: Left = serde_saphyr::from_str(text).unwrap();
            assert_eq!(read, left);
            let again = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Left>(&again).unwrap(), left, "{again}");
        }
        for text in ["-1", "1.5", "some", "[1]"] {
            assert!(serde_saphyr::from_str::<Left>(text).is_err(), "{text}");
        }
    }
}
