//! Where a fault acts, as a scenario writes it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `service`, or `service:/absolute/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Service name.
    pub service: String,
    /// Absolute path in its containers.
    pub path: Option<String>,
}

/// Why a target was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a target\n\nhint: write `service`, or `service:/absolute/path`")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refuse = || TargetError(text.to_owned());
        let (service, path) = match text.split_once(':') {
            Some((service, path)) => (service, Some(path)),
            None => (text, None),
        };
        let named = !service.is_empty() && !service.contains(['/', ' ']);
        let absolute = path.is_none_or(|path| path.starts_with('/'));
        if !named || !absolute {
            return Err(refuse());
        }
        let path = path.map(|path| match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            trimmed => trimmed.to_owned(),
        });
        Ok(Self { service: service.to_owned(), path })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}:{path}", self.service),
            None => f.write_str(&self.service),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "`service`, or `service:/absolute/path`",
        })
    }
}
