//! Cases that do not do what they should: flaky ones, and since when one does not pass. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    entry::{CaseEntry, RunEntry},
    kinds::Kinds,
};
use crate::{run::Commit, verdict::Verdict};

/// A case that passed and did not, with the same scenario and the same images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaky {
    /// Case id.
    pub case: String,
    /// Runs in which it passed.
    pub passed: usize,
    /// Runs in which it did not, or not at once.
    pub not: usize,
}

/// A case that does not pass now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Case id.
    pub case: String,
    /// What `--set` gave it last; empty for nothing. With other values it may well pass.
    pub sets: String,
    /// What it came to last.
    pub verdict: Verdict,
    /// The first run since the last pass in which it did not pass.
    pub since: Point,
    /// The last run in which it passed; none where it never did.
    pub passed: Option<Point>,
    /// Runs since then in which it did not pass.
    pub runs: usize,
}

/// A run, and what was checked out for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Run id.
    pub run: String,
    /// RFC 3339.
    pub started: String,
    /// What was checked out.
    pub commit: Option<Commit>,
}

/// A case in a run.
type Seen<'a> = (&'a RunEntry, &'a CaseEntry);

/// Every case by a key of it, with its runs in order; what was skipped says nothing.
fn by<'a, K: Ord>(
    runs: &'a [RunEntry],
    key: impl Fn(&'a CaseEntry) -> K,
) -> BTreeMap<K, Vec<Seen<'a>>> {
    let mut found: BTreeMap<K, Vec<Seen<'_>>> = BTreeMap::new();
    for run in runs {
        for case in run.cases.iter().filter(|case| case.verdict != Verdict::Skipped) {
            found.entry(key(case)).or_default().push((run, case));
        }
    }
    found
}

/// Both, with the same fingerprint, or in one run; worst first.
pub(super) fn flaky(runs: &[RunEntry]) -> Vec<Flaky> {
    let by_name = by(runs, |case| case.name.as_str());
    let mut all: Vec<Flaky> = by_name.into_iter().filter_map(|it| flaky_case(&it)).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.not));
    all
}

fn flaky_case((name, seen): &(&str, Vec<Seen<'_>>)) -> Option<Flaky> {
    // what ran with one state of the scenario, on the same images
    let mut same: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut passed, mut not) = (0, 0);
    for (_, case) in seen {
        let whole = case.verdict == Verdict::Pass && !case.flaky;
        match case.fingerprint.as_deref() {
            Some(fingerprint) => {
                let counts = same.entry(fingerprint).or_default();
                counts.0 += usize::from(case.verdict == Verdict::Pass);
                counts.1 += usize::from(!whole);
            }
            // of what, nobody knows: a retry in one run is of the same all the same
            None if case.flaky => (passed, not) = (passed + 1, not + 1),
            None => {}
        }
    }
    for (good, bad) in same.into_values().filter(|(good, bad)| *good > 0 && *bad > 0) {
        (passed, not) = (passed + good, not + bad);
    }
    (not > 0).then(|| Flaky { case: (*name).to_owned(), passed, not })
}

/// Cases that did not pass in the last run that they were in; the longest broken first.
pub(super) fn broken(runs: &[RunEntry], kinds: &Kinds<'_>) -> Vec<Broken> {
    let by_kind = by(runs, |case| (case.name.as_str(), kinds.of_case(case)));
    let broken = by_kind.into_iter().filter_map(|((name, _), seen)| {
        let (_, last) = seen.last()?;
        let passes = |(_, case): &Seen<'_>| case.verdict == Verdict::Pass;
        let good = seen.iter().rposition(passes);
        let since = &seen[good.map_or(0, |at| at + 1)..];
        let (first, _) = since.first()?;
        Some(Broken {
            case: name.to_owned(),
            sets: last.given().to_owned(),
            verdict: last.verdict,
            since: Point::of(first),
            passed: good.map(|at| Point::of(seen[at].0)),
            runs: since.len(),
        })
    });
    let mut all: Vec<Broken> = broken.collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.runs));
    all
}

impl Point {
    pub(super) fn of(run: &RunEntry) -> Self {
        Self { run: run.run.clone(), started: run.started(), commit: run.commit.clone() }
    }
}
