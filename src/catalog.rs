//! One table of everything nameable; feeds `list`, `explain`, the schema and CATALOG.md.
//!
//! It is read from the tables of faults, probes, volumes and workloads: their doc comments are the
//! only source of every text here.

use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::{
    diagnostic::closest,
    faults::{self, Scope},
    probes,
    protocol::Capability,
    volumes, workloads,
};

/// What sort of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A fault.
    Fault,
    /// A probe.
    Probe,
    /// A kind of volume.
    Volume,
    /// A workload.
    Workload,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Fault, Self::Probe, Self::Volume, Self::Workload];

    /// As `list` names it: `faults`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Fault => "faults",
            Self::Probe => "probes",
            Self::Volume => "volumes",
            Self::Workload => "workloads",
        }
    }
}

/// One nameable thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// The word in YAML.
    pub name: &'static str,
    /// What sort of thing it is.
    pub family: Family,
    /// First sentence of its doc.
    pub summary: String,
    /// The whole doc.
    pub doc: String,
    /// Its parameters, required ones first.
    pub parameters: Vec<Parameter>,
    /// A YAML example.
    pub example: &'static str,
    /// What the host must offer.
    pub needs: Vec<Capability>,
    /// The widest thing it can touch; faults only.
    pub scope: Option<Scope>,
    /// How it may go over time; faults only.
    pub profiles: Vec<&'static str>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its key.
    pub name: String,
    /// What it takes: `text`, `size`, `one of a, b`.
    pub takes: String,
    /// Its default as JSON; none when there is none.
    pub default: Option<String>,
    /// It must be given.
    pub required: bool,
    /// Its doc.
    pub doc: String,
}

/// Everything nameable, by family and then by name.
#[must_use]
pub fn items() -> Vec<Item> {
    let faults = faults::TABLE.iter().map(|row| {
        let item = item(row.name, Family::Fault, row.needs, row.example, row.schema);
        Item { scope: Some(row.scope), profiles: row.profiles(), ..item }
    });
    let probes = probes::TABLE
        .iter()
        .map(|row| item(row.name, Family::Probe, row.needs, row.example, row.schema));
    let volumes = volumes::TABLE
        .iter()
        .map(|row| item(row.name, Family::Volume, row.needs, row.example, row.schema));
    let workloads = workloads::TABLE
        .iter()
        .map(|row| item(row.name, Family::Workload, &[], row.example, row.schema));
    let mut items: Vec<Item> = faults.chain(probes).chain(volumes).chain(workloads).collect();
    items.sort_by_key(|item| (item.family, item.name));
    items
}

/// Everything with this name; a name may stand for things of several families.
///
/// # Errors
/// A hint when nothing has it.
pub fn find(name: &str) -> Result<Vec<Item>, String> {
    let items = items();
    let found: Vec<Item> = items.iter().filter(|item| item.name == name).cloned().collect();
    if found.is_empty() {
        let hint = match closest(name, items.iter().map(|item| item.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`keelhaul list` shows everything there is".to_owned(),
        };
        return Err(format!("nothing is called `{name}`\n\nhint: {hint}"));
    }
    Ok(found)
}

/// The parameters of a schema's properties: of a part that many items have in common.
#[must_use]
pub fn parameters_of(schema: fn(&mut SchemaGenerator) -> Schema) -> Vec<Parameter> {
    let mut generator = SchemaGenerator::default();
    let schema = schema(&mut generator).to_value();
    parameters(&schema, &Value::Object(generator.take_definitions(true)))
}

fn item(
    name: &'static str,
    family: Family,
    needs: &[Capability],
    example: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Item {
    let mut generator = SchemaGenerator::default();
    let schema = schema(&mut generator).to_value();
    let definitions = Value::Object(generator.take_definitions(true));
    let doc = text(&schema, "description");
    Item {
        name,
        family,
        summary: summary(&doc),
        parameters: parameters(&schema, &definitions),
        doc,
        example,
        needs: needs.to_vec(),
        scope: None,
        profiles: Vec::new(),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The first sentence, on one line.
fn summary(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match paragraph.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => paragraph,
    }
}

/// The parameters that the properties of a schema are.
pub(crate) fn parameters(schema: &Value, definitions: &Value) -> Vec<Parameter> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut all: Vec<Parameter> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| Parameter {
            name: name.clone(),
            takes: takes(schema, definitions),
            default: schema.get("default").filter(|value| !value.is_null()).map(Value::to_string),
            required: required.contains(&name.as_str()),
            doc: text(schema, "description").replace('\n', " "),
        })
        .collect();
    all.sort_by_key(|parameter| !parameter.required);
    all
}

/// What one word of a list of words means, as its doc comment says.
#[must_use]
pub(crate) fn meaning(schema: fn(&mut SchemaGenerator) -> Schema, word: &str) -> Option<String> {
    let schema = schema(&mut SchemaGenerator::default());
    let words = schema.get("oneOf").and_then(Value::as_array)?;
    let found = words.iter().find(|one| one.get("const").and_then(Value::as_str) == Some(word))?;
    found.get("description").and_then(Value::as_str).map(|text| text.replace('\n', " "))
}

/// What a schema accepts, in a word or two.
fn takes(schema: &Value, definitions: &Value) -> String {
    if let Some(title) = schema.get("title").and_then(Value::as_str) {
        return title.to_owned();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return definitions.get(name).map_or_else(|| name.into(), |s| takes(s, definitions));
    }
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    if let Some(choices) = choices {
        let mut words: Vec<String> =
            choices.iter().map(|c| takes(c, definitions)).filter(|word| word != "null").collect();
        words.dedup();
        return words.join(" | ");
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return word.to_owned();
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    let kind = match schema.get("type") {
        Some(Value::String(one)) => one.as_str(),
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or_default()
        }
        _ => "",
    };
    match kind {
        "string" => unit(schema).unwrap_or("text").into(),
        "integer" => "whole number".into(),
        "number" => "number".into(),
        "boolean" => "true | false".into(),
        "array" => {
            let each = schema.get("items").map(|each| takes(each, definitions));
            format!("list of {}", each.unwrap_or_else(|| "anything".into()))
        }
        "object" => variant(schema, definitions),
        "null" => "null".into(),
        _ => "anything".into(),
    }
}

/// A map, or a variant with its tag: `{ http: { service, port } }`.
fn variant(schema: &Value, definitions: &Value) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    match properties.map(|p| p.iter().collect::<Vec<_>>()).unwrap_or_default().as_slice() {
        [(tag, content)] => {
            let inner = content.get("properties").and_then(Value::as_object);
            let keys: Vec<&str> =
                inner.into_iter().flat_map(|p| p.keys()).map(String::as_str).collect();
            match keys.as_slice() {
                [] => format!("{{ {tag}: {} }}", takes(content, definitions)),
                keys => format!("{{ {tag}: {{ {} }} }}", keys.join(", ")),
            }
        }
        _ => "map".into(),
    }
}

/// The unit of a text, known by its pattern.
fn unit(schema: &Value) -> Option<&'static str> {
    use schemars::JsonSchema;

    use crate::units::{Duration, Mode, Percent, Rate, Size};

    let pattern = schema.get("pattern")?.as_str()?;
    let mut generator = SchemaGenerator::default();
    let units: [(&str, Schema); 5] = [
        ("duration", Duration::json_schema(&mut generator)),
        ("size", Size::json_schema(&mut generator)),
        ("percentage", Percent::json_schema(&mut generator)),
        ("rate", Rate::json_schema(&mut generator)),
        ("file mode", Mode::json_schema(&mut generator)),
    ];
    units
        .into_iter()
        .find(|(_, unit)| unit.get("pattern").and_then(Value::as_str) == Some(pattern))
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_documented_and_its_names_are_sorted() {
        for item in items() {
            assert!(!item.summary.is_empty(), "{}", item.name);
            assert!(item.summary.chars().count() <= 100, "{}: {}", item.name, item.summary);
            for parameter in &item.parameters {
                assert!(!parameter.doc.is_empty(), "{}.{}", item.name, parameter.name);
                assert!(!parameter.takes.is_empty(), "{}.{}", item.name, parameter.name);
            }
        }
    }

    #[test]
    fn parameters_say_what_they_take() {
        let pause = &find("pause").unwrap()[0];
        assert_eq!(pause.parameters[0].name, "target");
        assert!(pause.parameters[0].required);
        let ledger = find("ledger").unwrap();
        let ledger = ledger.iter().find(|item| item.family == Family::Workload).unwrap();
        let rate = ledger.parameters.iter().find(|p| p.name == "rate").unwrap();
        assert_eq!((rate.takes.as_str(), rate.default.as_deref()), ("rate", Some("\"100/s\"")));
    }

    #[test]
    fn an_unknown_name_gets_a_hint() {
        assert!(find("puase").unwrap_err().contains("did you mean `pause`?"));
    }
}
