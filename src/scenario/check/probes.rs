//! Probes: what they read exists, they can fail, and they are read at some time.

use super::{Cx, faults::no_engine, references::unknown_service};
use crate::{
    block::has_look_alikes,
    diagnostic::suggest,
    probes::{Explores, ProbeSpec},
    protocol::Capability,
    scenario::{Action, Service, When, load::Seg},
    volumes::Layer,
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
        let (key, probes) = step.probes();
        if probes.is_empty() && !key.is_empty() {
            let text = match key {
                "expect" => {
                    "`expect` has no probes, so it cannot fail\n\nhint: add one, or remove the step"
                }
                _ => "`when` has no probes, so it waits for nothing\n\nhint: add one, or remove it",
            };
            cx.report(&["steps".into(), i.into(), key.into()], text);
        }
        for (j, item) in probes.iter().enumerate() {
            probe(cx, &item.probe, &["steps".into(), i.into(), key.into(), j.into()]);
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
        let engine = cx.scenario.services.get(service).is_none_or(Service::is_engine);
        if probe.needs().contains(&Capability::InnerEngine) && !engine {
            cx.report(&below("service"), no_engine(service));
        }
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
    if let Some(explores) = probe.explores() {
        for (key, text) in past(cx, &explores) {
            cx.report(&below(key), text);
        }
    }
    if probe.stops_its_load() && path.first() != Some(&"verify".into()) {
        let at: Vec<Seg<'_>> = path.iter().copied().chain([probe.name().into()]).collect();
        cx.report(&at, too_early(probe.name()));
    }
    for text in probe.check() {
        let at: Vec<Seg<'_>> = path.iter().copied().chain([probe.name().into()]).collect();
        cx.report_below(&at, &text);
    }
}

/// Why states of a volume's past cannot be looked at so, each with the key that says it.
fn past(cx: &Cx<'_>, explores: &Explores<'_>) -> Vec<(&'static str, String)> {
    let Explores { workload, volume, .. } = *explores;
    let wrong = [
        ("volume", no_past(cx, volume).or_else(|| second_past(cx, workload, volume))),
        ("workers", one_at_a_time(cx, explores)),
        ("program", unseen(cx, explores)),
        ("container", not_alone(cx, explores)),
    ];
    wrong.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
}

fn too_early(name: &str) -> String {
    format!(
        "`{name}` stops its workload, and looks at what has happened by then\n\nhint: move it to \
         `verify`"
    )
}

/// Why no two states of the volume can be looked at at a time.
fn one_at_a_time(cx: &Cx<'_>, explores: &Explores<'_>) -> Option<String> {
    let filesystem = cx.scenario.volumes.get(explores.volume)?.name();
    (explores.side_by_side && !has_look_alikes(filesystem)).then(|| {
        format!(
            "`{}` is `{filesystem}`, whose states the kernel takes for one another, so that they are looked \
             at one at a time\n\nhint: leave `workers` out",
            explores.volume
        )
    })
}

/// Why the service that is to see states of the volume would not.
fn unseen(cx: &Cx<'_>, explores: &Explores<'_>) -> Option<String> {
    let (name, path) = explores.seen_by?;
    let service = cx.scenario.services.get(name)?;
    let at: Vec<_> =
        service.mounts.iter().filter(|(_, mount)| mount.volume == explores.volume).collect();
    if at.iter().any(|(point, _)| point.as_str() == path) {
        return None;
    }
    let volume = explores.volume;
    let hint = match at.first() {
        Some((point, _)) => format!("write `path: {point}`"),
        None => format!("mount `{volume}` in `{name}`, or name a service that has it"),
    };
    Some(format!("`{name}` does not have `{volume}` at `{path}`\n\nhint: {hint}"))
}

/// Why no state of the volume can be put under the service.
fn not_alone(cx: &Cx<'_>, explores: &Explores<'_>) -> Option<String> {
    let (name, volume) = (explores.stands?, explores.volume);
    let workload = cx.scenario.workloads.get(explores.workload)?.service();
    if name != workload {
        return Some(format!(
            "what was promised is read back from `{workload}`, the service of the workload\n\nhint: write \
             `service: {workload}`"
        ));
    }
    let reasons =
        [shared(cx, name, volume), two_volumes(cx, name, volume), two_loads(cx, explores)];
    reasons.into_iter().flatten().next()
}

/// Another service has the volume too.
fn shared(cx: &Cx<'_>, name: &str, volume: &str) -> Option<String> {
    let has = |service: &&String| {
        let mounts = &cx.scenario.services[*service].mounts;
        mounts.values().any(|mount| mount.volume == volume)
    };
    let mut others = cx.scenario.services.keys().filter(|other| *other != name).filter(has);
    others.next().map(|other| {
        format!(
            "`{other}` has `{volume}` too, and a state is put under one container alone\n\nhint: leave \
             `container` out, or the volume to `{name}`"
        )
    })
}

/// It writes elsewhere too, where nothing is put back.
fn two_volumes(cx: &Cx<'_>, name: &str, volume: &str) -> Option<String> {
    let mounts = &cx.scenario.services.get(name)?.mounts;
    let other = mounts.values().find(|mount| mount.volume != volume && !mount.read_only)?;
    let other = &other.volume;
    Some(format!(
        "`{name}` writes to `{other}` too, which would be newer than a state of `{volume}`\n\nhint: leave \
         `container` out, or mount `{other}` read-only"
    ))
}

/// Another workload goes on, and is promised what is taken back afterwards.
fn two_loads(cx: &Cx<'_>, explores: &Explores<'_>) -> Option<String> {
    let name = explores.stands?;
    let mut others = cx.scenario.workloads.iter().filter(|(other, workload)| {
        other.as_str() != explores.workload && workload.service() == name
    });
    let (other, _) = others.next()?;
    Some(format!(
        "`{other}` writes to `{name}` too, and what is acknowledged while that stands on a state is gone \
         afterwards\n\nhint: leave `container` out, or let the workload have its service to itself"
    ))
}

/// Why a workload's past cannot be looked at on this volume: it is on another one.
fn second_past(cx: &Cx<'_>, workload: &str, volume: &str) -> Option<String> {
    let explored = cx.scenario.verify.iter().filter_map(|item| item.probe.explores());
    let mut right =
        explored.filter(|it| it.workload == workload && no_past(cx, it.volume).is_none());
    let first = right.next().map(|it| it.volume).filter(|first| *first != volume)?;
    Some(format!(
        "when `{workload}` is acknowledged is noted among the writes of `{first}` alone\n\nhint: \
         declare another workload for `{volume}`"
    ))
}

/// Why the past of a volume cannot be looked at.
fn no_past(cx: &Cx<'_>, volume: &str) -> Option<String> {
    let volumes = &cx.scenario.volumes;
    match volumes.get(volume) {
        None => {
            let hint = suggest(volume, volumes.keys().map(String::as_str))
                .unwrap_or_else(|| "declare it under `volumes`".into());
            Some(format!("no volume is called `{volume}`\n\nhint: {hint}"))
        }
        Some(spec) if spec.interpose() != Some(Layer::Block) => Some(format!(
            "nothing remembers what is written to `{volume}`\n\nhint: add `interpose: block` to it; \
             it must be `ext4`, `xfs` or `btrfs`"
        )),
        Some(_) => None,
    }
}
