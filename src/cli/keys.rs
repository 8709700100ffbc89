//! Keys of the scenario language by their name, for `explain`: what each means, where it stands, and an
//! example. All of it is the schema's, which has it from doc comments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use crate::{
    catalog::{Item, Parameter, items, parameters},
    scenario,
};

/// Keywords of a schema below which the same place goes on.
const ON: [&str; 6] = ["additionalProperties", "allOf", "anyOf", "items", "oneOf", "prefixItems"];

/// What one sentence says of a key, and below which keys it stands with that meaning.
struct Meaning {
    key: Parameter,
    below: BTreeSet<String>,
}

/// A search for one key.
struct Search<'a> {
    word: &'a str,
    definitions: &'a Value,
    /// Definitions that were looked at, and below which key.
    seen: BTreeSet<(&'a str, &'a str)>,
    found: BTreeMap<(String, String), Meaning>,
}

/// Every meaning of a key, but where it stands below one of `known`, which say so themselves.
pub(super) fn explanations(word: &str, known: &[&str]) -> Vec<String> {
    let schema = scenario::schema();
    let definitions = schema.get("$defs").unwrap_or(&Value::Null);
    let (seen, found) = (BTreeSet::new(), BTreeMap::new());
    let mut search = Search { word, definitions, seen, found };
    search.walk(schema, "scenario");
    let mut meanings: Vec<Meaning> = search.found.into_values().collect();
    for meaning in &mut meanings {
        meaning.below.retain(|below| !known.iter().any(|known| stands_for(below, known)));
    }
    meanings.retain(|meaning| !meaning.below.is_empty());
    // what holds in most places comes first
    meanings.sort_by_key(|meaning| std::cmp::Reverse(meaning.below.len()));
    let items = items();
    meanings.retain(|meaning| !items.iter().any(|item| meaning.is_of(item)));
    meanings.iter().map(|meaning| meaning.text(&items)).collect()
}

/// Every key that may stand anywhere.
pub(super) fn names() -> BTreeSet<&'static str> {
    let (mut names, mut rest) = (BTreeSet::new(), vec![scenario::schema()]);
    while let Some(schema) = rest.pop() {
        let properties = schema.get("properties").and_then(Value::as_object);
        names.extend(properties.into_iter().flatten().map(|(name, _)| name.as_str()));
        match schema {
            Value::Object(parts) => rest.extend(parts.values()),
            Value::Array(parts) => rest.extend(parts),
            _ => {}
        }
    }
    names
}

/// One of `services` is a service.
pub(super) fn stands_for(key: &str, part: &str) -> bool {
    key == part || key.strip_suffix('s') == Some(part)
}

/// A key with what may stand behind it: its default, or in words what it takes.
pub(super) fn written(key: &Parameter) -> String {
    let value = key.default.clone().unwrap_or_else(|| format!("<{}>", key.takes));
    format!("{}: {value}", key.name)
}

impl<'a> Search<'a> {
    fn walk(&mut self, schema: &'a Value, below: &'a str) {
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next())
            && self.seen.insert((name, below))
            && let Some(definition) = self.definitions.get(name)
        {
            self.walk(definition, below);
        }
        self.keep(schema, below);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            self.walk(property, name);
        }
        for part in ON.iter().filter_map(|keyword| schema.get(keyword)) {
            match part {
                Value::Array(parts) => parts.iter().for_each(|part| self.walk(part, below)),
                part => self.walk(part, below),
            }
        }
    }

    fn keep(&mut self, schema: &Value, below: &str) {
        let keys = parameters(schema, self.definitions).into_iter();
        // the tag of a variant has no words of its own: what it stands for has
        for key in keys.filter(|key| key.name == self.word && !key.doc.is_empty()) {
            let same = (key.doc.clone(), key.takes.clone());
            let fresh = || Meaning { key, below: BTreeSet::new() };
            self.found.entry(same).or_insert_with(fresh).below.insert(below.to_owned());
        }
    }
}

impl Meaning {
    /// The key that is the item's own name means what the item says of itself, in its words.
    fn is_of(&self, item: &Item) -> bool {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        item.name == self.key.name && words(&item.doc) == words(&self.key.doc)
    }

    fn text(&self, items: &[Item]) -> String {
        let key = &self.key;
        let below: Vec<String> = self.below.iter().map(|name| format!("`{name}`")).collect();
        let mut text = format!("{} (key: {})\n\n{}\n\n", key.name, key.takes, key.doc);
        // writing to a string cannot fail
        let _ = writeln!(text, "Stands below\n  {}\n", below.join(", "));
        let _ = writeln!(text, "Example\n  {}", self.example(items));
        text
    }

    /// One that checks, where a fault, probe, volume or workload has one with this key.
    fn example(&self, items: &[Item]) -> String {
        let has = |item: &&Item| {
            let with = format!("{}: ", self.key.name);
            let inside = item.example.split([' ', '{']).any(|word| word.trim() == with.trim());
            self.below.contains(item.name) && inside
        };
        let made = || {
            let first = self.below.first().map_or("", String::as_str);
            format!("{first}: {{ {} }}", written(&self.key))
        };
        items.iter().find(has).map_or_else(made, |item| item.example.to_owned())
    }
}
