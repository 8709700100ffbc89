//! What a type cannot say: references, names, order, timing.
//!
//! Every check is a pure function of the scenario; positions come from the tree by path.

mod attach;
mod faults;
mod ids;
mod images;
mod limits;
mod names;
mod probes;
mod profiles;
mod proof;
mod references;
mod services;
mod starts;
mod targets;
mod timing;

pub use ids::{Assertion, Spot, assertion_ids, is_listed};

use std::collections::BTreeSet;

use super::{
    Allow, Scenario, Step,
    load::{Node, Problem, Seg, Span},
};
use crate::volumes::VolumeSpec;

/// Every problem of a scenario with its variables put in, and the overrides of this control.
pub(crate) fn check(scenario: &Scenario, tree: &Node, control: Option<usize>) -> Vec<Problem> {
    let mut cx = Cx { scenario, tree, control, lost: BTreeSet::new(), problems: Vec::new() };
    names::check(&mut cx);
    services::check(&mut cx);
    limits::check(&mut cx);
    attach::check(&mut cx);
    starts::check(&mut cx);
    references::check(&mut cx);
    probes::check(&mut cx);
    faults::check(&mut cx);
    timing::check(&mut cx);
    proof::check(&mut cx);
    cx.problems
}

/// What is wrong with these steps in place of a scenario's own: of faults and probes by hand, which
/// stand in no file. Each one sentence, with a hint.
#[must_use]
pub fn complaints(scenario: &Scenario, steps: Vec<Step>) -> Vec<String> {
    let scenario = Scenario { steps, ..scenario.clone() };
    let tree = Node::nothing();
    let (control, lost) = (None, BTreeSet::new());
    let mut cx = Cx { scenario: &scenario, tree: &tree, control, lost, problems: Vec::new() };
    references::check(&mut cx);
    probes::check(&mut cx);
    faults::check(&mut cx);
    cx.problems.into_iter().map(|problem| problem.text).collect()
}

/// Problems of what is left of a scenario when its spoilt parts are out: none that speak of `lost`
/// names, and none about the scenario as a whole.
pub(crate) fn check_rest(
    scenario: &Scenario,
    tree: &Node,
    control: Option<usize>,
    lost: BTreeSet<String>,
) -> Vec<Problem> {
    let mut cx = Cx { scenario, tree, control, lost, problems: Vec::new() };
    services::check(&mut cx);
    limits::check(&mut cx);
    attach::check(&mut cx);
    starts::check(&mut cx);
    references::check(&mut cx);
    probes::check(&mut cx);
    faults::check(&mut cx);
    cx.problems
}

/// A scenario, its tree, and what was found.
struct Cx<'a> {
    scenario: &'a Scenario,
    tree: &'a Node,
    /// The control whose overrides are merged in.
    control: Option<usize>,
    /// Names and sections of parts that are not there because they have problems already.
    lost: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'a> Cx<'a> {
    /// Reports a problem at a path.
    fn report(&mut self, path: &[Seg<'_>], text: impl Into<String>) {
        let (span, origins) = self.tree.locate(path);
        self.push(Problem::at(span, text).with_origins(&origins));
    }

    /// Reports what a fault, a probe or a volume says of itself. It knows no positions, but begins
    /// with what is wrong in backticks: a key or a value below `path`, which is then pointed at.
    fn report_below(&mut self, path: &[Seg<'_>], text: &str) {
        let quoted = text.split('`').nth(1).unwrap_or_default();
        let found = self.tree.find(path).and_then(|node| below(node, quoted));
        match found {
            Some(span) => {
                let (_, origins) = self.tree.locate(path);
                self.push(Problem::at(span, text).with_origins(&origins));
            }
            None => self.report(path, text),
        }
    }

    /// Keeps a problem, unless it may come from what was left out.
    fn push(&mut self, problem: Problem) {
        if !self.lost.iter().any(|name| problem.text.contains(&format!("`{name}`"))) {
            self.problems.push(problem);
        }
    }

    /// Reports a problem at a path, with a remark at another.
    fn report_with(
        &mut self,
        path: &[Seg<'_>],
        text: impl Into<String>,
        remark: &str,
        other: &[Seg<'_>],
    ) {
        let (span, origins) = self.tree.locate(path);
        let (other, _) = self.tree.locate(other);
        let problem = Problem::at(span, text).with_origins(&origins).note(remark, Some(other));
        self.push(problem);
    }

    /// True when this part is written in the file, and not a default.
    fn is_written(&self, path: &[Seg<'_>]) -> bool {
        self.tree.find(path).is_some()
    }

    fn host_wide(&self) -> bool {
        self.scenario.allow.contains(&Allow::HostWide)
    }

    /// Where a service mounts what lies at a path: mount point and volume.
    fn mounted(&self, service: &str, path: &str) -> Option<(&'a str, &'a str)> {
        let mounts = &self.scenario.services.get(service)?.mounts;
        let above = mounts.iter().filter(|(point, _)| is_at_or_below(path, point));
        let nearest = above.max_by_key(|(point, _)| point.trim_end_matches('/').len());
        nearest.map(|(point, mount)| (point.as_str(), mount.volume.as_str()))
    }

    fn volume(&self, name: &str) -> Option<&'a VolumeSpec> {
        self.scenario.volumes.get(name)
    }
}

/// Where a value is written as `quoted`, or the value of a key that is quoted alone or as
/// `key: value`.
fn below(node: &Node, quoted: &str) -> Option<Span> {
    let key = quoted.split(':').next().unwrap_or_default();
    let is_it = |node: &Node| node.is_scalar() && node.raw == quoted;
    let in_items = |node: &Node| {
        node.items().iter().find_map(|item| match is_it(item) {
            true => Some(item.span),
            false => below(item, quoted),
        })
    };
    in_items(node).or_else(|| {
        node.entries().iter().find_map(|entry| {
            let span = if entry.value.is_scalar() { entry.value.span } else { entry.key_span };
            let named = entry.key == key || is_it(&entry.value);
            if named { Some(span) } else { below(&entry.value, quoted) }
        })
    })
}

/// True for `/data/logs` at or below `/data`.
fn is_at_or_below(path: &str, point: &str) -> bool {
    let point = point.trim_end_matches('/');
    path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_by_hand_is_complained_about_like_steps() {
        let yaml = "keelhaul: 1
name: x
services: { agent: { image: i } }
steps:
  - inject: { memory-limit: { target: agent, limit: 32MiB } }
    as: tight
  - inject: { pause: { target: agent } }
    as: frozen
  - revert: tight
  - inject: { kill: { target: agnt } }
";
        let scenario: Scenario = serde_saphyr::from_str(yaml).unwrap();
        let steps = |range: std::ops::Range<usize>| scenario.steps[range].to_vec();
        assert_eq!(complaints(&scenario, steps(0..2)), Vec::<String>::new());
        let beneath = complaints(&scenario, steps(0..3));
        assert!(beneath[0].starts_with("`tight` lies beneath `pause`"), "{beneath:?}");
        let unknown = complaints(&scenario, steps(3..4));
        assert!(unknown[0].ends_with("hint: did you mean `agent`?"), "{unknown:?}");
    }
}
