//! A probe as an element of a list: one key names it, others say when and how it is read.
//!
//! The key of the probe stands beside the modifiers, so the map is read by hand: `flatten` would
//! lose the position of every error below it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use crate::{
    probes::{self, ProbeSpec},
    units::{Duration, Percent},
};

/// A probe that must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeItem {
    /// The probe.
    pub probe: ProbeSpec,
    /// Its id in reports and in `fails`.
    #[serde(rename = "as")]
    pub name: Option<String>,
}

/// A probe that is read alongside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observe {
    /// The probe.
    pub probe: ProbeSpec,
    /// Its id in reports and in `fails`.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// In which phase.
    pub when: When,
    /// Time between samples.
    pub every: Duration,
    /// How many of the samples must hold.
    pub require: Require,
}

/// When a probe is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the first injection.
    Before,
    /// From the verified effect of the first fault until the last revert is called.
    During,
    /// After the last revert was verified.
    After,
    /// From steady state to the end.
    #[default]
    Throughout,
}

/// How many samples must hold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Require {
    /// All.
    #[default]
    Always,
    /// None.
    Never,
    /// At least one.
    Eventually,
    /// This share.
    AtLeast(Percent),
}

/// Modifiers that a list admits beside the probe's key.
trait Modifiers: Default {
    const NAMES: &'static [&'static str];
    /// Takes the value of a modifier.
    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

#[derive(Default)]
struct Named {
    name: Option<String>,
}

impl Modifiers for Named {
    const NAMES: &'static [&'static str] = &["as"];

    fn set<'de, A: MapAccess<'de>>(&mut self, _: &str, map: &mut A) -> Result<(), A::Error> {
        self.name = Some(map.next_value()?);
        Ok(())
    }
}

#[derive(Default)]
struct Observed {
    name: Option<String>,
    when: When,
    every: Option<Duration>,
    require: Require,
}

impl Modifiers for Observed {
    const NAMES: &'static [&'static str] = &["as", "when", "every", "require"];

    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "as" => self.name = Some(map.next_value()?),
            "when" => self.when = map.next_value()?,
            "every" => self.every = Some(map.next_value()?),
            _ => self.require = map.next_value()?,
        }
        Ok(())
    }
}

/// Reads the parameters of the probe whose key was just read.
struct ProbeNamed<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ProbeNamed<'_> {
    type Value = ProbeSpec;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ProbeSpec, D::Error> {
        ProbeSpec::deserialize_named(self.0, deserializer)
    }
}

struct ItemVisitor<M>(std::marker::PhantomData<M>);

impl<'de, M: Modifiers> Visitor<'de> for ItemVisitor<M> {
    type Value = (ProbeSpec, M);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with one probe, like `http: { … }`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut modifiers = M::default();
        let mut probe = None;
        while let Some(key) = map.next_key::<String>()? {
            if M::NAMES.contains(&key.as_str()) {
                modifiers.set(&key, &mut map)?;
            } else if probe.is_some() {
                return Err(A::Error::custom(format!(
                    "`{key}` is a second probe in one element\n\nhint: start a new element with `- {key}:`"
                )));
            } else {
                probe = Some(map.next_value_seed(ProbeNamed(&key))?);
            }
        }
        let probe = probe.ok_or_else(|| {
            A::Error::custom("no probe here\n\nhint: `keelhaul list probes` names them all")
        })?;
        Ok((probe, modifiers))
    }
}

impl<'de> Deserialize<'de> for ProbeItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (probe, modifiers) =
            deserializer.deserialize_map(ItemVisitor::<Named>(std::marker::PhantomData))?;
        Ok(Self { probe, name: modifiers.name })
    }
}

impl<'de> Deserialize<'de> for Observe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (probe, modifiers) =
            deserializer.deserialize_map(ItemVisitor::<Observed>(std::marker::PhantomData))?;
        Ok(Self {
            probe,
            name: modifiers.name,
            when: modifiers.when,
            every: modifiers.every.unwrap_or(Duration::from_millis(500)),
            require: modifiers.require,
        })
    }
}

/// A map with exactly one probe's key, and the given modifiers.
fn schema_of(generator: &mut SchemaGenerator, modifiers: &[(&str, Schema)]) -> Schema {
    let mut properties = serde_json::Map::new();
    for row in probes::TABLE {
        properties.insert(row.name.into(), (row.schema)(generator).to_value());
    }
    for (name, schema) in modifiers {
        properties.insert((*name).into(), schema.clone().to_value());
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
    })
}

impl JsonSchema for ProbeItem {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProbeItem".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name =
            json_schema!({ "type": "string", "description": "Its id in reports and in `fails`." });
        schema_of(generator, &[("as", name)])
    }
}

impl JsonSchema for Observe {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Observe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name =
            json_schema!({ "type": "string", "description": "Its id in reports and in `fails`." });
        let when = generator.subschema_for::<When>();
        let every = generator.subschema_for::<Duration>();
        let require = generator.subschema_for::<Require>();
        schema_of(
            generator,
            &[("as", name), ("when", when), ("every", every), ("require", require)],
        )
    }
}
