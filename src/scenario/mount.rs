//! A mount of a service: the volume's name, or a map with options.
//!
//! Read by hand: an untagged enum would lose the position of every error below it.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::runtime::Relabel;

/// What is mounted: `volume`, or `{ volume: NAME, read_only: true }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// The volume.
    pub volume: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// Labelled for `SELinux` when the container starts.
    pub relabel: Option<Relabel>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The volume.
    volume: String,
    /// Mounted read-only.
    #[serde(default)]
    read_only: bool,
    /// Labelled for `SELinux` when the container starts: `shared` by all containers as `:z` does, or
    /// `private` to this one as `:Z` does. For a `bind` volume that the run makes; the engine's own
    /// always are. Nothing is done where `SELinux` is not in force.
    relabel: Option<Relabel>,
}

struct MountVisitor;

impl<'de> de::Visitor<'de> for MountVisitor {
    type Value = Mount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a volume's name, or a map like `{ volume: data, read_only: true }`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Mount, E> {
        Ok(Mount { volume: name.to_owned(), read_only: false, relabel: None })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Mount, A::Error> {
        let options = Options::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let Options { volume, read_only, relabel } = options;
        Ok(Mount { volume, read_only, relabel })
    }
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MountVisitor)
    }
}

impl JsonSchema for Mount {
    fn schema_name() -> Cow<'static, str> {
        "Mount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = Options::json_schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, options] })
    }
}
