//! What many runs come to: in all, and of each scenario. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    entry::{CaseEntry, Recovery, RunEntry},
    kinds::Kinds,
    standing::{Broken, Flaky, Point, broken, flaky},
    trend::{Percentiles, Trend, percentiles, trend},
};
use crate::{run::percentile, verdict::Verdict};

/// Runs of which an objective tells each.
const LAST: usize = 20;

/// Cases by what they came to; controls are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// The harness could not do its work.
    pub error: usize,
    /// Nothing was proven.
    pub inconclusive: usize,
    /// Not tried.
    pub skipped: usize,
    /// Controls that were tried.
    pub controls: usize,
    /// Controls that failed as they must.
    pub caught: usize,
}

/// What many runs come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many runs.
    pub runs: usize,
    /// Runs whose verdict is `pass`.
    pub passed: usize,
    /// Start of the first, RFC 3339.
    pub from: Option<String>,
    /// Start of the last, RFC 3339.
    pub until: Option<String>,
    /// Their cases.
    pub cases: Verdicts,
    /// Share of the cases that passed, of those that were not skipped, in percent.
    pub pass_rate: Option<f64>,
    /// Scenario by scenario.
    pub scenarios: Vec<Scenario>,
    /// Cases that passed and did not, with the same scenario.
    pub flaky: Vec<Flaky>,
    /// Cases that do not pass now.
    pub broken: Vec<Broken>,
    /// The runs themselves, newest first.
    pub listed: Vec<Listed>,
}

/// A run among many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Which it is, as `compare` takes it.
    #[serde(flatten)]
    pub point: Point,
    /// What it came to.
    pub verdict: Verdict,
    /// Its cases.
    pub cases: Verdicts,
    /// What `--set` gave them: one for each that is different.
    pub sets: Vec<String>,
}

/// A scenario over many runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What `--set` gave it in the newest run, `image=db:2 rate=50/s`; empty for nothing. Values that
    /// alternate are a row each: their times are not of one thing. Those of which none comes back, as
    /// the tags of builds, are one row.
    pub sets: String,
    /// Runs that have it.
    pub runs: usize,
    /// Its cases.
    pub cases: Verdicts,
    /// What a case took that was neither skipped nor a control.
    pub took: Option<Percentiles>,
    /// Recovery times by objective.
    pub recoveries: Vec<Objective>,
}

/// A recovery over many runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Objective {
    /// Id of the assertion.
    pub name: String,
    /// Microseconds allowed in the newest run, where there is a limit.
    pub limit_us: Option<u64>,
    /// How often it was measured.
    pub measured: usize,
    /// How often it never came; no part of the percentiles.
    pub never: usize,
    /// Over all that came.
    pub took: Option<Percentiles>,
    /// Of the medians of each run.
    pub trend: Option<Trend>,
    /// The last runs that measured it, oldest first.
    pub last: Vec<Median>,
}

/// A recovery in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Median {
    /// Run id.
    pub run: String,
    /// Start of the run, RFC 3339.
    pub started: String,
    /// Of all cells and repeats that came; none when none did.
    pub p50_us: Option<u64>,
}

/// What these runs, oldest first, come to; a trend sets the last `of` runs against those before.
#[must_use]
pub fn summary(runs: &[RunEntry], of: usize) -> Summary {
    let cases = Verdicts::of(runs.iter().flat_map(|run| &run.cases));
    let all = runs.iter().flat_map(|run| &run.cases);
    let kinds = Kinds::of(runs);
    let rows: BTreeSet<(&str, Option<&str>)> =
        all.map(|case| (case.scenario.as_str(), kinds.of_case(case))).collect();
    Summary {
        runs: runs.len(),
        passed: runs.iter().filter(|run| run.verdict == Verdict::Pass).count(),
        from: runs.first().map(RunEntry::started),
        until: runs.last().map(RunEntry::started),
        cases,
        pass_rate: cases.pass_rate(),
        scenarios: rows.into_iter().map(|row| scenario(row, &kinds, (runs, of))).collect(),
        flaky: flaky(runs),
        broken: broken(runs, &kinds),
        listed: runs.iter().rev().map(listed).collect(),
    }
}

fn listed(run: &RunEntry) -> Listed {
    let cases = Verdicts::of(run.cases.iter());
    let given = run.cases.iter().filter_map(|case| case.sets.clone());
    let sets: BTreeSet<String> = given.filter(|sets| !sets.is_empty()).collect();
    let sets = sets.into_iter().collect();
    Listed { point: Point::of(run), verdict: run.verdict, cases, sets }
}

impl Verdicts {
    fn of<'a>(cases: impl Iterator<Item = &'a CaseEntry>) -> Self {
        let mut found = Self::default();
        for case in cases {
            if case.control.is_some() {
                found.controls += usize::from(case.verdict != Verdict::Skipped);
                found.caught += usize::from(case.verdict == Verdict::Pass);
                continue;
            }
            *match case.verdict {
                Verdict::Pass => &mut found.pass,
                Verdict::Fail => &mut found.fail,
                Verdict::Error => &mut found.error,
                Verdict::Inconclusive => &mut found.inconclusive,
                Verdict::Skipped => &mut found.skipped,
            } += 1;
        }
        found
    }

    /// Cases that were tried, controls not among them.
    pub(super) fn tried(&self) -> usize {
        self.pass + self.fail + self.error + self.inconclusive
    }

    fn pass_rate(&self) -> Option<f64> {
        let share = |tried| (self.pass as f64 / tried as f64 * 1000.0).round() / 10.0;
        Some(self.tried()).filter(|tried| *tried > 0).map(share)
    }
}

/// By its name, and by what `--set` gave it where that tells it apart.
fn scenario(
    (name, kind): (&str, Option<&str>),
    kinds: &Kinds<'_>,
    (runs, of): (&[RunEntry], usize),
) -> Scenario {
    let is_one = |case: &&CaseEntry| case.scenario == name && kinds.of_case(case) == kind;
    // run by run, so that a run with many cells counts once in a trend
    let by_run: Vec<InRun<'_, CaseEntry>> = runs
        .iter()
        .map(|run| (run, run.cases.iter().filter(is_one).collect()))
        .filter(|(_, cases): &InRun<'_, CaseEntry>| !cases.is_empty())
        .collect();
    let all = || by_run.iter().flat_map(|(_, cases)| cases).copied();
    let took: Vec<u64> = all().filter(|case| case.counts()).map(|case| case.took_us).collect();
    Scenario {
        name: name.to_owned(),
        sets: all().next_back().map_or("", CaseEntry::given).to_owned(),
        runs: by_run.len(),
        cases: Verdicts::of(all()),
        took: percentiles(&took),
        recoveries: objectives(&by_run, of),
    }
}

/// What one run has of something.
type InRun<'a, T> = (&'a RunEntry, Vec<&'a T>);

fn objectives(by_run: &[InRun<'_, CaseEntry>], of: usize) -> Vec<Objective> {
    let mut series: BTreeMap<&str, Vec<InRun<'_, Recovery>>> = BTreeMap::new();
    for (run, cases) in by_run {
        let mut in_run: BTreeMap<&str, Vec<&Recovery>> = BTreeMap::new();
        for one in cases.iter().filter(|case| case.counts()).flat_map(|case| &case.recoveries) {
            in_run.entry(&one.objective).or_default().push(one);
        }
        for (name, found) in in_run {
            series.entry(name).or_default().push((*run, found));
        }
    }
    series.into_iter().map(|(name, runs)| objective(name, &runs, of)).collect()
}

fn objective(name: &str, runs: &[InRun<'_, Recovery>], of: usize) -> Objective {
    let all: Vec<&Recovery> = runs.iter().flat_map(|(_, found)| found).copied().collect();
    let came: Vec<u64> = all.iter().filter_map(|one| one.took_us).collect();
    let medians: Vec<Median> = runs.iter().map(median).collect();
    let values: Vec<u64> = medians.iter().filter_map(|one| one.p50_us).collect();
    let skip = medians.len().saturating_sub(LAST);
    Objective {
        name: name.to_owned(),
        limit_us: all.last().and_then(|one| one.limit_us),
        measured: all.len(),
        never: all.len() - came.len(),
        took: percentiles(&came),
        trend: trend(&values, of),
        last: medians.into_iter().skip(skip).collect(),
    }
}

fn median((run, found): &InRun<'_, Recovery>) -> Median {
    let came: Vec<u64> = found.iter().filter_map(|one| one.took_us).collect();
    Median { run: run.run.clone(), started: run.started(), p50_us: percentile(&came, 50) }
}
