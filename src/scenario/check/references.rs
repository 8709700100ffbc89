//! References of steps and workloads: services, faults to revert, steps to await.

use super::{Cx, attach};
use crate::{
    diagnostic::suggest,
    scenario::{Action, Step, load::Node},
};

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    for (name, workload) in &scenario.workloads {
        let kind = workload.name();
        let path = ["workloads".into(), name.into(), kind.into(), "via".into()];
        let via = cx.tree.find(&path).map(Node::entries).unwrap_or_default();
        let via = via.first().map_or("", |via| &via.key);
        let service = [path[0], path[1], path[2], path[3], via.into(), "service".into()];
        unknown_service(cx, workload.service(), &service);
    }
    for (i, step) in scenario.steps.iter().enumerate() {
        match &step.action {
            Action::Inject(inject) => {
                let fault = inject.fault.name();
                if let Some((key, peer)) = inject.fault.peer() {
                    let path =
                        ["steps".into(), i.into(), "inject".into(), fault.into(), key.into()];
                    if !unknown_service(cx, peer, &path) {
                        attach::peer(cx, &inject.fault, peer, &path);
                    }
                }
            }
            Action::Exec(exec) => {
                let path = ["steps".into(), i.into(), "exec".into(), "service".into()];
                unknown_service(cx, &exec.service, &path);
            }
            Action::Revert(name) => revert(cx, i, name),
            Action::Await { step, .. } => wait_for(cx, i, step),
            Action::Recover(_) if scenario.steady_state.is_empty() => {
                let text = "`recover` waits for the steady state, and the scenario has none\n\nhint: give it probes under `steady_state`";
                cx.report(&["steps".into(), i.into()], text);
            }
            _ => {}
        }
    }
    never_awaited(cx);
}

/// Reports a service that does not exist.
pub(super) fn unknown_service(
    cx: &mut Cx<'_>,
    name: &str,
    path: &[super::super::load::Seg<'_>],
) -> bool {
    let services = &cx.scenario.services;
    if services.contains_key(name) {
        return false;
    }
    let hint = suggest(name, services.keys().map(String::as_str))
        .unwrap_or_else(|| "declare it under `services`".into());
    // the key that names it, where there is one
    let text = format!("no service is called `{name}`\n\nhint: {hint}");
    cx.report(path, text);
    true
}

/// Names of earlier steps that pass a test.
fn earlier(steps: &[Step], fits: fn(&Action) -> bool) -> Vec<&str> {
    let named = steps.iter().filter(|step| fits(&step.action));
    named.filter_map(|step| step.name.as_deref()).collect()
}

/// Why a name does not stand for an earlier step of the right sort.
fn refusal(
    cx: &Cx<'_>,
    i: usize,
    name: &str,
    fits: fn(&Action) -> bool,
    sort: &str,
) -> Option<String> {
    let (before, after) = cx.scenario.steps.split_at(i);
    let known = earlier(before, fits);
    if known.contains(&name) {
        return None;
    }
    if earlier(after, fits).contains(&name) {
        return Some(format!(
            "the {sort} `{name}` only comes later\n\nhint: move this step behind it"
        ));
    }
    let is_other = cx.scenario.steps.iter().any(|step| step.name.as_deref() == Some(name));
    let hint =
        suggest(name, known).unwrap_or_else(|| format!("give the {sort} the name: `as: {name}`"));
    Some(match is_other {
        true => format!("`{name}` is not a {sort}\n\nhint: {hint}"),
        false => format!("no earlier {sort} is called `{name}`\n\nhint: {hint}"),
    })
}

fn revert(cx: &mut Cx<'_>, i: usize, name: &str) {
    let is_fault = |action: &Action| matches!(action, Action::Inject(_));
    if let Some(text) = refusal(cx, i, name, is_fault, "fault") {
        cx.report(&["steps".into(), i.into(), "revert".into()], text);
    }
}

fn in_background(action: &Action) -> bool {
    matches!(action, Action::Exec(exec) if exec.background)
}

fn wait_for(cx: &mut Cx<'_>, i: usize, name: &str) {
    if let Some(text) = refusal(cx, i, name, in_background, "step in the background") {
        cx.report(&["steps".into(), i.into(), "await".into()], text);
    }
}

/// A background step that nobody awaits can fail unseen.
fn never_awaited(cx: &mut Cx<'_>) {
    if cx.lost.contains("steps") {
        return;
    }
    let steps = &cx.scenario.steps;
    for (i, step) in steps.iter().enumerate() {
        if !in_background(&step.action) {
            continue;
        }
        let path = ["steps".into(), i.into(), "exec".into(), "background".into()];
        let Some(name) = &step.name else {
            let text = "a step in the background needs a name, so that it can be awaited\n\nhint: add `as: NAME`, and later `- await: NAME`";
            cx.report(&path, text);
            continue;
        };
        let awaited =
            |step: &Step| matches!(&step.action, Action::Await { step, .. } if step == name);
        if !steps[i..].iter().any(awaited) {
            let text = format!(
                "`{name}` runs in the background and is never awaited, so nobody sees it fail\n\nhint: add `- await: {name}`"
            );
            cx.report(&path, text);
        }
    }
}
