//! Which values of `--set` tell the runs of a scenario apart. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{CaseEntry, RunEntry};

/// Values that alternate: each came back after another one was there. A value that never does, as the
/// tag of a build, is only the next state of one thing, whose runs are one row.
pub(super) struct Kinds<'a>(BTreeSet<(&'a str, &'a str)>);

impl<'a> Kinds<'a> {
    /// Of these runs, oldest first.
    pub(super) fn of(runs: &'a [RunEntry]) -> Self {
        let (mut last, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut back = BTreeSet::new();
        for case in runs.iter().flat_map(|run| &run.cases) {
            let kind = (case.scenario.as_str(), case.given());
            let goes_on = last.insert(kind.0, kind.1) == Some(kind.1);
            if !goes_on && !seen.insert(kind) {
                back.insert(kind);
            }
        }
        Self(back)
    }

    /// What a case was given, where that tells it apart.
    pub(super) fn of_case<'b>(&self, case: &'b CaseEntry) -> Option<&'b str> {
        let given = case.given();
        self.0.contains(&(case.scenario.as_str(), given)).then_some(given)
    }
}
