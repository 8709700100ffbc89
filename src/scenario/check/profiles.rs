//! Profiles: they suit the fault, and their times fit together.

use super::{Cx, faults::of_kind};
use crate::{
    diagnostic::listed,
    faults::{self, Kind, Profile},
    scenario::{InjectStep, load::Seg},
    units::Duration,
};

/// An effect that is over sooner may be gone before it was looked for.
const SHORTEST: Duration = Duration::from_millis(500);

/// Checks the profile of a step that injects.
pub(super) fn check(cx: &mut Cx<'_>, i: usize, inject: &InjectStep) {
    match inject.profile {
        Profile::Sustained => {}
        Profile::Ramp { over, .. } => ramp(cx, i, inject, over),
        Profile::Intermittent { on, off } => intermittent(cx, i, inject, on, off),
    }
}

fn at(i: usize, keys: &[&'static str]) -> Vec<Seg<'static>> {
    let keys = keys.iter().map(|key| Seg::Key(key));
    [Seg::Key("steps"), Seg::Item(i)].into_iter().chain(keys).collect()
}

fn ramp(cx: &mut Cx<'_>, i: usize, inject: &InjectStep, over: Duration) {
    if !inject.fault.ramps() {
        return cx.report(&at(i, &["profile", "ramp"]), no_stages(inject));
    }
    if inject.lasts.is_some() {
        let text = "the stages of a ramp lie on each other, so they end together and not by the clock\n\nhint: remove `for`, and add a `revert` step";
        cx.report(&at(i, &["for"]), text);
    }
    if over.0.is_zero() {
        let text = "a ramp over no time is no ramp\n\nhint: write `over: 5s`, or `sustained`";
        cx.report(&at(i, &["profile", "ramp", "over"]), text);
    }
}

/// Why a fault does not grow in stages, and what does or how it grows instead.
fn no_stages(inject: &InjectStep) -> String {
    let name = inject.fault.name();
    let parameters = serde_json::to_value(&inject.fault).unwrap_or_default();
    if parameters[name].get("ramp").is_some() {
        return format!(
            "`{name}` does not grow in stages\n\nhint: it has a `ramp` of its own: write `ramp: 5s` \
             among its parameters"
        );
    }
    let able = faults::TABLE.iter().filter(|row| row.ramps).map(|row| row.name);
    format!("`{name}` has no amount that could grow\n\nhint: a `ramp` goes with {}", listed(able))
}

fn intermittent(cx: &mut Cx<'_>, i: usize, inject: &InjectStep, on: Duration, off: Duration) {
    let kind = inject.fault.kind();
    if kind != Kind::State {
        let text = format!(
            "`{}` is {}, so it cannot come and go\n\nhint: remove `profile`",
            inject.fault.name(),
            of_kind(kind)
        );
        return cx.report(&at(i, &["profile", "intermittent"]), text);
    }
    for (name, time) in [("on", on), ("off", off)] {
        if time < SHORTEST {
            let text = format!(
                "`{name}: {time}` is too short to be seen\n\nhint: write `{name}: {SHORTEST}` or more"
            );
            cx.report(&at(i, &["profile", "intermittent", name]), text);
        }
    }
    match inject.lasts {
        None => {
            let text =
                "nothing says for how long it comes and goes\n\nhint: add `for: 10s` to the step";
            cx.report(&at(i, &["profile", "intermittent"]), text);
        }
        Some(lasts) if lasts < on => {
            let text = format!(
                "`for: {lasts}` is over before the first `on: {on}` is\n\nhint: make `for` longer"
            );
            cx.report(&at(i, &["for"]), text);
        }
        Some(_) => {}
    }
}
