//! Names: their form, that they are unique, and that `fails` lists some.

use std::collections::BTreeMap;

use super::{
    super::load::Seg,
    Cx,
    ids::{Spot, assertion_ids},
};
use crate::{
    diagnostic::{listed, suggest},
    scenario::{Action, Control, ProbeItem},
};

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    version(cx);
    form(cx);
    unique(cx);
    controls(cx);
    text_forms(cx);
}

fn version(cx: &mut Cx<'_>) {
    if cx.scenario.keelhaul != 1 {
        let text = format!(
            "version {} of the language is not known\n\nhint: write `keelhaul: 1`",
            cx.scenario.keelhaul
        );
        cx.report(&["keelhaul".into()], text);
    }
}

/// Lower-case words joined by hyphens.
fn is_kebab(name: &str) -> bool {
    !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// The nearest name of the right form.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    let mut previous = '-';
    for c in name.chars() {
        let split = c.is_uppercase() && previous.is_lowercase();
        if (split || !c.is_ascii_alphanumeric()) && !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase().filter(char::is_ascii_alphanumeric));
        previous = c;
    }
    out.trim_matches('-').to_owned()
}

fn form(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let mut wanted: Vec<(Vec<Seg<'_>>, &str)> = vec![(vec!["name".into()], &scenario.name)];
    let keys = |section: &'static str, name| (vec![Seg::Key(section), Seg::Key(name)], name);
    // what a Compose file calls them, they are called
    if scenario.compose.is_none() {
        wanted.extend(scenario.services.keys().map(|name| keys("services", name.as_str())));
        wanted.extend(scenario.volumes.keys().map(|name| keys("volumes", name.as_str())));
    }
    wanted.extend(scenario.workloads.keys().map(|name| keys("workloads", name.as_str())));
    for (i, control) in scenario.controls.iter().enumerate() {
        wanted.push((vec!["controls".into(), i.into(), "name".into()], &control.name));
    }
    for (path, name) in names(cx) {
        wanted.push((path, name));
    }
    for (path, name) in wanted {
        if !is_kebab(name) {
            let nearest = kebab(name);
            let hint = match nearest.as_str() {
                "" => "use lower-case letters, digits and hyphens".to_owned(),
                nearest => format!("lower-case words joined by hyphens: `{nearest}`"),
            };
            cx.report(&path, format!("`{name}` is not a name\n\nhint: {hint}"));
        } else if name.len() > 63 {
            cx.report(&path, format!("`{name}` is longer than 63 characters"));
        }
    }
}

/// Every `as`, and where it is written.
fn names<'a>(cx: &Cx<'a>) -> Vec<(Vec<Seg<'a>>, &'a str)> {
    let scenario = cx.scenario;
    let mut all = Vec::new();
    let mut add = |mut path: Vec<Seg<'a>>, name: &'a Option<String>| {
        if let Some(name) = name {
            path.push("as".into());
            all.push((path, name.as_str()));
        }
    };
    let lists: [(&'static str, &'a [ProbeItem]); 3] = [
        ("steady_state", &scenario.steady_state),
        ("verify", &scenario.verify),
        ("stop_when", &scenario.stop_when),
    ];
    for (section, items) in lists {
        for (i, item) in items.iter().enumerate() {
            add(vec![section.into(), i.into()], &item.name);
        }
    }
    for (i, item) in scenario.observe.iter().enumerate() {
        add(vec!["observe".into(), i.into()], &item.name);
    }
    for (i, step) in scenario.steps.iter().enumerate() {
        add(vec!["steps".into(), i.into()], &step.name);
        let (key, probes) = step.probes();
        for (j, probe) in probes.iter().enumerate() {
            add(vec!["steps".into(), i.into(), key.into(), j.into()], &probe.name);
        }
    }
    all
}

fn unique(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let mut first: BTreeMap<&str, Vec<Seg<'_>>> = BTreeMap::new();
    for (path, name) in names(cx) {
        if let Some(other) = first.get(name) {
            let text = format!("the name `{name}` is given twice\n\nhint: rename one of the two");
            cx.report_with(&path, text, "first here", other);
        } else {
            first.insert(name, path);
        }
    }
    let ids = assertion_ids(scenario);
    for (name, path) in &first {
        let made = ids
            .iter()
            .find(|assertion| assertion.id == **name && !is_named_by(cx, assertion.spot, name));
        if made.is_some() {
            let text = format!("`{name}` already names another assertion\n\nhint: choose another");
            cx.report(path, text);
        }
    }
    for (i, control) in scenario.controls.iter().enumerate() {
        let twin = scenario.controls[..i].iter().position(|other| other.name == control.name);
        if let Some(twin) = twin {
            let text = format!("two controls are called `{}`\n\nhint: rename one", control.name);
            let path = ["controls".into(), i.into(), "name".into()];
            cx.report_with(
                &path,
                text,
                "first here",
                &["controls".into(), twin.into(), "name".into()],
            );
        }
    }
}

/// True when the assertion has its id from this `as`.
fn is_named_by(cx: &Cx<'_>, spot: Spot, name: &str) -> bool {
    let scenario = cx.scenario;
    let given = match spot {
        Spot::SteadyState(i) => &scenario.steady_state[i].name,
        Spot::Step(i) | Spot::Effect(i) | Spot::Reverted(i) | Spot::Recover(i) => {
            &scenario.steps[i].name
        }
        Spot::Expect { step, probe } | Spot::When { step, probe } => {
            &scenario.steps[step].probes().1[probe].name
        }
        Spot::Observe(i) => &scenario.observe[i].name,
        Spot::Verify(i) => &scenario.verify[i].name,
        Spot::Rpo | Spot::RtoP50 | Spot::RtoP95 => &None,
    };
    given.as_deref() == Some(name)
}

/// A control's `fails` must list assertions that can fail.
fn controls(cx: &mut Cx<'_>) {
    let ids = assertion_ids(cx.scenario);
    let can_fail: Vec<&str> =
        ids.iter().filter(|a| a.spot.can_fail()).map(|a| a.id.as_str()).collect();
    for (i, control) in cx.scenario.controls.iter().enumerate() {
        // whoever replaces assertions lists its own
        let has_its_own = replaces_assertions(control);
        if cx.control != has_its_own.then_some(i) {
            continue;
        }
        for (j, id) in control.fails.iter().enumerate() {
            let path = ["controls".into(), i.into(), "fails".into(), j.into()];
            if can_fail.contains(&id.as_str()) {
                continue;
            }
            let known = ids.iter().find(|assertion| assertion.id == *id).map(|found| found.spot);
            let why = match known {
                Some(Spot::SteadyState(_) | Spot::When { .. }) => {
                    Some("is read before anything is injected")
                }
                None if !is_fault(cx, id) => None,
                _ => Some("is a fault's effect"),
            };
            if let Some(why) = why {
                let text = format!(
                    "`{id}` {why}; when that is not seen a run is inconclusive, so a control cannot fail there\n\nhint: list what the bug breaks: {}",
                    listed(can_fail.iter().copied())
                );
                cx.report(&path, text);
                continue;
            }
            let hint = match id.as_str() {
                "objectives.rto" => "the recovery time is what the `recover` step asserts".into(),
                _ => suggest(id, can_fail.iter().copied())
                    .unwrap_or_else(|| "the scenario asserts nothing".into()),
            };
            cx.report(&path, format!("no assertion has the id `{id}`\n\nhint: {hint}"));
        }
    }
}

fn replaces_assertions(control: &Control) -> bool {
    let sections = [
        &control.steady_state,
        &control.steps,
        &control.observe,
        &control.verify,
        &control.objectives,
    ];
    sections.into_iter().any(Option::is_some)
}

fn is_fault(cx: &Cx<'_>, name: &str) -> bool {
    cx.scenario
        .steps
        .iter()
        .any(|step| step.name.as_deref() == Some(name) && matches!(step.action, Action::Inject(_)))
}

/// Texts with a form of their own: dates and regular expressions.
fn text_forms(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    if let Some(expected) = &scenario.expect_failure
        && expected.until.parse::<jiff::civil::Date>().is_err()
    {
        let text = format!("`{}` is not a date\n\nhint: write `2027-01-31`", expected.until);
        cx.report(&["expect_failure".into(), "until".into()], text);
    }
    for (i, pattern) in scenario.redact.iter().enumerate() {
        if let Err(error) = regex::Regex::new(pattern) {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let text = format!("`{pattern}` is not a regular expression: {reason}");
            cx.report(&["redact".into(), i.into()], text);
        } else if regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match("")) {
            let text = format!(
                "`{pattern}` matches nothing at all, so it would hide everything\n\nhint: require at least one character"
            );
            cx.report(&["redact".into(), i.into()], text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        assert!(is_kebab("disk-full2"));
        for name in ["", "Disk", "a_b", "-a", "a--b", "ä"] {
            assert!(!is_kebab(name), "{name}");
        }
        assert_eq!(kebab("Disk_Full"), "disk-full");
        assert_eq!(kebab("diskFull"), "disk-full");
    }
}
