//! YAML's merge key, `<<`: what it names goes under what is written beside it. Pure.

use crate::scenario::load::node::{Entry, Node, Value};

const MERGE: &str = "<<";

/// The tree with every merge done.
pub(super) fn done(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(done).collect()),
        Value::Map(entries) => Value::Map(map(entries)),
        _ => return node.clone(),
    };
    Node { value, ..node.clone() }
}

fn map(entries: &[Entry]) -> Vec<Entry> {
    let own = entries.iter().filter(|entry| entry.key != MERGE);
    let mut merged: Vec<Entry> =
        own.map(|entry| Entry { value: done(&entry.value), ..entry.clone() }).collect();
    for entry in entries.iter().filter(|entry| entry.key == MERGE) {
        let one = std::slice::from_ref(&entry.value);
        // of several, the first that has a key gives it
        let named = if entry.value.items().is_empty() { one } else { entry.value.items() };
        for below in named.iter().flat_map(|node| map(node.entries())) {
            if !merged.iter().any(|known| known.key == below.key) {
                merged.push(below);
            }
        }
    }
    merged
}
