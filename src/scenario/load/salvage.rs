//! What else can be found in a scenario that has problems: its sound parts are read and checked all
//! the same, so that one slip does not hide the others.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    super::{Control, Observe, ProbeItem, Scenario, Service, Step, check},
    de,
    node::{Node, Span, Value},
    problem::Problem,
};
use crate::{volumes::VolumeSpec, workloads::WorkloadSpec};

/// What the checks find in the sound parts. Nothing that may follow from what is left out: a name
/// that is given there, or that something is missing.
pub(super) fn rest(tree: &Node, found: &[Problem], control: Option<usize>) -> Vec<Problem> {
    let mut lost = BTreeSet::new();
    let sound = sound(tree, found, &mut lost);
    match de::read::<Scenario>(&sound, None) {
        Ok(scenario) if !scenario.services.is_empty() => {
            check::check_rest(&scenario, &sound, control, lost)
        }
        _ => Vec::new(),
    }
}

/// The scenario without its spoilt parts; `lost`: the names of these, and of their sections.
fn sound(tree: &Node, found: &[Problem], lost: &mut BTreeSet<String>) -> Node {
    let mut kept = tree.clone();
    let Value::Map(sections) = &mut kept.value else { return kept };
    sections.retain_mut(|section| {
        let parts = section.value.entries().len() + section.value.items().len();
        match &mut section.value.value {
            // ids by number would point elsewhere
            _ if section.key == "controls" => return false,
            Value::Map(parts) => parts.retain(|part| {
                let spoilt = is_spoilt(&part.value, part.key_span, found);
                lost.extend(spoilt.then(|| part.key.clone()));
                !spoilt
            }),
            Value::List(items) => items.retain(|item| {
                let spoilt = is_spoilt(item, item.span, found);
                lost.extend(name_of(item).filter(|_| spoilt));
                !spoilt
            }),
            _ => return !is_spoilt(&section.value, section.key_span, found),
        }
        if section.value.entries().len() + section.value.items().len() < parts {
            lost.insert(section.key.clone());
        }
        // the section as a whole may be what is wrong
        !found.iter().any(|problem| problem.span == Some(section.key_span))
    });
    kept
}

/// The name of a step or a probe that others may refer to.
fn name_of(item: &Node) -> Option<String> {
    match item.get("as").map(|name| &name.value) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    }
}

/// True when a problem lies in a part, or it was left open. By identity and not by range: a
/// control's overrides are written elsewhere.
fn is_spoilt(part: &Node, span: Span, found: &[Problem]) -> bool {
    let here = |problem: &Problem| problem.span.is_some_and(|at| at == span || part.has(&at));
    found.iter().any(here) || has_hole(part)
}

/// What the types refuse, part by part, where nothing was found before.
pub(super) fn parts(tree: &Node, found: &[Problem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in tree.entries() {
        let listed = !matches!(entry.key.as_str(), "volumes" | "services" | "workloads");
        let named = entry.value.entries().iter().filter(|_| !listed);
        let named = named.map(|part| (part.key.as_str(), part.key_span, &part.value));
        let items = entry.value.items().iter().filter(|_| listed);
        let items = items.map(|part| (entry.key.as_str(), part.span, part));
        for (name, span, part) in named.chain(items) {
            if !is_spoilt(part, span, found) {
                problems.extend(part_of(&entry.key, part, (name, span)));
            }
        }
    }
    problems
}

fn has_hole(node: &Node) -> bool {
    node.value == Value::Hole
        || node.items().iter().any(has_hole)
        || node.entries().iter().any(|entry| has_hole(&entry.value))
}

fn part_of(section: &str, part: &Node, label: (&str, Span)) -> Option<Problem> {
    fn read<'a, T: Deserialize<'a>>(part: &'a Node, label: (&'a str, Span)) -> Option<Problem> {
        de::read::<T>(part, Some(label)).err()
    }
    match section {
        "volumes" => read::<VolumeSpec>(part, label),
        "services" => read::<Service>(part, label),
        "workloads" => read::<WorkloadSpec>(part, label),
        "steady_state" | "verify" | "stop_when" => read::<ProbeItem>(part, label),
        "steps" => read::<Step>(part, label),
        "observe" => read::<Observe>(part, label),
        "controls" => read::<Control>(part, label),
        _ => None,
    }
}
