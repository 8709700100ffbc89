//! A tree against the JSON schema: every unknown key, wrong type and unknown name at once.
//!
//! The schema comes from the same types that are read afterwards; it only serves to find more than
//! the first problem, and to say it in our words. What a schema cannot say is left to the types.

use std::{str::FromStr, sync::LazyLock};

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value as Json;

use super::{
    node::{Node, Span, Value},
    problem::Problem,
};
use crate::{
    diagnostic::{listed, suggest},
    units::{Duration, Mode, Percent, Rate, Size, UnitError},
};

/// A text with a unit: the pattern its schema has, and what reads it.
struct Unit {
    pattern: String,
    read: fn(&str) -> Result<(), UnitError>,
}

static UNITS: LazyLock<Vec<Unit>> = LazyLock::new(|| {
    vec![unit::<Duration>(), unit::<Size>(), unit::<Percent>(), unit::<Rate>(), unit::<Mode>()]
});

fn unit<T: JsonSchema + FromStr<Err = UnitError>>() -> Unit {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let pattern = schema.get("pattern").and_then(Json::as_str).unwrap_or_default().to_owned();
    Unit { pattern, read: |text| text.parse::<T>().map(drop) }
}

/// The families whose names are looked up elsewhere, by the name of their schema.
const FAMILIES: [(&str, &str, &str); 6] = [
    ("FaultSpec", "fault", "faults"),
    ("VolumeSpec", "kind of volume", "volumes"),
    ("WorkloadSpec", "workload", "workloads"),
    ("ProbeSpec", "probe", "probes"),
    ("ProbeItem", "probe", "probes"),
    ("Observe", "probe", "probes"),
];

/// Every problem of a tree.
pub(crate) fn check(tree: &Node, schema: &Json) -> Vec<Problem> {
    let mut walk = Walk { root: schema, problems: Vec::new() };
    walk.node(schema, &At { node: tree, label: None, is_item: false });
    walk.problems
}

/// A node and the key it stands under.
struct At<'a> {
    node: &'a Node,
    label: Option<(&'a str, Span)>,
    /// It is an element of the list under that key.
    is_item: bool,
}

impl<'a> At<'a> {
    fn under(key: &'a str, key_span: Span, node: &'a Node) -> Self {
        Self { node, label: Some((key, key_span)), is_item: false }
    }

    fn name(&self) -> String {
        match self.label {
            Some((name, _)) if self.is_item => format!("an element of `{name}`"),
            Some((name, _)) => format!("`{name}`"),
            None => "the scenario".into(),
        }
    }

    fn problem(&self, text: String) -> Problem {
        let span = match self.label {
            Some((_, key)) if !self.node.is_scalar() => key,
            _ => self.node.span,
        };
        Problem::at(span, text).with_origins(&self.node.origins)
    }
}

struct Walk<'s> {
    root: &'s Json,
    problems: Vec<Problem>,
}

impl<'s> Walk<'s> {
    /// Follows references; the last name on the way comes along.
    fn resolve(&self, mut schema: &'s Json) -> (&'s Json, Option<&'s str>) {
        let mut name = None;
        while let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let Some(target) = self.root.pointer(reference.trim_start_matches('#')) else { break };
            name = reference.rsplit('/').next();
            schema = target;
        }
        (schema, name)
    }

    fn node(&mut self, schema: &'s Json, at: &At<'_>) {
        let (schema, name) = self.resolve(schema);
        if at.node.value == Value::Hole || !schema.is_object() {
            return;
        }
        let family = FAMILIES.iter().find(|(family, ..)| Some(*family) == name);
        if let Some(choices) = alternatives(schema) {
            return self.choice(choices, family, at);
        }
        let types = types(schema);
        if at.node.value == Value::Null && types.contains(&"null") {
            return;
        }
        if let Some(words) = words(schema) {
            return self.word(&words, at);
        }
        match types.first() {
            Some(&"object") => self.map(schema, family, at),
            Some(&"array") => self.list(schema, at),
            Some(&"string") => self.text(schema, at),
            Some(&"integer" | &"number") => self.number(schema, &types, at),
            Some(&"boolean") if !matches!(at.node.value, Value::Bool(_)) => {
                self.wants("`true` or `false`", at);
            }
            _ => {}
        }
    }

    fn wants(&mut self, wanted: &str, at: &At<'_>) {
        let hint = match (&at.node.value, wanted) {
            (Value::Int(_) | Value::Float(_) | Value::Bool(_), "text") => {
                format!("\n\nhint: put it in quotes: `\"{}\"`", at.node.raw)
            }
            (Value::Null, "a list") => "\n\nhint: give it a list, or remove the key".into(),
            (Value::Null, "a map") => {
                "\n\nhint: give it a map, if need be the empty one: `{}`".into()
            }
            (Value::Text(_) | Value::Int(_) | Value::Map(_), "a list") => {
                "\n\nhint: write `[…]`, or each element on a line that begins with `- `".into()
            }
            (Value::List(_), "a map") => {
                "\n\nhint: give each element a key: `{ a: …, b: … }`".into()
            }
            _ => format!("\n\nhint: write {wanted} in its place"),
        };
        let text = format!("{} wants {wanted}, not {}{hint}", at.name(), at.node.words());
        self.problems.push(at.problem(text));
    }

    fn word(&mut self, words: &[&str], at: &At<'_>) {
        if matches!(&at.node.value, Value::Text(text) if words.contains(&text.as_str())) {
            return;
        }
        let Value::Text(text) = &at.node.value else {
            return self.wants(&format!("one of {}", listed(words.iter().copied())), at);
        };
        let hint = did_you_mean(text, words);
        self.problems.push(at.problem(format!("{} cannot be `{text}`\n\nhint: {hint}", at.name())));
    }

    fn text(&mut self, schema: &'s Json, at: &At<'_>) {
        let pattern = schema.get("pattern").and_then(Json::as_str);
        let unit = UNITS.iter().find(|unit| Some(unit.pattern.as_str()) == pattern);
        let number = matches!(at.node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
        let is_text = matches!(at.node.value, Value::Text(_)) || number && at.node.is_substituted();
        let Some(unit) = unit else {
            if !is_text {
                self.wants("text", at);
            }
            return;
        };
        match (unit.read)(&at.node.raw) {
            Ok(()) if is_text => {}
            Ok(()) => self.wants("text", at),
            Err(error) => {
                let text = format!(
                    "{} wants {}, not {}\n\nhint: {}",
                    at.name(),
                    error.wanted,
                    at.node.words(),
                    error.hint
                );
                self.problems.push(at.problem(text));
            }
        }
    }

    fn number(&mut self, schema: &'s Json, types: &[&str], at: &At<'_>) {
        let whole = types.contains(&"integer");
        #[expect(clippy::cast_precision_loss, reason = "only compared with small bounds")]
        let number = match at.node.value {
            Value::Int(int) => int as f64,
            Value::Float(float) if !whole => float,
            _ => return self.wants(if whole { "a whole number" } else { "a number" }, at),
        };
        let bound = |key| schema.get(key).and_then(Json::as_f64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        let below = low.is_some_and(|low| number < low);
        let above = high.is_some_and(|high| number > high);
        if below || above {
            let range = match (low, high) {
                (Some(low), Some(high)) if low >= high => format!("the number {low}"),
                (Some(low), Some(high)) => format!("a number from {low} to {high}"),
                (Some(low), None) => format!("a number of at least {low}"),
                _ => format!("a number of at most {}", high.unwrap_or_default()),
            };
            self.wants(&range, at);
        }
    }

    fn list(&mut self, schema: &'s Json, at: &At<'_>) {
        let Value::List(items) = &at.node.value else { return self.wants("a list", at) };
        let Some(each) = schema.get("items") else { return };
        for item in items {
            let label = at.label.map(|(name, _)| (name, item.span));
            self.node(each, &At { node: item, label, is_item: true });
        }
    }

    fn map(&mut self, schema: &'s Json, family: Option<&Family>, at: &At<'_>) {
        let properties = schema.get("properties").and_then(Json::as_object);
        if let (Value::Text(word), Some(_)) = (&at.node.value, family) {
            // a probe's name alone
            let known: Vec<&str> =
                properties.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
            let text = match known.contains(&word.as_str()) {
                true => format!("`{word}` needs parameters\n\nhint: write `{word}: {{ … }}`"),
                false => unknown(word, &known, family, at),
            };
            return self.problems.push(at.problem(text));
        }
        let Value::Map(entries) = &at.node.value else { return self.wants("a map", at) };
        let others = schema.get("additionalProperties");
        for entry in entries {
            let below = At::under(&entry.key, entry.key_span, &entry.value);
            match (properties.and_then(|known| known.get(&entry.key)), others) {
                (Some(schema), _) => self.node(schema, &below),
                (None, Some(Json::Bool(false))) => {
                    let known = properties.into_iter().flat_map(|known| known.keys());
                    let known: Vec<&str> = known.map(String::as_str).collect();
                    let text = unknown(&entry.key, &known, family, at);
                    let problem = Problem::at(entry.key_span, text);
                    self.problems.push(problem.with_origins(&at.node.origins));
                }
                (None, Some(schema)) => self.node(schema, &below),
                (None, None) => {}
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if at.node.entry(key).is_none() {
                let owner = at.name();
                let text = format!("{owner} has no `{key}`\n\nhint: add `{key}: …`");
                self.problems.push(at.problem(text));
            }
        }
        self.at_least_one(schema, at);
    }

    /// Of these keys at least one must be there.
    fn at_least_one(&mut self, schema: &Json, at: &At<'_>) {
        let Some(keys) = at_least_one(schema) else { return };
        if keys.iter().any(|key| at.node.entry(key).is_some()) {
            return;
        }
        let (owner, first) = (at.name(), keys.first().copied().unwrap_or_default());
        let each: Vec<String> = keys.iter().map(|key| format!("`{key}: …`")).collect();
        let text = format!("{owner} has no `{first}`\n\nhint: add {}", each.join(" or "));
        self.problems.push(at.problem(text));
    }

    /// One of several: by word, by the single key of a map, or by the type of the value.
    fn choice(&mut self, choices: Vec<&'s Json>, family: Option<&Family>, at: &At<'_>) {
        let mut words_known = Vec::new();
        let mut tags = Vec::new();
        let mut others = Vec::new();
        let mut nullable = false;
        for choice in choices {
            let (choice, name) = self.resolve(choice);
            if types(choice) == ["null"] {
                nullable = true;
            } else if let Some(words) = words(choice) {
                words_known.extend(words);
            } else if let Some(tag) = single_key(choice) {
                tags.push(tag);
            } else {
                others.push((choice, name));
            }
        }
        if nullable && at.node.value == Value::Null {
            return;
        }
        if tags.is_empty() && words_known.is_empty() {
            return self.by_type(&others, at);
        }
        match (&at.node.value, others.as_slice()) {
            (Value::Text(_), _) if tags.is_empty() => {
                self.standing_alone(&words_known, &others, at);
            }
            (_, [(schema, name)]) if tags.is_empty() => {
                let family = FAMILIES.iter().find(|(family, ..)| Some(*family) == *name);
                self.map(schema, family, at);
            }
            _ => self.tagged(&tags, &words_known, family, at),
        }
    }

    /// `recover` among steps: what a lone word may be is said by the type that reads it.
    fn standing_alone(&mut self, words: &[&str], others: &[(&'s Json, Option<&str>)], at: &At<'_>) {
        if others.is_empty() {
            self.word(words, at);
        }
    }

    fn by_type(&mut self, others: &[(&'s Json, Option<&'s str>)], at: &At<'_>) {
        let fits = |schema: &Json| match &at.node.value {
            Value::Map(_) => types(schema).contains(&"object"),
            Value::List(_) => types(schema).contains(&"array"),
            Value::Text(_) => types(schema).contains(&"string"),
            Value::Int(_) => types(schema).iter().any(|kind| matches!(*kind, "integer" | "number")),
            Value::Float(_) => types(schema).contains(&"number"),
            Value::Bool(_) => types(schema).contains(&"boolean"),
            Value::Null | Value::Hole => true,
        };
        let chosen = match others {
            [only] => Some(only),
            _ => others.iter().find(|(schema, _)| fits(schema)),
        };
        let Some((schema, name)) = chosen else {
            let mut wanted: Vec<_> =
                others.iter().filter_map(|(s, _)| types(s).first().copied()).collect();
            wanted.dedup();
            let words = wanted.iter().map(|kind| match *kind {
                "string" => "text",
                "object" => "a map",
                "array" => "a list",
                "boolean" => "`true` or `false`",
                _ => "a number",
            });
            let words = words.collect::<Vec<_>>().join(" or ");
            return self.wants(&words, at);
        };
        if alternatives(schema).is_some() {
            let family = FAMILIES.iter().find(|(family, ..)| Some(*family) == *name);
            return self.choice(alternatives(schema).unwrap_or_default(), family, at);
        }
        self.node(schema, at);
    }

    fn tagged(
        &mut self,
        tags: &[(&'s str, &'s Json)],
        words: &[&'s str],
        family: Option<&Family>,
        at: &At<'_>,
    ) {
        let known: Vec<&str> =
            tags.iter().map(|(tag, _)| *tag).chain(words.iter().copied()).collect();
        match &at.node.value {
            Value::Map(entries) if entries.len() == 1 => {
                let entry = &entries[0];
                match tags.iter().find(|(tag, _)| *tag == entry.key) {
                    Some((_, schema)) => {
                        self.node(schema, &At::under(&entry.key, entry.key_span, &entry.value));
                    }
                    None => {
                        let text = unknown(&entry.key, &known, family, at);
                        let problem = Problem::at(entry.key_span, text);
                        self.problems.push(problem.with_origins(&at.node.origins));
                    }
                }
            }
            Value::Text(text) if words.contains(&text.as_str()) => {}
            Value::Text(text) if tags.iter().any(|(tag, _)| tag == text) => {
                let text = format!("`{text}` needs parameters\n\nhint: write `{text}: {{ … }}`");
                self.problems.push(at.problem(text));
            }
            Value::Text(text) => {
                let text = unknown(text, &known, family, at);
                self.problems.push(at.problem(text));
            }
            Value::Map(entries) if entries.len() > 1 => {
                let keys = listed(entries.iter().map(|entry| entry.key.as_str()));
                let second = entries[1].key_span;
                let text = format!(
                    "{} wants one key, and has {keys}\n\nhint: keep one; what belongs to it goes inside its braces",
                    at.name()
                );
                self.problems.push(Problem::at(second, text));
            }
            _ => self.wants(&format!("one of {}", listed(known)), at),
        }
    }
}

type Family = (&'static str, &'static str, &'static str);

/// What to say of a key or word that is not known.
fn unknown(given: &str, known: &[&str], family: Option<&Family>, at: &At<'_>) -> String {
    match family {
        Some((_, kind, list)) => {
            let meant = crate::diagnostic::closest(given, known.iter().copied());
            let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
            format!(
                "no {kind} is called `{given}`\n\nhint: {meant}`keelhaul list {list}` names them all"
            )
        }
        None => {
            let place = at.label.map(|_| format!(" in {}", at.name())).unwrap_or_default();
            format!("unknown key `{given}`{place}\n\nhint: {}", did_you_mean(given, known))
        }
    }
}

fn did_you_mean(given: &str, known: &[&str]) -> String {
    suggest(given, known.iter().copied()).unwrap_or_else(|| "remove it".into())
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one.as_str()],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn alternatives(schema: &Json) -> Option<Vec<&Json>> {
    let list = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    Some(list.iter().collect())
}

/// The keys of which one is required: `allOf: [{ anyOf: [{ required: [a] }, { required: [b] }] }]`.
fn at_least_one(schema: &Json) -> Option<Vec<&str>> {
    let choices = schema.get("allOf")?.as_array()?.first()?.get("anyOf")?.as_array()?;
    choices.iter().map(|choice| choice.get("required")?.as_array()?.first()?.as_str()).collect()
}

/// The words of an enum, when it has nothing but words.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![word]);
    }
    let list = schema.get("enum")?.as_array()?;
    Some(list.iter().filter_map(Json::as_str).collect())
}

/// The tag and content of a variant with parameters: an object with one required key.
fn single_key(schema: &Json) -> Option<(&str, &Json)> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    let (tag, content) = properties.iter().next()?;
    let only = properties.len() == 1 && required.len() == 1 && required[0] == tag.as_str();
    (only && schema.get("additionalProperties") == Some(&Json::Bool(false)))
        .then_some((tag.as_str(), content))
}
