//! Two runs side by side: what changed. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    entry::{CaseEntry, RunEntry},
    trend::change,
};
use crate::{report::html::NOISE_US, verdict::Verdict};

/// What is different in the second of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Ids of the runs.
    pub runs: [String; 2],
    /// Cases that both have.
    pub common: usize,
    /// Cases that came to something else.
    pub verdicts: Vec<Changed>,
    /// Recoveries that take longer or less long.
    pub recoveries: Vec<Moved>,
    /// Cases that only the first has.
    pub only_first: Vec<String>,
    /// Cases that only the second has.
    pub only_second: Vec<String>,
}

/// A case that came to something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Case id.
    pub case: String,
    /// In the first.
    pub before: Verdict,
    /// In the second.
    pub now: Verdict,
    /// Whether the scenario's file is another; none where that is not known.
    pub edited: Option<bool>,
    /// What `--set` gave it in the first and in the second, where that is not the same.
    pub sets: Option<[String; 2]>,
}

/// A recovery that takes longer or less long. None is one that never came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Case id.
    pub case: String,
    /// Id of the assertion.
    pub objective: String,
    /// Microseconds in the first.
    pub before_us: Option<u64>,
    /// Microseconds in the second.
    pub now_us: Option<u64>,
    /// Change in percent, where it came in both.
    pub percent: Option<f64>,
}

impl Changed {
    /// What about the case is another, in words; empty where nothing is, or nothing is known.
    pub(super) fn why(&self) -> String {
        let given = |sets: &str| match sets {
            "" => "without `--set`".to_owned(),
            sets => format!("with `--set {sets}`"),
        };
        match (&self.sets, self.edited) {
            (Some([before, now]), _) => format!("{}, then {}", given(before), given(now)),
            (None, Some(true)) => "another scenario file".into(),
            (None, _) => String::new(),
        }
    }
}

/// Compares two runs; recoveries count that changed by more than `percent`.
#[must_use]
pub fn compare(first: &RunEntry, second: &RunEntry, percent: f64) -> Comparison {
    let (before, now) = (by_name(first), by_name(second));
    let only = |these: &BTreeMap<&str, _>, others: &BTreeMap<&str, _>| -> Vec<String> {
        let missing = these.keys().filter(|name| !others.contains_key(*name));
        missing.map(|name| (*name).to_owned()).collect()
    };
    let both: Vec<(&CaseEntry, &CaseEntry)> =
        before.iter().filter_map(|(name, case)| Some((*case, *now.get(name)?))).collect();
    Comparison {
        runs: [first.run.clone(), second.run.clone()],
        common: both.len(),
        verdicts: both.iter().filter_map(|(before, now)| changed(before, now)).collect(),
        recoveries: both.iter().flat_map(|(before, now)| moved(before, now, percent)).collect(),
        only_first: only(&before, &now),
        only_second: only(&now, &before),
    }
}

fn by_name(run: &RunEntry) -> BTreeMap<&str, &CaseEntry> {
    run.cases.iter().map(|case| (case.name.as_str(), case)).collect()
}

fn changed(before: &CaseEntry, now: &CaseEntry) -> Option<Changed> {
    let fingerprints = before.of_scenario().zip(now.of_scenario());
    let edited = fingerprints.map(|(before, now)| before != now);
    let sets = before.sets.clone().zip(now.sets.clone()).filter(|(before, now)| before != now);
    (before.verdict != now.verdict).then(|| Changed {
        case: now.name.clone(),
        before: before.verdict,
        now: now.verdict,
        // what `--set` gives is part of the fingerprint: of the file it says nothing then, nor where what it
        // gives is not wholly known
        edited: edited.filter(|_| sets.is_none() && now.are_sets_known()),
        sets: sets.map(|(before, now)| [before, now]),
    })
}

fn moved(before: &CaseEntry, now: &CaseEntry, percent: f64) -> Vec<Moved> {
    let pairs = before.recoveries.iter().filter_map(|old| {
        let same = |new: &&super::entry::Recovery| new.objective == old.objective;
        Some((old, now.recoveries.iter().find(same)?))
    });
    let found = pairs.filter_map(|(old, new)| {
        let moved = match (old.took_us, new.took_us) {
            (Some(old), Some(new)) => {
                let percents = change(old, new);
                let counts = old.abs_diff(new) >= NOISE_US && percents.abs() > percent;
                counts.then_some(Some(percents))
            }
            (None, None) => None,
            _ => Some(None),
        };
        moved.map(|percent| Moved {
            case: now.name.clone(),
            objective: old.objective.clone(),
            before_us: old.took_us,
            now_us: new.took_us,
            percent,
        })
    });
    found.collect()
}
