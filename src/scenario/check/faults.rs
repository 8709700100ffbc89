//! Faults: they fit their targets, and are reverted in an order that works.

use super::{Cx, attach, profiles, targets};
use crate::{
    diagnostic::closest,
    faults::{Declared, FaultSpec, Kind, Profile, Target},
    protocol::Capability,
    runtime::ENGINE_IMAGE,
    scenario::{Action, InjectStep, load::Seg},
    units::Duration,
};

/// A look at what ends by itself takes its time.
const SHORTEST: Duration = Duration::from_millis(500);

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    for (i, step) in cx.scenario.steps.iter().enumerate() {
        if let Action::Inject(inject) = &step.action {
            lasts(cx, i, inject);
            grows(cx, i, inject);
            profiles::check(cx, i, inject);
            if targets::check(cx, i, &inject.fault) {
                for target in cx.scenario.objects(&inject.fault) {
                    fits(cx, i, &inject.fault.on(&target));
                }
            }
        }
    }
    order(cx);
}

/// Only a state has an end of its own.
fn lasts(cx: &mut Cx<'_>, i: usize, inject: &InjectStep) {
    let fault = &inject.fault;
    if inject.lasts.is_some() && fault.kind() != Kind::State {
        let text = format!(
            "`{}` is {}, so it cannot last\n\nhint: remove `for`",
            fault.name(),
            of_kind(fault.kind())
        );
        cx.report(&["steps".into(), i.into(), "for".into()], text);
    }
}

/// What grows is looked at when all of it is there, and is to be in force then.
fn grows(cx: &mut Cx<'_>, i: usize, inject: &InjectStep) {
    let (name, whole) = (inject.fault.name(), grows_for(&inject.fault));
    let (lasts, key, path): (_, _, &[&'static str]) = match inject.profile {
        Profile::Intermittent { on, .. } => (Some(on), "on", &["profile", "intermittent", "on"]),
        _ => (inject.lasts, "for", &["for"]),
    };
    // whichever of them comes first ends it
    let own = inject.fault.lasts_at_most().filter(|most| lasts.is_none_or(|lasts| *most < lasts));
    let (lasts, key, path) = match own {
        Some(most) => (Some(most), "at_most", &["inject", name, "at_most"][..]),
        None => (lasts, key, path),
    };
    let short = |lasts: &Duration| lasts.0 < whole.0.saturating_add(SHORTEST.0);
    let Some(lasts) = lasts.filter(short).filter(|_| whole > Duration::default()) else { return };
    let least = Duration(whole.0.saturating_add(SHORTEST.0));
    let text = format!(
        "`{key}: {lasts}` is over before `{name}` can be seen, all of which is there {whole} after the \
         injection\n\nhint: write `{key}: {least}` or more"
    );
    let at = [Seg::Key("steps"), i.into()].into_iter().chain(path.iter().map(|key| Seg::Key(key)));
    cx.report(&at.collect::<Vec<_>>(), text);
}

/// So long after the injection all of it is there: whatever grows or begins late says so by these.
fn grows_for(fault: &FaultSpec) -> Duration {
    let parameters = serde_json::to_value(fault).unwrap_or_default();
    let own = &parameters[fault.name()];
    let times = [&own["ramp"], &own["when"]["from"]].into_iter();
    times.filter_map(|time| time.as_str()?.parse().ok()).max().unwrap_or_default()
}

/// The fault and the one object that it acts on.
fn fits(cx: &mut Cx<'_>, i: usize, fault: &FaultSpec) {
    let target = fault.target();
    let Some(service) = cx.scenario.services.get(&target.service) else { return };
    if fault.needs().contains(&Capability::InnerEngine) && !service.is_engine() {
        let at = ["steps".into(), i.into(), "inject".into(), fault.name().into(), "target".into()];
        cx.report(&at, no_engine(&target.service));
        return;
    }
    if service.attach.is_some() {
        let at = at_target(i, fault);
        attach::fits(fault).into_iter().for_each(|text| complain(cx, &at, fault, None, text));
        return;
    }
    place(cx, &at_target(i, fault), fault);
    along(cx, i, fault);
}

/// Where its target is written.
fn at_target(i: usize, fault: &FaultSpec) -> [Seg<'static>; 5] {
    ["steps".into(), i.into(), "inject".into(), fault.name().into(), "target".into()]
}

/// What it acts on along with its target: volumes of the same service, each of them once.
fn along(cx: &mut Cx<'_>, i: usize, fault: &FaultSpec) {
    let (key, further) = fault.along();
    let volume = |cx: &Cx<'_>, at: &Target| {
        let (_, volume) = cx.mounted(&at.service, at.path.as_deref()?)?;
        Some(volume.to_owned())
    };
    let mut known: Vec<_> = volume(cx, fault.target()).into_iter().collect();
    for (j, at) in further.iter().enumerate() {
        let path =
            ["steps".into(), i.into(), "inject".into(), fault.name().into(), key.into(), j.into()];
        let service = &fault.target().service;
        if at.service != *service {
            let name = fault.name();
            let text = format!(
                "`{name}` acts on one service at a time, here on `{service}`, and `{at}` is not its \
                 volume\n\nhint: name a path listed under `mounts:` of `{service}`"
            );
            cx.report(&path, text);
            continue;
        }
        place(cx, &path, &fault.on(at));
        let Some(volume) = volume(cx, at) else { continue };
        if known.contains(&volume) {
            let text = format!(
                "`{at}` is on the volume `{volume}`, which is named already\n\nhint: leave it out"
            );
            cx.report(&path, text);
        }
        known.push(volume);
    }
    if !further.is_empty() {
        alone(cx, i, fault, &known);
    }
}

/// Several volumes come back together only where nobody else keeps one of them mounted: else one has
/// lost what was not durable, and another has not.
fn alone(cx: &mut Cx<'_>, i: usize, fault: &FaultSpec, volumes: &[String]) {
    let (scenario, service) = (cx.scenario, &fault.target().service);
    for (other, found) in scenario.services.iter().filter(|(other, _)| *other != service) {
        let Some(mount) = found.mounts.values().find(|it| volumes.contains(&it.volume)) else {
            continue;
        };
        let text = format!(
            "`{}` acts on several volumes of `{service}` at once, and `{other}` mounts `{}` too\n\n\
             hint: give `{other}` a volume of its own, or name one volume only",
            fault.name(),
            mount.volume
        );
        cx.report(&at_target(i, fault), text);
    }
}

/// The fault at one place, which is written at `at`.
fn place(cx: &mut Cx<'_>, at: &[Seg<'_>], fault: &FaultSpec) {
    let target = fault.target();
    let mounted = target.path.as_deref().and_then(|path| cx.mounted(&target.service, path));
    if mounted.is_some_and(|(_, volume)| cx.volume(volume).is_none()) {
        // reported where it is mounted
        return;
    }
    let declared = Declared {
        volume: mounted.and_then(|(_, volume)| cx.volume(volume)),
        is_mount_point: mounted
            .is_some_and(|(point, _)| Some(point.trim_end_matches('/')) == target.path.as_deref()),
        host_wide: cx.host_wide(),
    };
    for text in fault.check(&declared) {
        complain(cx, at, fault, mounted, text);
    }
}

/// Says what does not fit, where the reader would change it.
fn complain(
    cx: &mut Cx<'_>,
    path: &[Seg<'_>],
    fault: &FaultSpec,
    mounted: Option<(&str, &str)>,
    text: String,
) {
    let (scenario, target) = (cx.scenario, fault.target());
    let meant = match (&target.path, mounted) {
        (Some(path), None) => {
            let service = scenario.services.get(&target.service);
            let points = service.into_iter().flat_map(|service| service.mounts.keys());
            closest(path, points.map(String::as_str))
        }
        _ => None,
    };
    if let Some(meant) = meant {
        let problem = text.split("\n\nhint:").next().unwrap_or_default();
        let service = &target.service;
        cx.report(path, format!("{problem}\n\nhint: did you mean `{service}:{meant}`?"));
    } else if names_parameter(cx, path, &text) {
        cx.report_below(&path[..4], &text);
    } else if let Some((point, volume)) = mounted {
        let mount = ["services".into(), (&target.service).into(), "mounts".into(), point.into()];
        let remark = format!("`{volume}` is mounted here");
        cx.report_with(path, text, &remark, &mount);
    } else {
        cx.report(path, text);
    }
}

/// What is to be an engine of the scenario's own is none.
pub(super) fn no_engine(service: &str) -> String {
    format!(
        "`{service}` is no engine of the scenario's own\n\nhint: give it `image: {ENGINE_IMAGE}`"
    )
}

/// True when a fault's words begin with one of its own parameters, other than the target.
fn names_parameter(cx: &Cx<'_>, target: &[Seg<'_>], text: &str) -> bool {
    let key = text.strip_prefix('`').and_then(|rest| rest.split(['`', ':']).next());
    let own = target.split_last().and_then(|(_, own)| cx.tree.find(own));
    key.zip(own).is_some_and(|(key, own)| key != "target" && own.entry(key).is_some())
}

/// A kind in words, with its article.
pub(super) fn of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::State => "a state",
        Kind::Event => "an event, over as soon as it happened",
        Kind::Damage => "damage, done once",
    }
}

/// A fault in force, while the steps are walked.
struct InForce<'a> {
    step: usize,
    name: &'a str,
    fault: &'a FaultSpec,
    /// It is over as soon as its step is.
    comes_and_goes: bool,
    objects: Vec<String>,
    reverted: Option<usize>,
}

/// Reverts of events, second reverts, and reverts beneath a later fault.
fn order(cx: &mut Cx<'_>) {
    let mut seen: Vec<InForce<'_>> = Vec::new();
    for (i, step) in cx.scenario.steps.iter().enumerate() {
        match &step.action {
            Action::Inject(inject) => seen.push(InForce {
                step: i,
                name: step.name.as_deref().unwrap_or_default(),
                fault: &inject.fault,
                comes_and_goes: inject.profile.comes_and_goes(),
                objects: objects(cx, &inject.fault),
                reverted: None,
            }),
            Action::Revert(name) => {
                let Some(at) = seen.iter().rposition(|one| one.name == name) else { continue };
                revert(cx, &seen, at, i);
                seen[at].reverted = Some(i);
            }
            _ => {}
        }
    }
}

fn revert(cx: &mut Cx<'_>, seen: &[InForce<'_>], at: usize, i: usize) {
    let path = ["steps".into(), i.into(), "revert".into()];
    let one = &seen[at];
    let injected = ["steps".into(), one.step.into(), "inject".into()];
    if one.fault.kind() == Kind::Event {
        let text = format!(
            "`{}` is a `{}`: an event, with nothing to revert\n\nhint: remove this step",
            one.name,
            one.fault.name()
        );
        return cx.report_with(&path, text, "injected here", &injected);
    }
    if one.comes_and_goes {
        let text = format!(
            "`{}` comes and goes by itself, and is over when its step is\n\nhint: remove this step",
            one.name
        );
        return cx.report_with(&path, text, "injected here", &injected);
    }
    if let Some(first) = one.reverted {
        let text = format!("`{}` is reverted already\n\nhint: remove this step", one.name);
        return cx.report_with(
            &path,
            text,
            "reverted here",
            &["steps".into(), first.into(), "revert".into()],
        );
    }
    let above = seen[at + 1..].iter().find(|later| {
        let same = later.objects.iter().any(|object| one.objects.contains(object));
        let lasts = later.fault.kind() == Kind::State && !later.comes_and_goes;
        same && later.reverted.is_none() && lasts
    });
    if let Some(above) = above {
        let text = format!(
            "`{}` lies beneath `{}`, which is still in force on the same object\n\nhint: revert the later fault first",
            one.name,
            above.fault.name()
        );
        cx.report_with(
            &path,
            text,
            "injected on top of it here",
            &["steps".into(), above.step.into(), "inject".into()],
        );
    }
}

/// What a fault lies on: volumes, paths, or containers; of a selection, all that may be chosen.
fn objects(cx: &Cx<'_>, fault: &FaultSpec) -> Vec<String> {
    cx.scenario.objects(fault).iter().map(|target| object(cx, target)).collect()
}

fn object(cx: &Cx<'_>, target: &Target) -> String {
    match &target.path {
        None => target.service.clone(),
        Some(path) => match cx.mounted(&target.service, path) {
            Some((_, volume)) => format!("volume {volume}"),
            None => format!("{}:{path}", target.service),
        },
    }
}
