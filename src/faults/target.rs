//! Where a fault acts, as a scenario writes it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Selector;

/// One object, `service` or `service:/absolute/path`; or a selection of several, like
/// `{ label: role=node, pick: one }`.
///
/// Only scenarios hold selections: a fault that checks or acts has the one object in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Service name; empty in a selection.
    pub service: String,
    /// Absolute path in its containers.
    pub path: Option<String>,
    /// Which objects are meant, where it is not just this one.
    pub select: Option<Box<Selector>>,
}

impl Target {
    /// One object.
    #[must_use]
    pub fn one(service: &str, path: Option<&str>) -> Self {
        Self { service: service.to_owned(), path: path.map(str::to_owned), select: None }
    }
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
            "" => "/",
            trimmed => trimmed,
        });
        Ok(Self::one(service, path))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.select, &self.path) {
            (Some(select), _) => select.fmt(f),
            (None, Some(path)) => write!(f, "{}:{path}", self.service),
            (None, None) => f.write_str(&self.service),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.select {
            Some(select) => select.serialize(serializer),
            None => serializer.collect_str(self),
        }
    }
}

struct TargetVisitor;

impl<'de> de::Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`service`, `service:/path`, or a selection like `{ label: role=node }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        let select = Selector::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Target { select: Some(Box::new(select)), ..Target::one("", None) })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = json_schema!({
            "type": "string",
            "description": "`service`, or `service:/absolute/path`",
        });
        let several = Selector::json_schema(generator);
        json_schema!({ "title": "target, or a selection", "anyOf": [one, several] })
    }
}
