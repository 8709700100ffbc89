//! A service over the one that it extends, by Compose's own rules: maps merge, lists are joined, a
//! mount stands for the other at its path, and everything else replaces. Pure.

use super::build;
use crate::scenario::load::node::{Entry, Node, Value};

pub(super) const EXTENDS: &str = "extends";
/// Lists of which the later replaces the earlier.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];
/// Keys that are a map, or a list of `KEY=VALUE`.
const PAIRS: [&str; 3] = ["annotations", "environment", "labels"];
/// Keys that are a map, or a list of names.
const NAMES: [&str; 2] = ["depends_on", "networks"];

/// What the two are together.
pub(super) fn over(base: &Node, own: &Node) -> Node {
    let mut merged = base.clone();
    merged.span = own.span;
    let Value::Map(entries) = &mut merged.value else { return own.clone() };
    for entry in own.entries().iter().filter(|entry| entry.key != EXTENDS) {
        match entries.iter_mut().find(|below| below.key == entry.key) {
            Some(below) => below.value = value_over(&entry.key, &below.value, &entry.value),
            None => entries.push(entry.clone()),
        }
    }
    merged
}

fn value_over(key: &str, base: &Node, own: &Node) -> Node {
    let (base, own) = match key {
        _ if PAIRS.contains(&key) => (as_map(base, pair), as_map(own, pair)),
        _ if NAMES.contains(&key) => (as_map(base, name), as_map(own, name)),
        _ => (base.clone(), own.clone()),
    };
    match (&base.value, &own.value) {
        (Value::Map(_), Value::Map(_)) => over(&base, &own),
        (Value::List(below), Value::List(above)) if !REPLACED.contains(&key) => {
            let hidden = |item: &&Node| {
                let at = (key == "volumes").then(|| target(item)).flatten();
                at.is_some() && above.iter().any(|other| target(other) == at)
            };
            let below = below.iter().filter(|item| !hidden(item));
            let joined = below.chain(above).cloned().collect();
            Node { value: Value::List(joined), ..own }
        }
        _ => own,
    }
}

fn as_map(node: &Node, entry: fn(&Node) -> Option<Entry>) -> Node {
    match &node.value {
        Value::List(items) => build::map(node.span, items.iter().filter_map(entry).collect()),
        _ => node.clone(),
    }
}

/// `KEY=VALUE`, or a key without one.
fn pair(item: &Node) -> Option<Entry> {
    let word = build::word(item)?;
    Some(match word.split_once('=') {
        // its variables are put in later
        Some((key, value)) => {
            let value = Node::new(item.span, Value::Text(value.to_owned()), value);
            build::entry(key, item.span, value)
        }
        None => build::entry(word, item.span, Node::new(item.span, Value::Null, "")),
    })
}

fn name(item: &Node) -> Option<Entry> {
    let nothing = Node::new(item.span, Value::Null, "");
    Some(build::entry(build::word(item)?, item.span, nothing))
}

/// Where a mount goes, in either of its forms.
fn target(mount: &Node) -> Option<String> {
    if let Some(target) = mount.get("target") {
        return build::word(target).map(str::to_owned);
    }
    let word = build::word(mount)?;
    // a default value has a colon too
    let mut depth = 0_usize;
    let parts: Vec<&str> = word
        .split(|c: char| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ':' && depth == 0
        })
        .collect();
    parts.get(1).or(parts.first()).map(|target| (*target).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load::parse::parse;

    fn merged(base: &str, own: &str) -> serde_json::Value {
        let node = |text| parse(text).0.unwrap();
        over(&node(base), &node(own)).to_json()
    }

    #[test]
    fn maps_merge_lists_are_joined_and_the_rest_replaces() {
        let base = "{ image: a, command: [x, y], ports: ['1'], healthcheck: { test: [CMD, a], retries: 3 } }";
        let own = "{ extends: base, command: [z], ports: ['2'], healthcheck: { test: [CMD, b] } }";
        let expected = serde_json::json!({
            "image": "a", "command": ["z"], "ports": ["1", "2"],
            "healthcheck": { "test": ["CMD", "b"], "retries": 3 },
        });
        assert_eq!(merged(base, own), expected);
    }

    #[test]
    fn what_may_be_a_list_or_a_map_merges_by_its_keys() {
        let base = "{ environment: [A=1, B=2, C], depends_on: [db], networks: [back] }";
        let own =
            "{ environment: { B: 3 }, depends_on: { cache: { condition: service_healthy } } }";
        let expected = serde_json::json!({
            "environment": { "A": "1", "B": 3, "C": null },
            "depends_on": { "db": null, "cache": { "condition": "service_healthy" } },
            "networks": ["back"],
        });
        assert_eq!(merged(base, own), expected);
    }

    #[test]
    fn a_mount_stands_for_the_other_at_its_path() {
        let base = "{ volumes: ['${D:-./d}:/data', logs:/logs, '/cache'] }";
        let own = "{ volumes: [{ type: volume, source: own, target: /data }, './c:/cache:ro'] }";
        let expected = serde_json::json!({
            "volumes": [
                "logs:/logs",
                { "type": "volume", "source": "own", "target": "/data" },
                "./c:/cache:ro",
            ],
        });
        assert_eq!(merged(base, own), expected);
    }
}
