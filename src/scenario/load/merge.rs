//! A control's overrides put over the scenario's tree: maps merge, lists and scalars replace.
//!
//! Every part keeps the place where it was written.

use super::{
    node::{Entry, Node, Value},
    problem::Problem,
};
use crate::diagnostic::suggest;

/// The sections that a control may override.
pub(crate) const SECTIONS: [&str; 9] = [
    "vars",
    "volumes",
    "services",
    "workloads",
    "objectives",
    "steady_state",
    "steps",
    "observe",
    "verify",
];
/// Sections of named things: a control changes them and adds none.
const NAMED: [(&str, &str); 4] = [
    ("vars", "variable"),
    ("volumes", "volume"),
    ("services", "service"),
    ("workloads", "workload"),
];

/// The scenario as this control runs it.
pub(crate) fn merge(tree: &Node, control: &Node, problems: &mut Vec<Problem>) -> Node {
    let mut merged = tree.clone();
    for over in control.entries().iter().filter(|over| SECTIONS.contains(&over.key.as_str())) {
        refuse_additions(tree, over, problems);
        if merged.entry(&over.key).is_none() {
            put(&mut merged, over, false);
            continue;
        }
        let Value::Map(sections) = &mut merged.value else { continue };
        for section in sections.iter_mut().filter(|section| section.key == over.key) {
            let kinds = matches!(over.key.as_str(), "volumes" | "workloads");
            section.value = put_section(&section.value, &over.value, kinds);
        }
    }
    merged
}

/// The scenario with this control's variables alone.
pub(crate) fn vars(tree: &Node, control: &Node) -> Node {
    let mut alone = control.clone();
    if let Value::Map(entries) = &mut alone.value {
        entries.retain(|entry| entry.key == "vars");
    }
    merge(tree, &alone, &mut Vec::new())
}

/// Reports names that the scenario does not have.
fn refuse_additions(tree: &Node, over: &Entry, problems: &mut Vec<Problem>) {
    let Some((section, kind)) = NAMED.into_iter().find(|(section, _)| *section == over.key) else {
        return;
    };
    let known = tree.get(section).map(Node::entries).unwrap_or_default();
    for entry in over.value.entries() {
        if known.iter().any(|known| known.key == entry.key) {
            continue;
        }
        let hint = suggest(&entry.key, known.iter().map(|known| known.key.as_str()))
            .unwrap_or_else(|| format!("declare it under `{section}` first"));
        let text = format!(
            "this control overrides a {kind} `{}` that the scenario does not have\n\nhint: {hint}",
            entry.key
        );
        problems.push(Problem::at(entry.key_span, text));
    }
}

/// A section's own keys are names: they merge whatever their number.
pub(super) fn put_section(base: &Node, over: &Node, kinds: bool) -> Node {
    let (Value::Map(_), Value::Map(above)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let mut merged = base.clone();
    for entry in above {
        put(&mut merged, entry, kinds);
    }
    merged
}

fn put(base: &mut Node, over: &Entry, kinds: bool) {
    let Value::Map(entries) = &mut base.value else { return };
    match entries.iter_mut().find(|entry| entry.key == over.key) {
        Some(entry) => entry.value = put_over(&entry.value, &over.value, kinds),
        None => entries.push(over.clone()),
    }
}

fn put_over(base: &Node, over: &Node, kinds: bool) -> Node {
    match (&base.value, &over.value) {
        (Value::Map(below), Value::Map(above)) if !(kinds && is_other_kind(below, above)) => {
            let mut merged = base.clone();
            for entry in above {
                put(&mut merged, entry, kinds);
            }
            merged
        }
        _ => over.clone(),
    }
}

/// True for `{ tmpfs: … }` over `{ ext4: … }`: two kinds do not merge, the later replaces.
fn is_other_kind(below: &[Entry], above: &[Entry]) -> bool {
    let is_map = |entry: &Entry| matches!(entry.value.value, Value::Map(_));
    matches!((below, above), ([below], [above])
        if below.key != above.key && is_map(below) && is_map(above))
}
