//! `compose:` of a scenario: the file's name, or a map with options. Read by hand, as
//! [`Mount`](super::Mount) is.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A Compose file whose services and volumes are this scenario's: `FILE`, or
/// `{ file: FILE, services: [db], without: [db.privileged] }`.
///
/// Volumes are the run's own and empty, also those that have data elsewhere. Host names are those
/// of the file; ports are not published. `services` and `volumes` of the scenario go over the file's,
/// key by key. Without a `steady_state`, every service with a health check must be healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compose {
    /// The file, from the directory of the scenario.
    pub file: String,
    /// Only these services; without it, all that have no `profiles`.
    pub services: Vec<String>,
    /// Keys to do without: `KEY` of every service, `SERVICE.KEY`, or `*` for all that a run has no
    /// counterpart for.
    pub without: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The file, from the directory of the scenario.
    file: String,
    /// Only these services; without it, all that have no `profiles`.
    #[serde(default)]
    services: Vec<String>,
    /// Keys to do without: `KEY` of every service, `SERVICE.KEY`, or `*` for all that a run has no
    /// counterpart for.
    #[serde(default)]
    without: Vec<String>,
}

impl Compose {
    /// The schema of the map alone: what else than its name can be said of the file.
    pub fn map_schema(generator: &mut SchemaGenerator) -> Schema {
        Options::json_schema(generator)
    }
}

struct ComposeVisitor;

impl<'de> de::Visitor<'de> for ComposeVisitor {
    type Value = Compose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file's name, or a map like `{ file: compose.yaml, services: [db] }`")
    }

    fn visit_str<E: de::Error>(self, file: &str) -> Result<Compose, E> {
        Ok(Compose { file: file.to_owned(), services: Vec::new(), without: Vec::new() })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Compose, A::Error> {
        let options = Options::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let Options { file, services, without } = options;
        Ok(Compose { file, services, without })
    }
}

impl<'de> Deserialize<'de> for Compose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ComposeVisitor)
    }
}

impl JsonSchema for Compose {
    fn schema_name() -> Cow<'static, str> {
        "Compose".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let options = Options::json_schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, options] })
    }
}
