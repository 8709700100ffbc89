//! The cells of a matrix: the product of its axes, less what is excluded.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    node::{Entry, Node, Value},
    problem::Problem,
    scalar,
};
use crate::diagnostic::suggest;

/// More cells than this are refused.
const MAX_CELLS: usize = 64;
/// The axis along which controls run once only.
pub(crate) const SEED: &str = "seed";

/// The values of one cell, in the order of the axes, each with its label.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values {
    pub(crate) values: Vec<(String, Node)>,
    pub(crate) labels: Vec<(String, String)>,
}

/// Every cell; one without values when there is no matrix.
pub(crate) fn cells(
    tree: &Node,
    sets: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Vec<Values> {
    let Some(matrix) = tree.entry("matrix") else { return vec![Values::default()] };
    let before = problems.len();
    let axes = axes(tree, &matrix.value, sets, problems);
    let sizes = axes.iter().map(|(_, values)| values.len());
    let is_empty = sizes.clone().any(|size| size == 0);
    let product = sizes.fold(1, usize::saturating_mul);
    if !is_empty && product > MAX_CELLS {
        let text = format!(
            "the matrix has {product} cells, more than {MAX_CELLS}\n\nhint: shorten an axis, or split the scenario"
        );
        problems.push(Problem::at(matrix.key_span, text));
        return Vec::new();
    }
    // not multiplied up to the axis that has none
    let mut cells = if is_empty { Vec::new() } else { vec![Values::default()] };
    for (axis, values) in &axes {
        cells = cells
            .iter()
            .flat_map(|cell| values.iter().map(move |value| cell.with(&axis.key, value)))
            .collect();
    }
    exclude(&mut cells, &axes, &matrix.value, problems);
    if cells.is_empty() && problems.len() == before {
        let text = "the matrix has no cells left\n\nhint: remove an element of `exclude`";
        problems.push(Problem::at(matrix.key_span, text));
    }
    cells
}

type Axis<'a> = (&'a Entry, Vec<Node>);

fn axes<'a>(
    tree: &Node,
    matrix: &'a Node,
    sets: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Vec<Axis<'a>> {
    let mut axes = Vec::new();
    for entry in matrix.get("axes").map(Node::entries).unwrap_or_default() {
        if let Some(variable) = tree.get("vars").and_then(|vars| vars.entry(&entry.key)) {
            let text = format!(
                "the axis `{}` is a variable too\n\nhint: rename one of the two",
                entry.key
            );
            let note = "the variable is defined here";
            problems.push(Problem::at(entry.key_span, text).note(note, Some(variable.key_span)));
        }
        if entry.value.items().is_empty() && matches!(entry.value.value, Value::List(_)) {
            let text = format!("the axis `{}` has no values", entry.key);
            problems.push(Problem::at(entry.key_span, text));
        }
        axes.push((entry, pinned(entry, sets, problems)));
    }
    axes
}

/// The values of an axis; only the one that `--set` names, if it names one.
fn pinned(axis: &Entry, sets: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Vec<Node> {
    let values = axis.value.items();
    for (i, value) in values.iter().enumerate() {
        let twin = values[..i].iter().find(|other| label(other) == label(value));
        if let Some(twin) = twin {
            let text = format!("the axis `{}` has `{}` twice", axis.key, label(value));
            problems.push(Problem::at(value.span, text).note("first here", Some(twin.span)));
        }
        if axis.key == SEED && !matches!(value.value, Value::Int(int) if int >= 0) {
            let text = "a seed is a whole number, not negative";
            problems.push(Problem::at(value.span, text));
        }
    }
    let Some(wanted) = sets.get(&axis.key) else { return values.to_vec() };
    if let Some(value) = values.iter().find(|value| label(value) == *wanted) {
        return vec![value.clone()];
    }
    if values.iter().all(Node::is_scalar) {
        return vec![Node::new(axis.key_span, scalar::resolve(wanted), wanted.clone())];
    }
    let labels: Vec<String> = values.iter().map(label).collect();
    let hint = suggest(wanted, labels.iter().map(String::as_str)).unwrap_or_default();
    let text = format!("the axis `{}` has no value `{wanted}`\n\nhint: {hint}", axis.key);
    problems.push(Problem::at(axis.key_span, text).note("asked for by `--set`", None));
    Vec::new()
}

fn exclude(cells: &mut Vec<Values>, axes: &[Axis<'_>], matrix: &Node, problems: &mut Vec<Problem>) {
    for rule in matrix.get("exclude").map(Node::items).unwrap_or_default() {
        let mut sound = true;
        for entry in rule.entries() {
            let Some((axis, _)) = axes.iter().find(|(axis, _)| axis.key == entry.key) else {
                let names = axes.iter().map(|(axis, _)| axis.key.as_str());
                let hint = suggest(&entry.key, names).unwrap_or_default();
                let text = format!("the matrix has no axis `{}`\n\nhint: {hint}", entry.key);
                problems.push(Problem::at(entry.key_span, text));
                sound = false;
                continue;
            };
            // not the pinned ones: an exclusion stays valid when `--set` chooses another value
            let values = axis.value.items();
            if !values.iter().any(|value| label(value) == label(&entry.value)) {
                let labels: Vec<String> = values.iter().map(label).collect();
                let wanted = label(&entry.value);
                let hint = suggest(&wanted, labels.iter().map(String::as_str)).unwrap_or_default();
                let text =
                    format!("the axis `{}` has no value `{wanted}`\n\nhint: {hint}", entry.key);
                problems.push(Problem::at(entry.value.span, text));
                sound = false;
            }
        }
        if sound && !rule.entries().is_empty() {
            cells.retain(|cell| !cell.matches(rule));
        }
    }
}

impl Values {
    fn with(&self, axis: &str, value: &Node) -> Self {
        let mut cell = self.clone();
        cell.values.push((axis.to_owned(), value.clone()));
        cell.labels.push((axis.to_owned(), label(value)));
        cell
    }

    /// The values that are maps or lists: their labels do not say them.
    pub(crate) fn shapes(&self) -> BTreeMap<String, serde_json::Value> {
        let shaped = self.values.iter().filter(|(_, node)| !node.is_scalar());
        shaped.map(|(axis, node)| (axis.clone(), node.to_json())).collect()
    }

    /// True when the cell has every value that a map names.
    pub(crate) fn matches(&self, wanted: &Node) -> bool {
        wanted.entries().iter().all(|entry| {
            let wanted = label(&entry.value);
            self.labels.iter().any(|(axis, label)| *axis == entry.key && *label == wanted)
        })
    }
}

/// `[volume=xfs,seed=2]`; nothing without a matrix.
#[must_use]
pub(crate) fn suffix(labels: &[(String, String)]) -> String {
    let mut text = String::new();
    for (axis, label) in labels {
        let open = if text.is_empty() { '[' } else { ',' };
        // writing to a string cannot fail
        let _ = write!(text, "{open}{axis}={label}");
    }
    if !text.is_empty() {
        text.push(']');
    }
    text
}

/// A value in a case's name: a scalar as written, a map by its only key, else its beginning.
pub(crate) fn label(node: &Node) -> String {
    match &node.value {
        Value::Map(entries) if entries.len() == 1 => entries[0].key.clone(),
        Value::Map(_) | Value::List(_) => node.to_json().to_string(),
        _ => node.raw.clone(),
    }
}
