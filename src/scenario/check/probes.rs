//! Probes: what they read exists, they can fail, and they are read at some time.

use super::{Cx, references::unknown_service};
use crate::{
    diagnostic::suggest,
    probes::ProbeSpec,
    scenario::{Action, When, load::Seg},
};

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let lists = [
        ("steady_state", &scenario.steady_state),
        ("verify", &scenario.verify),
        ("stop_when", &scenario.stop_when),
    ];
    for (section, items) in lists {
        for (i, item) in items.iter().enumerate() {
            probe(cx, &item.probe, &[section.into(), i.into()]);
        }
    }
    for (i, step) in scenario.steps.iter().enumerate() {
        let Action::Expect { probes, .. } = &step.action else { continue };
        let path = ["steps".into(), i.into(), "expect".into()];
        if probes.is_empty() {
            let text =
                "`expect` has no probes, so it cannot fail\n\nhint: add one, or remove the step";
            cx.report(&path, text);
        }
        for (j, item) in probes.iter().enumerate() {
            probe(cx, &item.probe, &["steps".into(), i.into(), "expect".into(), j.into()]);
        }
    }
    let injects = cx.lost.contains("steps")
        || scenario.steps.iter().any(|step| matches!(step.action, Action::Inject(_)));
    for (i, observe) in scenario.observe.iter().enumerate() {
        let path = ["observe".into(), i.into()];
        probe(cx, &observe.probe, &path);
        if !injects && matches!(observe.when, When::During | When::After) {
            let text = "no fault is injected, so this probe is never read\n\nhint: remove `when`, or inject a fault";
            cx.report(&["observe".into(), i.into(), "when".into()], text);
        }
    }
}

fn probe(cx: &mut Cx<'_>, probe: &ProbeSpec, path: &[Seg<'_>]) {
    let below = |key: &'static str| -> Vec<Seg<'_>> {
        path.iter().copied().chain([probe.name().into(), key.into()]).collect()
    };
    if let Some(service) = probe.service() {
        unknown_service(cx, service, &below("service"));
    }
    if let Some((key, peer)) = probe.peer() {
        unknown_service(cx, peer, &below(key));
    }
    if let Some(workload) = probe.workload()
        && !cx.scenario.workloads.contains_key(workload)
    {
        let hint = suggest(workload, cx.scenario.workloads.keys().map(String::as_str))
            .unwrap_or_else(|| "declare it under `workloads`".into());
        let text = format!("no workload is called `{workload}`\n\nhint: {hint}");
        cx.report(&below("workload"), text);
    }
    for text in probe.check() {
        let at: Vec<Seg<'_>> = path.iter().copied().chain([probe.name().into()]).collect();
        cx.report_below(&at, &text);
    }
}
