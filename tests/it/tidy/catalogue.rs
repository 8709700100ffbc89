//! `scenarios/CATALOG.md`, from the shipped scenarios: what each one breaks, and what proves it.

use std::{collections::BTreeSet, fmt::Write};

use keelhaul::{
    faults as table, plan,
    protocol::Capability,
    scenario::{Action, ControlCell, Loaded, Scenario},
};

use super::{is_current, scenarios::shipped};

const OPENING: &str = "\
<!-- Generated from the scenarios by `make generate`. Do not edit. -->
# Shipped scenarios

Each scenario has a *control*: the same run with a known bug switched on, which must fail at one of
the named assertions. A control that passes makes the scenario `inconclusive`. Rows are the numbers
of the storage failures that keelhaul sets out to reproduce (tag `row-N`).
Run one with `keelhaul run FILE`, look before with `keelhaul plan FILE`.
";

/// Every scenario of every cell and control.
fn scenarios(loaded: &Loaded) -> impl Iterator<Item = &Scenario> {
    loaded.cells.iter().flat_map(|cell| {
        let controls = cell.controls.iter().map(|control| &control.scenario);
        std::iter::once(&cell.scenario).chain(controls)
    })
}

/// Faults that it injects.
pub(super) fn faults(loaded: &Loaded) -> BTreeSet<&'static str> {
    let steps = scenarios(loaded).flat_map(|scenario| &scenario.steps);
    steps
        .filter_map(|step| match &step.action {
            Action::Inject(inject) => Some(inject.fault.name()),
            _ => None,
        })
        .collect()
}

/// Probes that it reads.
fn probes(loaded: &Loaded) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for scenario in loaded.cells.iter().map(|cell| &cell.scenario) {
        let items = scenario.steady_state.iter().chain(&scenario.verify).chain(&scenario.stop_when);
        found.extend(items.map(|item| item.probe.name()));
        found.extend(scenario.observe.iter().map(|item| item.probe.name()));
        let in_steps = scenario.steps.iter().flat_map(|step| match &step.action {
            Action::Expect { probes, .. } => probes.as_slice(),
            Action::Inject(inject) => inject.when.as_ref().map_or(&[][..], |when| &when.probes),
            _ => &[],
        });
        found.extend(in_steps.map(|item| item.probe.name()));
    }
    found
}

/// What the host must offer for all of its cells.
fn needs(loaded: &Loaded) -> BTreeSet<&'static str> {
    scenarios(loaded).flat_map(plan::needs::of).map(Capability::name).collect()
}

fn rows(loaded: &Loaded) -> String {
    let rows: Vec<&str> = loaded.tags.iter().filter_map(|tag| tag.strip_prefix("row-")).collect();
    rows.join(", ")
}

/// The words that each program of a scenario is started with: services, jobs, probes.
pub(super) fn programs(scenario: &Scenario) -> Vec<Vec<String>> {
    let mut found: Vec<_> =
        scenario.services.values().map(|service| service.args.clone()).collect();
    for step in &scenario.steps {
        match &step.action {
            Action::Exec(exec) => found.push(exec.command.clone()),
            Action::Expect { probes, .. } => found.extend(probes.iter().filter_map(|item| {
                let probe = serde_json::to_value(&item.probe).unwrap();
                serde_json::from_value(probe["exec"]["command"].clone()).ok()
            })),
            _ => {}
        }
    }
    found
}

/// The weakness of the specimen that a control switches on.
fn weakness(control: &ControlCell) -> Option<String> {
    let given = programs(&control.scenario).into_iter().find_map(|words| {
        let at = words.iter().position(|word| word == "--weakness")?;
        words.get(at + 1).cloned()
    });
    given.filter(|name| name != "none")
}

fn codes<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

fn link(loaded: &Loaded) -> String {
    let path = loaded.file.strip_prefix("scenarios").unwrap().display().to_string();
    format!("[{}]({path})", loaded.name)
}

fn overview(out: &mut String, all: &[Loaded]) {
    let mut family = String::new();
    for loaded in all {
        let folder = loaded.file.parent().unwrap().file_name().unwrap().to_string_lossy();
        if family != folder {
            family = folder.into_owned();
            write!(out, "\n## {family}\n\n| scenario | row | what goes wrong | faults | probes | cells | needs |\n").unwrap();
            out.push_str("|---|---|---|---|---|---|---|\n");
        }
        let about = loaded.cells[0].scenario.about.as_deref().unwrap_or_default();
        writeln!(
            out,
            "| {} | {} | {about} | {} | {} | {} | {} |",
            link(loaded),
            rows(loaded),
            codes(faults(loaded)),
            codes(probes(loaded)),
            loaded.cells.len(),
            codes(needs(loaded)),
        )
        .unwrap();
    }
}

fn controls(out: &mut String, all: &[Loaded]) {
    out.push_str("\n## Controls\n\n| scenario | control | the bug | weakness | must fail at |\n");
    out.push_str("|---|---|---|---|---|\n");
    for loaded in all {
        let mut seen = BTreeSet::new();
        for control in loaded.cells.iter().flat_map(|cell| &cell.controls) {
            let about = &control.control;
            if seen.insert(&about.name) {
                writeln!(
                    out,
                    "| {} | {} | {} | {} | {} |",
                    loaded.name,
                    about.name,
                    about.about.as_deref().unwrap_or_default(),
                    codes(weakness(control).as_deref()),
                    codes(about.fails.iter().map(String::as_str)),
                )
                .unwrap();
            }
        }
    }
}

fn by_fault(out: &mut String, all: &[Loaded]) {
    out.push_str(
        "\n## Faults and the scenarios that use them\n\n| fault | scenarios |\n|---|---|\n",
    );
    for row in table::TABLE {
        let users = all.iter().filter(|loaded| faults(loaded).contains(row.name));
        let users: Vec<String> = users.map(link).collect();
        writeln!(out, "| `{}` | {} |", row.name, users.join(", ")).unwrap();
    }
}

#[test]
fn the_catalogue_is_current() {
    let all = shipped();
    let mut out = OPENING.to_owned();
    overview(&mut out, &all);
    controls(&mut out, &all);
    by_fault(&mut out, &all);
    is_current("scenarios/CATALOG.md", &out);
}
