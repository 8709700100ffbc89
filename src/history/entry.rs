//! What the history keeps of a run, from its record. Pure.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{
    report::{Case, cases, text::one_line},
    run::{AssertionRecord, CaseRecord, Commit, HIDDEN, RunRecord, SET_UP},
    verdict::Verdict,
};

/// Longest name or label that is kept, in bytes.
const NAME: usize = 300;
/// Recoveries kept of one case.
const RECOVERIES: usize = 50;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// Its id.
    pub run: String,
    /// Its start, in microseconds since 1970 UTC.
    pub started_us: i64,
    /// Microseconds from its start to its last event.
    pub took_us: u64,
    /// What it came to; `error` for one that was cut short.
    pub verdict: Verdict,
    /// Whether it came to its end.
    pub ended: bool,
    /// keelhaul's version.
    pub version: String,
    /// Seed of every decision.
    pub seed: u64,
    /// What was checked out where it was started.
    pub commit: Option<Commit>,
    /// Its cases, in the order in which they started.
    pub cases: Vec<CaseEntry>,
}

/// A case of a run, in the attempt that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseEntry {
    /// `name[cell]@control#repeat`
    pub name: String,
    /// Name of the scenario.
    pub scenario: String,
    /// `volume=ext4`; empty without a matrix.
    pub cell: String,
    /// The control, where it is one.
    pub control: Option<String>,
    /// What it came to; of a control, whether it was caught. A pass beside a control that was not is
    /// inconclusive.
    pub verdict: Verdict,
    /// How often it was run.
    pub attempts: u32,
    /// It passed, but not at once.
    pub flaky: bool,
    /// Microseconds it took.
    pub took_us: u64,
    /// Its seed.
    pub seed: u64,
    /// The same as long as the scenario is, and after a `/` as long as the images are. None of a case
    /// that nothing was run of.
    pub fingerprint: Option<String>,
    /// What `--set` gave it: `image=db:1 rate=50/s`, empty for nothing; none where that was not
    /// recorded.
    pub sets: Option<String>,
    /// What was measured, by name.
    pub recoveries: Vec<Recovery>,
}

/// A measured recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Id of the assertion.
    pub objective: String,
    /// Microseconds it took; none when it never came.
    pub took_us: Option<u64>,
    /// Microseconds allowed, where there is an objective.
    pub limit_us: Option<u64>,
}

impl RunEntry {
    /// What is kept of a run.
    ///
    /// # Errors
    /// In words, when its beginning cannot be read: nothing tells it from other runs then.
    pub fn of(record: &RunRecord) -> Result<Self, String> {
        let Some(start) = &record.start else {
            let why = record.notes.first().map_or("it holds no event", String::as_str);
            return Err(one_line(why, NAME));
        };
        let started: jiff::Timestamp = start
            .started
            .parse()
            .map_err(|_| format!("`{}` is not a time", one_line(&start.started, NAME)))?;
        let cases = cases(record);
        Ok(Self {
            run: one_line(&start.run, NAME),
            started_us: started.as_microsecond(),
            took_us: record.took_us,
            verdict: record.verdict(),
            ended: record.ended.is_some(),
            version: one_line(&start.version, NAME),
            seed: start.seed,
            commit: start.commit.as_ref().map(|commit| Commit {
                id: one_line(&commit.id, NAME),
                from: one_line(&commit.from, NAME),
            }),
            cases: cases.iter().map(|case| CaseEntry::of(case, record)).collect(),
        })
    }

    /// Its start for a reader.
    pub(super) fn started(&self) -> String {
        jiff::Timestamp::from_microsecond(self.started_us)
            .map_or_else(|_| "an unknown time".into(), |at| format!("{at:.0}"))
    }
}

impl CaseEntry {
    fn of(case: &Case<'_>, record: &RunRecord) -> Self {
        let last = case.last();
        let start = &last.start;
        let cell: Vec<String> =
            start.cell.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
        Self {
            name: one_line(&start.case, NAME),
            scenario: one_line(&start.scenario, NAME),
            cell: one_line(&cell.join(","), NAME),
            control: start.control.as_deref().map(|control| one_line(control, NAME)),
            verdict: case.verdict(),
            attempts: start.attempt,
            // one that counts for nothing did not pass in the end
            flaky: case.flaky() && case.uncaught().is_none(),
            took_us: last.ended_us.unwrap_or(record.took_us).saturating_sub(last.started_us),
            seed: start.seed,
            fingerprint: fingerprint(last),
            sets: start.sets.as_ref().map(|sets| one_line(&sets.join(" "), NAME)),
            recoveries: recoveries(last),
        }
    }

    /// The part of its fingerprint that is the scenario's.
    pub(super) fn of_scenario(&self) -> Option<&str> {
        let whole = self.fingerprint.as_deref()?;
        Some(whole.split_once('/').map_or(whole, |(scenario, _)| scenario))
    }

    /// What `--set` gave it is known as it was given: nothing was hidden, or cut off.
    pub(super) fn are_sets_known(&self) -> bool {
        self.sets.as_ref().is_none_or(|sets| !sets.contains(HIDDEN) && sets.len() < NAME)
    }

    /// What `--set` gave it; nothing where that was not recorded.
    pub(super) fn given(&self) -> &str {
        self.sets.as_deref().unwrap_or_default()
    }

    /// Neither a control nor skipped: something that can pass and did or did not.
    pub(super) fn counts(&self) -> bool {
        self.control.is_none() && self.verdict != Verdict::Skipped
    }
}

/// Another image behind the same tag is another service, whatever the scenario says.
fn fingerprint(case: &CaseRecord) -> Option<String> {
    let not_made = |it: &AssertionRecord| it.id == SET_UP && it.verdict == Some(Verdict::Error);
    if case.assertions.iter().any(not_made) {
        return None;
    }
    let scenario = one_line(case.start.fingerprint.as_deref()?, NAME);
    // the first of each service: a step may have put another in its place
    let mut images: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, _, image) in &case.subjects {
        images.entry(service).or_insert(image);
    }
    if images.is_empty() {
        return Some(scenario);
    }
    let mut digest = Sha256::new();
    for text in images.iter().flat_map(|(service, image)| [service, image]) {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    let images: String =
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{scenario}/{images}"))
}

/// The longest of each objective.
fn recoveries(case: &CaseRecord) -> Vec<Recovery> {
    let mut longest: BTreeMap<String, Recovery> = BTreeMap::new();
    let never_last = |one: &Recovery| one.took_us.unwrap_or(u64::MAX);
    for record in &case.recoveries {
        let objective = one_line(&record.assertion, NAME);
        let (took_us, limit_us) = (record.recovery_us, record.objective_us);
        let one = Recovery { objective: objective.clone(), took_us, limit_us };
        let kept = longest.entry(objective).or_insert_with(|| one.clone());
        if never_last(&one) > never_last(kept) {
            *kept = one;
        }
    }
    longest.into_values().take(RECOVERIES).collect()
}
