//! The failures that keelhaul set out to reproduce, by their row, and the compositions: none is
//! lost when a scenario goes.

use std::collections::BTreeSet;

use keelhaul::{
    faults::Kind,
    scenario::{Action, Loaded, Step},
};

use super::{none, scenarios::shipped};

/// The first shelf is whole.
const ROWS: std::ops::RangeInclusive<u8> = 1..=54;

/// How the steps of a scenario tell something.
type Tells = fn(&[Step]) -> bool;

/// What a scenario with the tag `composition` shows, and how its steps tell.
const COMPOSITIONS: &[(&str, Tells)] = &[
    ("two faults at once", |steps| any(steps, |now| now.faults.len() > 1)),
    ("a fault during recovery", |steps| any(steps, |now| now.meets("restore"))),
    ("a fault during backup", |steps| any(steps, |now| now.meets("backup"))),
];

/// What goes on at one step.
#[derive(Default)]
struct Now<'a> {
    /// Faults in force, by name of their step; and one that happens at this step.
    faults: BTreeSet<&'a str>,
    /// Steps in the background, and the program of this one: name and words.
    programs: Vec<(&'a str, &'a [String])>,
}

impl<'a> Now<'a> {
    /// A fault is in force, or happens, while the specimen does this.
    fn meets(&self, job: &str) -> bool {
        let does = |words: &[String]| words.windows(2).any(|two| two == ["specimen", job]);
        !self.faults.is_empty() && self.programs.iter().any(|(_, words)| does(words))
    }

    fn begin(&mut self, step: &'a Step) {
        let name = step.name.as_deref().unwrap_or_default();
        match &step.action {
            Action::Inject(_) => _ = self.faults.insert(name),
            Action::Revert(fault) => _ = self.faults.remove(fault.as_str()),
            Action::Exec(exec) => self.programs.push((name, &exec.command)),
            Action::Await { step, .. } => self.programs.retain(|(name, _)| name != step),
            _ => {}
        }
    }

    /// Drops what does not last beyond its step.
    fn end(&mut self, step: &'a Step) {
        match &step.action {
            // one with an end of its own may be over at any time
            Action::Inject(inject)
                if inject.fault.kind() != Kind::State || inject.lasts.is_some() =>
            {
                self.faults.remove(step.name.as_deref().unwrap_or_default());
            }
            Action::Exec(exec) if !exec.background => _ = self.programs.pop(),
            _ => {}
        }
    }
}

/// Whether that is so at any of the steps.
fn any(steps: &[Step], is_so: impl Fn(&Now<'_>) -> bool) -> bool {
    let mut now = Now::default();
    steps.iter().any(|step| {
        now.begin(step);
        let found = is_so(&now);
        now.end(step);
        found
    })
}

fn shows(loaded: &Loaded, is_so: fn(&[Step]) -> bool) -> bool {
    loaded.tags.iter().any(|tag| tag == "composition")
        && loaded.cells.iter().all(|cell| is_so(&cell.scenario.steps))
}

/// Rows and compositions that these scenarios do not show.
fn missing(all: &[Loaded]) -> Vec<String> {
    let tags: BTreeSet<&str> =
        all.iter().flat_map(|loaded| &loaded.tags).map(String::as_str).collect();
    let rows = ROWS.map(|row| format!("row-{row}")).filter(|tag| !tags.contains(tag.as_str()));
    let lost = COMPOSITIONS.iter().filter(|(_, is_so)| !all.iter().any(|it| shows(it, *is_so)));
    rows.chain(lost.map(|(what, _)| (*what).to_owned())).collect()
}

#[test]
fn every_row_and_composition_has_a_scenario() {
    none(&missing(&shipped()), "write a scenario for these");
}

#[test]
fn a_scenario_that_goes_is_missed() {
    let without = |names: &[&str]| {
        let mut all = shipped();
        let before = all.len();
        all.retain(|loaded| !names.contains(&loaded.name.as_str()));
        assert_eq!(all.len() + names.len(), before, "{names:?}");
        missing(&all)
    };
    assert_eq!(without(&["quota-ladder"]), ["row-21"]);
    assert_eq!(without(&["thin-metadata-full"]), ["row-23"]);
    assert_eq!(without(&["memory-limit"]), ["two faults at once"]);
    assert_eq!(without(&["restore-drill"]), ["row-51", "a fault during recovery"]);
    assert_eq!(
        without(&["backup-oom", "restore-drill"]),
        ["row-43", "row-51", "a fault during recovery", "a fault during backup"]
    );
}

#[test]
fn a_tag_that_says_composition_is_one() {
    let plain = shipped().into_iter().filter(|loaded| {
        loaded.tags.iter().any(|tag| tag == "composition")
            && !COMPOSITIONS.iter().any(|(_, is_so)| shows(loaded, *is_so))
    });
    let plain: Vec<String> = plain.map(|loaded| loaded.name).collect();
    none(&plain, "no fault meets another, a backup or a restore: take the tag away");
}
