//! Selections: they are by one thing, that thing exists, and there are as many as are picked.

use super::{Cx, references::unknown_service};
use crate::{
    diagnostic::suggest,
    faults::{FaultSpec, Pick, Selector},
    scenario::load::Seg,
};

/// Checks the target of a fault; true when there are objects to check the fault on.
pub(super) fn check(cx: &mut Cx<'_>, i: usize, fault: &FaultSpec) -> bool {
    let path = ["steps".into(), i.into(), "inject".into(), fault.name().into(), "target".into()];
    let target = fault.target();
    let Some(select) = &target.select else { return !unknown_service(cx, &target.service, &path) };
    let before = cx.problems.len();
    by_one(cx, select, &path);
    if cx.problems.len() == before {
        exists(cx, select, &path);
    }
    // what has problems of its own is left out, and would be missed here
    if cx.problems.len() == before && cx.lost.is_empty() {
        enough(cx, select, fault, &path);
    }
    cx.problems.len() == before
}

fn below<'a>(path: &[Seg<'a>], key: &'static str) -> Vec<Seg<'a>> {
    path.iter().copied().chain([key.into()]).collect()
}

/// One of `services`, `label` and `volume`; a path that is absolute, and beside the first two only.
fn by_one(cx: &mut Cx<'_>, select: &Selector, path: &[Seg<'_>]) {
    let given = [
        ("services", !select.services.is_empty()),
        ("label", select.label.is_some()),
        ("volume", select.volume.is_some()),
    ];
    let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given.as_slice() {
        [] => {
            let text = "nothing says which objects are meant\n\nhint: write `services: [a, b]`, `label: role=node` or `volume: data`";
            cx.report(path, text);
        }
        [_] => {}
        [first, second, ..] => {
            let text = format!(
                "`{first}` and `{second}` both say which objects are meant\n\nhint: keep one"
            );
            cx.report(&below(path, second), text);
        }
    }
    let Some(inside) = &select.path else { return };
    if select.volume.is_some() {
        let text =
            "a volume is hit where it is mounted\n\nhint: remove `path`, or select by `label`";
        cx.report(&below(path, "path"), text);
    } else if !inside.starts_with('/') {
        let text = format!("`{inside}` is not an absolute path\n\nhint: write `/{inside}`");
        cx.report(&below(path, "path"), text);
    }
}

/// What it goes by is declared.
fn exists(cx: &mut Cx<'_>, select: &Selector, path: &[Seg<'_>]) {
    for (j, service) in select.services.iter().enumerate() {
        let mut at = below(path, "services");
        at.push(j.into());
        unknown_service(cx, service, &at);
    }
    if let Some(volume) = &select.volume
        && cx.volume(volume).is_none()
    {
        let hint = suggest(volume, cx.scenario.volumes.keys().map(String::as_str))
            .unwrap_or_else(|| "declare it under `volumes`".into());
        let text = format!("no volume is called `{volume}`\n\nhint: {hint}");
        cx.report(&below(path, "volume"), text);
    }
}

/// At least one object matches, and at least as many as are picked.
fn enough(cx: &mut Cx<'_>, select: &Selector, fault: &FaultSpec, path: &[Seg<'_>]) {
    let matched = cx.scenario.objects(fault).len();
    match (matched, select.pick) {
        (0, _) => nothing(cx, select, path),
        (_, Pick::Count(_)) if select.pick.of(matched) > matched => {
            let objects = if matched == 1 { "one object" } else { "objects" };
            let number = if matched == 1 { String::new() } else { format!("{matched} ") };
            let text = format!(
                "`pick: {}` of {number}{objects}\n\nhint: pick {matched} at most, or `all`",
                select.pick
            );
            cx.report(&below(path, "pick"), text);
        }
        _ => {}
    }
}

fn nothing(cx: &mut Cx<'_>, select: &Selector, path: &[Seg<'_>]) {
    if let Some(volume) = &select.volume {
        let text = format!(
            "no service mounts `{volume}`, so there is nothing to hit\n\nhint: list it under the `mounts:` of a service"
        );
        return cx.report(&below(path, "volume"), text);
    }
    let label = select.label.as_deref().unwrap_or_default();
    let all = cx.scenario.services.values().flat_map(|service| &service.labels);
    let known: Vec<String> = if label.contains('=') {
        all.map(|(key, value)| format!("{key}={value}")).collect()
    } else {
        all.map(|(key, _)| key.clone()).collect()
    };
    let hint = suggest(label, known.iter().map(String::as_str))
        .unwrap_or_else(|| "give services `labels: { role: node }`".into());
    cx.report(&below(path, "label"), format!("no service has the label `{label}`\n\nhint: {hint}"));
}
