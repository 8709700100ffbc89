//! Parts of a tree that are made anew, at the places of what they are made from. Pure.

use crate::scenario::load::node::{Entry, Node, Span, Value};

/// A text that stands for itself: variables of the scenario have no business in it.
pub(super) fn text(span: Span, text: &str) -> Node {
    let escaped = text.replace("${", "$${");
    Node::new(span, Value::Text(escaped.clone()), escaped)
}

pub(super) fn number(span: Span, number: u64) -> Node {
    Node::new(span, Value::Int(number.into()), number.to_string())
}

pub(super) fn flag(span: Span, flag: bool) -> Node {
    Node::new(span, Value::Bool(flag), flag.to_string())
}

pub(super) fn list(span: Span, items: Vec<Node>) -> Node {
    Node::new(span, Value::List(items), "")
}

pub(super) fn map(span: Span, entries: Vec<Entry>) -> Node {
    Node::new(span, Value::Map(entries), "")
}

pub(super) fn entry(key: &str, key_span: Span, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_span, value }
}

/// `{ key: value }`, all at one place.
pub(super) fn single(key: &str, value: Node) -> Node {
    let span = value.span;
    map(span, vec![entry(key, span, value)])
}

/// A scalar as Compose takes it: text, or a number or a flag that stands for its text.
pub(super) fn word(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Some(&node.raw),
        _ => None,
    }
}
