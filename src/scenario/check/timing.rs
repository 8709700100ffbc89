//! Timing that cannot work, and objectives that nothing measures.

use std::time::Duration as Time;

use super::Cx;
use crate::{
    scenario::{Action, load::Seg},
    units::Duration,
};

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    steps(cx);
    whole(cx);
    objectives(cx);
}

/// `hold` within `within`, and time for a condition to come true.
fn steps(cx: &mut Cx<'_>) {
    for (i, step) in cx.scenario.steps.iter().enumerate() {
        let (within, hold, below): (_, _, &[&'static str]) = match &step.action {
            Action::Expect { within, hold, .. } => (Some(*within), *hold, &[]),
            Action::Recover(recover) => (recover.within, recover.hold, &["recover"]),
            Action::Inject(inject) => match &inject.when {
                Some(when) => (Some(when.within), when.hold, &[]),
                None => continue,
            },
            _ => continue,
        };
        let path = |key: &'static str| -> Vec<Seg<'static>> {
            let below = below.iter().map(|key| Seg::Key(key));
            [Seg::Key("steps"), Seg::Item(i)]
                .into_iter()
                .chain(below)
                .chain([Seg::Key(key)])
                .collect()
        };
        let waits = matches!(&step.action, Action::Inject(_));
        if waits && within.is_some_and(|within| within.0.is_zero()) {
            let text = "`within: 0s` gives `when` no time to come true\n\nhint: write `within: 10s`, or make it a step of its own: `expect`";
            cx.report(&path("within"), text);
            continue;
        }
        let (Some(within), Some(hold)) = (within, hold) else { continue };
        if hold > within {
            let text = format!(
                "`hold: {hold}` is longer than `within: {within}`, so this cannot come true\n\nhint: make `within` longer than `hold`"
            );
            cx.report(&path("hold"), text);
        }
    }
}

/// Everything that is written must fit into the timeout.
fn whole(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let limit = scenario.timeout;
    let mut needed = Time::ZERO;
    for (i, step) in scenario.steps.iter().enumerate() {
        let step_path: [Seg<'_>; 2] = ["steps".into(), i.into()];
        let written = cx.is_written(&["steps".into(), i.into(), "within".into()]);
        let more = match &step.action {
            Action::Wait(time) => time.0,
            Action::Expect { within, hold, .. } => {
                let within = if written { within.0 } else { Time::ZERO };
                within + hold.unwrap_or_default().0
            }
            Action::Await { within, .. } if written => within.0,
            Action::Inject(inject) => {
                let when = inject.when.as_ref();
                let within = when.filter(|_| written).map_or(Time::ZERO, |when| when.within.0);
                let hold = when.and_then(|when| when.hold).unwrap_or_default().0;
                within + hold + inject.profile.takes(inject.lasts)
            }
            Action::Recover(recover) => {
                recover.within.or(scenario.objectives.rto).unwrap_or_default().0
            }
            _ => Time::ZERO,
        };
        needed += more;
        if needed > limit.0 {
            let text = format!(
                "up to this step the scenario may take {}, and `timeout` is {limit}\n\nhint: raise `timeout`, or shorten the steps",
                Duration(needed)
            );
            if cx.is_written(&["timeout".into()]) {
                cx.report_with(&step_path, text, "the timeout", &["timeout".into()]);
            } else {
                cx.report(&step_path, text);
            }
            return;
        }
    }
}

fn objectives(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let objectives = &scenario.objectives;
    let recovers = scenario.steps.iter().any(|step| matches!(step.action, Action::Recover(_)));
    let times =
        [("rto", objectives.rto), ("rto_p50", objectives.rto_p50), ("rto_p95", objectives.rto_p95)];
    for (name, time) in times {
        let Some(time) = time else { continue };
        let path = ["objectives".into(), name.into()];
        if time > scenario.timeout {
            let text = format!(
                "`{name}: {time}` is longer than `timeout`, which is {}\n\nhint: raise `timeout`",
                scenario.timeout
            );
            cx.report(&path, text);
        }
        // a control may well end before what the objective is about
        if !recovers && cx.control.is_none() {
            let text = format!("nothing measures `{name}`\n\nhint: add a `recover` step");
            cx.report(&path, text);
        }
        if name != "rto" && scenario.repeat.unwrap_or(1) < 2 {
            let text = format!("`{name}` is taken over several runs\n\nhint: add `repeat: 10`");
            cx.report(&path, text);
        }
    }
    if objectives.rpo.is_some() && scenario.workloads.is_empty() && cx.control.is_none() {
        let text = "nothing measures `rpo`\n\nhint: add a `ledger` under `workloads`";
        cx.report(&["objectives".into(), "rpo".into()], text);
    }
}
