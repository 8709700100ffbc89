//! Several objects at once: which ones match, and how many of them are meant. Data only: the
//! scenario knows what matches, the plan chooses.

use std::{borrow::Cow, fmt, num::NonZeroU32, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The objects that a fault acts on: by name, by label, or by what they mount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// These services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The services with this label: `role`, or `role=node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Wherever this volume is mounted; once, for a fault that all its users feel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// With `services` or `label`: this path in each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many of those that match, chosen by the seed: `all`, `one`, a number, or a share like
    /// `50%`, rounded up.
    #[serde(default)]
    pub pick: Pick,
}

/// How many of the objects that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pick {
    /// Every one.
    #[default]
    All,
    /// So many.
    Count(NonZeroU32),
    /// A share in percent, 1 to 100, rounded up.
    Share(u8),
}

/// Why a number of objects was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a number of objects\n\nhint: write `all`, `one`, a number from 1, or a share \
     from `1%` to `100%`"
)]
pub struct PickError(String);

impl Pick {
    /// How many of so many.
    #[must_use]
    pub fn of(self, matched: usize) -> usize {
        match self {
            Self::All => matched,
            Self::Count(count) => usize::try_from(count.get()).unwrap_or(usize::MAX),
            Self::Share(percent) => (matched * usize::from(percent)).div_ceil(100),
        }
    }
}

impl FromStr for Pick {
    type Err = PickError;

    fn from_str(text: &str) -> Result<Self, PickError> {
        let refuse = || PickError(text.to_owned());
        match text {
            "all" => return Ok(Self::All),
            "one" => return Ok(Self::Count(NonZeroU32::MIN)),
            _ => {}
        }
        match text.strip_suffix('%') {
            Some(share) => {
                let share = share.parse().ok().filter(|share| (1..=100).contains(share));
                share.map(Self::Share).ok_or_else(refuse)
            }
            None => text.parse().map(Self::Count).map_err(|_| refuse()),
        }
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(NonZeroU32::MIN) => f.write_str("one"),
            Self::Count(count) => count.fmt(f),
            Self::Share(percent) => write!(f, "{percent}%"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of ", self.pick)?;
        match (&self.label, &self.volume) {
            (Some(label), _) => write!(f, "label {label}")?,
            (None, Some(volume)) => write!(f, "volume {volume}")?,
            (None, None) => write!(f, "services {}", self.services.join(", "))?,
        }
        self.path.as_ref().map_or(Ok(()), |path| write!(f, " at {path}"))
    }
}

impl Serialize for Pick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct PickVisitor;

impl de::Visitor<'_> for PickVisitor {
    type Value = Pick;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`all`, `one`, a number or a share")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Pick, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Pick, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Pick, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PickVisitor)
    }
}

impl JsonSchema for Pick {
    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`all`, `one`, a number, or a share like `50%`",
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_objects_are_read_and_written() {
        for (text, of_five) in [("all", 5), ("one", 1), ("3", 3), ("50%", 3), ("1%", 1)] {
            let pick: Pick = text.parse().unwrap();
            assert_eq!((pick.to_string().as_str(), pick.of(5)), (text, of_five));
            let read: Pick = serde_saphyr::from_str(text).unwrap();
            assert_eq!(read, pick);
        }
        for text in ["0", "-1", "0%", "101%", "1.5", "some", ""] {
            assert!(text.parse::<Pick>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_selector_says_what_it_means() {
        let read = |text| serde_saphyr::from_str::<Selector>(text).unwrap().to_string();
        assert_eq!(read("{ label: role=node, pick: 2 }"), "2 of label role=node");
        assert_eq!(read("{ volume: data }"), "all of volume data");
        let listed = "{ services: [a, b], path: /data, pick: one }";
        assert_eq!(read(listed), "one of services a, b at /data");
    }
}
