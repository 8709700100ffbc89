//! A `loop` among the steps, written out: its steps come once for each round, and what is named in them
//! gets the number of the round, `cut-1`, `cut-2`.
//!
//! So nothing behind it knows of loops, and every round has its own lines in the plan and the reports.

use super::{
    node::{Entry, Node, Value},
    problem::Problem,
};

const LOOP: &str = "loop";
/// More steps than this are refused, all rounds together.
const MOST_STEPS: usize = 1_000;

/// The tree without loops. One whose shape is wrong has been reported already, and is left out.
pub(super) fn written_out(tree: &Node, problems: &mut Vec<Problem>) -> Node {
    let steps = tree.get("steps").map(Node::items).unwrap_or_default();
    if !steps.iter().any(|step| step.entry(LOOP).is_some()) {
        return tree.clone();
    }
    let (mut all, mut loops) = (Vec::new(), Vec::new());
    for step in steps {
        let Some(entry) = step.entry(LOOP) else {
            all.push(step.clone());
            continue;
        };
        alone(step, problems);
        let Some(one) = Loop::of(&entry.value, problems) else { continue };
        if all.len() + one.steps.len() * one.times > MOST_STEPS {
            let text = format!(
                "more than {MOST_STEPS} steps, all rounds together\n\nhint: fewer `times`, or `repeat` for the whole scenario"
            );
            problems.push(Problem::at(entry.key_span, text));
            continue;
        }
        all.extend((1..=one.times).flat_map(|round| one.round(round)));
        loops.push(one);
    }
    let mut done = tree.clone();
    if let Value::Map(sections) = &mut done.value {
        for Entry { key, value, .. } in sections {
            match key.as_str() {
                "steps" => value.value = Value::List(std::mem::take(&mut all)),
                "controls" => controls(value, &loops),
                _ => {}
            }
        }
    }
    done
}

/// No modifier of a step says anything of a loop.
fn alone(step: &Node, problems: &mut Vec<Problem>) {
    for other in step.entries().iter().filter(|entry| entry.key != LOOP) {
        let text = format!(
            "`{}` does not go with `loop`\n\nhint: give it to the steps in it, or make it a step of its own",
            other.key
        );
        problems.push(Problem::at(other.key_span, text));
    }
}

/// One that can be written out.
struct Loop<'a> {
    times: usize,
    steps: &'a [Node],
    /// What is named in it.
    names: Vec<String>,
}

impl<'a> Loop<'a> {
    fn of(node: &'a Node, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(Value::Int(times)) = node.get("times").map(|times| &times.value) else {
            return None;
        };
        let steps = node.get("steps")?.items();
        let within = steps.iter().filter_map(|step| step.entry(LOOP));
        let nested: Vec<Problem> = within
            .map(|entry| {
                let text = "a loop cannot stand in another one\n\nhint: write its steps out, or multiply `times`";
                Problem::at(entry.key_span, text)
            })
            .collect();
        let (times, is_flat) = (usize::try_from(*times).ok()?, nested.is_empty());
        problems.extend(nested);
        let mut names = Vec::new();
        steps.iter().for_each(|step| named(step, &mut names));
        is_flat.then_some(Self { times, steps, names })
    }

    /// The steps of a round, counted from 1.
    fn round(&self, round: usize) -> Vec<Node> {
        let mut steps = self.steps.to_vec();
        for step in &mut steps {
            each_name(step, &mut |name| {
                if self.names.contains(name) {
                    *name = of_round(name, round);
                }
            });
        }
        steps
    }

    /// Ids of every round, where this is an id of a step in the loop: `cut`, `cut.effect`, `served.expect[0]`.
    fn every_round(&self, id: &str) -> Option<Vec<String>> {
        let end = id.find(['.', '[']).unwrap_or(id.len());
        let (name, rest) = id.split_at(end);
        let known = self.names.iter().any(|it| it == name);
        let rounds = 1..=self.times;
        known.then(|| rounds.map(|round| of_round(name, round) + rest).collect())
    }
}

fn of_round(name: &str, round: usize) -> String {
    format!("{name}-{round}")
}

/// What `as` says of a step, and of the probes that it waits for.
fn named(step: &Node, names: &mut Vec<String>) {
    let probes = ["expect", "when"].into_iter().filter_map(|key| step.get(key));
    for node in probes.flat_map(Node::items).chain([step]) {
        if let Some(Value::Text(name)) = node.get("as").map(|name| &name.value) {
            names.push(name.clone());
        }
    }
}

/// Every name in a step: what it is called, what its probes are, and the step that it reverts or awaits.
fn each_name(step: &mut Node, change: &mut impl FnMut(&mut String)) {
    let Value::Map(entries) = &mut step.value else { return };
    for Entry { key, value, .. } in entries {
        match (key.as_str(), &mut value.value) {
            ("as" | "revert" | "await", Value::Text(name)) => change(name),
            ("expect" | "when", Value::List(probes)) => {
                probes.iter_mut().for_each(|probe| each_name(probe, change));
            }
            _ => {}
        }
    }
}

/// A control that fails at what stands in a loop fails there in any round.
fn controls(controls: &mut Node, loops: &[Loop<'_>]) {
    let Value::List(controls) = &mut controls.value else { return };
    let entries = controls.iter_mut().filter_map(|control| match &mut control.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    });
    for entry in entries.flatten().filter(|entry| entry.key == "fails") {
        let Value::List(ids) = &mut entry.value.value else { continue };
        *ids = ids.iter().flat_map(|id| every_round(id, loops)).collect();
    }
}

fn every_round(id: &Node, loops: &[Loop<'_>]) -> Vec<Node> {
    let Value::Text(text) = &id.value else { return vec![id.clone()] };
    let Some(all) = loops.iter().find_map(|one| one.every_round(text)) else {
        return vec![id.clone()];
    };
    all.into_iter().map(|text| Node { value: Value::Text(text), ..id.clone() }).collect()
}
