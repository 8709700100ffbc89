//! What a type cannot say: references, names, order, timing.
//!
//! Every check is a pure function of the scenario; positions come from the tree by path.

mod faults;
mod ids;
mod names;
mod probes;
mod profiles;
mod references;
mod services;
mod targets;
mod timing;

pub use ids::{Assertion, Spot, assertion_ids, is_listed};

use super::{
    Allow, Scenario,
    load::{Node, Problem, Seg},
};
use crate::volumes::VolumeSpec;

/// Every problem of a scenario with its variables put in, and the overrides of this control.
pub(crate) fn check(scenario: &Scenario, tree: &Node, control: Option<usize>) -> Vec<Problem> {
    let mut cx = Cx { scenario, tree, control, problems: Vec::new() };
    names::check(&mut cx);
    services::check(&mut cx);
    references::check(&mut cx);
    probes::check(&mut cx);
    faults::check(&mut cx);
    timing::check(&mut cx);
    cx.problems
}

/// A scenario, its tree, and what was found.
struct Cx<'a> {
    scenario: &'a Scenario,
    tree: &'a Node,
    /// The control whose overrides are merged in.
    control: Option<usize>,
    problems: Vec<Problem>,
}

impl<'a> Cx<'a> {
    /// Reports a problem at a path.
    fn report(&mut self, path: &[Seg<'_>], text: impl Into<String>) {
        let (span, origins) = self.tree.locate(path);
        self.problems.push(Problem::at(span, text).with_origins(&origins));
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
        self.problems.push(problem);
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

/// True for `/data/logs` at or below `/data`.
fn is_at_or_below(path: &str, point: &str) -> bool {
    let point = point.trim_end_matches('/');
    path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
