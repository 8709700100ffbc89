//! Moments of a case that a reader looks for: a fault comes and goes, a probe notices it, the steady
//! state is there again, or its objective is over without it. And what was noted, by people above all.

use std::collections::{HashMap, HashSet};

use crate::{
    faults::Kind,
    probes::Sample,
    report::text::{LINE, one_line, span},
    run::{CaseRecord, FaultRecord, RecoveryRecord, SamplePoint},
    scenario::Hypothesis,
};

/// Moments of a case that are shown, of each kind.
const MOMENTS: usize = 16;
/// Faults of a case whose first notice is looked for: each look goes through all readings.
const FAULTS: usize = 4 * MOMENTS;
/// Bytes of a note in the drawing; the list below has more of it.
const NOTE: usize = 40;
/// Something that happened.
pub(super) struct Moment {
    /// When, in microseconds since the run started.
    pub(super) at_us: u64,
    /// In words, without the time.
    pub(super) text: String,
    /// How the drawing shows it, where its own lane does not.
    pub(super) mark: Option<Mark>,
}

/// What is shown of a case.
pub(super) struct Moments {
    pub(super) all: Vec<Moment>,
    /// Whether there were more.
    pub(super) more: bool,
}

/// A line through the whole drawing.
pub(super) struct Mark {
    pub(super) class: &'static str,
    /// A few words.
    pub(super) said: String,
}

/// The moments of a case, in the order of time.
pub(super) fn moments(case: &CaseRecord) -> Moments {
    let mut all: Vec<Moment> = case.faults.iter().flat_map(came_and_went).collect();
    all.extend(noticed(case));
    all.extend(case.recoveries.iter().filter_map(|recovery| recovered(case, recovery)));
    all.extend(noted(case));
    all.sort_by_key(|moment| moment.at_us);
    let found = all.len();
    // faults that come and go by the hundred must not push out what became of them
    let mut room = HashMap::new();
    all.retain(|moment| {
        let class = moment.mark.as_ref().map(|mark| mark.class);
        let room = room.entry(class).or_insert(MOMENTS);
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    });
    Moments { more: found > all.len(), all }
}

/// What was noted, at its time.
fn noted(case: &CaseRecord) -> impl Iterator<Item = Moment> {
    let notes = case.notes_us.iter().zip(&case.notes);
    notes.map(|(at_us, note)| {
        let text = format!("note: {}", one_line(note, LINE));
        let mark = Some(Mark { class: "note", said: one_line(note, NOTE) });
        Moment { at_us: *at_us, text, mark }
    })
}

/// The first notice of each fault; one reading is the notice of the last fault before it.
fn noticed(case: &CaseRecord) -> Vec<Moment> {
    let faults = case.faults.iter().take(FAULTS).rev();
    let mut all: Vec<(&FaultRecord, &SamplePoint)> =
        faults.filter_map(|fault| Some((fault, first_notice(case, fault)?))).collect();
    all.sort_by_key(|(_, sample)| sample.at_us);
    all.dedup_by_key(|(_, sample)| sample.at_us);
    all.into_iter().map(|(fault, sample)| seen(fault, sample)).collect()
}

fn came_and_went(fault: &FaultRecord) -> Vec<Moment> {
    let id = one_line(&fault.id, 100);
    let bare = |at_us, text| Moment { at_us, text, mark: None };
    let how = match &fault.injected {
        Some((_, true, _)) => "is injected",
        Some((_, false, _)) => "is injected, and its effect not seen",
        None => "is to be injected",
    };
    let came = bare(fault.injecting_us, format!("{id} {how}"));
    let went = fault.reverted.as_ref().map(|(at, ..)| fault.reverting_us.unwrap_or(*at));
    let went = went.map(|at_us| bare(at_us, format!("{id} is reverted")));
    std::iter::once(came).chain(went).collect()
}

/// The first reading under a fault that does not hold, of a probe that held before, or that only
/// observes. The first readings of what a step waits for say nothing: it is not there yet.
fn first_notice<'a>(case: &'a CaseRecord, fault: &FaultRecord) -> Option<&'a SamplePoint> {
    let until = over_us(case, fault);
    let mut held = HashMap::new();
    for sample in &case.samples {
        let Ok(reading) = &sample.result else { continue };
        let key = (sample.assertion.as_str(), sample.probe.as_str());
        let before = held.insert(key, reading.holds());
        let counts = before.unwrap_or_else(|| observes(case, &sample.assertion));
        let under = (fault.injecting_us..=until).contains(&sample.at_us);
        if under && counts && !reading.holds() {
            return Some(sample);
        }
    }
    None
}

fn observes(case: &CaseRecord, assertion: &str) -> bool {
    let mut all = case.assertions.iter();
    all.any(|one| one.id == assertion && one.hypothesis == Hypothesis::Observe)
}

/// Until when a reading may be that fault's doing: of an event, until the next fault.
fn over_us(case: &CaseRecord, fault: &FaultRecord) -> u64 {
    let next = case.faults.iter().map(|other| other.injecting_us);
    match (&fault.reverted, fault.lasting) {
        (Some((at, ..)), Kind::State) => *at,
        (_, Kind::State) => u64::MAX,
        _ => next.filter(|at| *at > fault.injecting_us).min().unwrap_or(u64::MAX),
    }
}

fn seen(fault: &FaultRecord, sample: &SamplePoint) -> Moment {
    let after = span(sample.at_us.saturating_sub(fault.injecting_us));
    let observed = sample.result.as_ref().map_or("", |reading| reading.observed.as_str());
    let (id, probe) = (one_line(&fault.id, 100), one_line(&sample.probe, 200));
    let text = format!("noticed {after} after {id}: {probe}: {}", one_line(observed, 200));
    let mark = Mark { class: "noticed", said: format!("noticed after {after}") };
    Moment { at_us: sample.at_us, text, mark: Some(mark) }
}

fn recovered(case: &CaseRecord, recovery: &RecoveryRecord) -> Option<Moment> {
    let Some(took) = recovery.recovery_us else {
        let objective = recovery.objective_us?;
        let text = format!("not recovered within the objective of {}", span(objective));
        let mark =
            Some(Mark { class: "never", said: format!("not recovered in {}", span(objective)) });
        return Some(Moment { at_us: recovery.from_us + objective, text, mark });
    };
    let allowed = recovery.objective_us.map(|time| format!(" of {}", span(time)));
    let measured = format!("{}{}", span(took), allowed.unwrap_or_default());
    // of what was never seen to be out nothing was measured
    let (text, said) = match recovery.at_first_look {
        true => (
            format!("steady at the first look, after {}", span(took)),
            match held_meanwhile(case, recovery) {
                true => "steady all along".to_owned(),
                false => "steady at the first look".to_owned(),
            },
        ),
        false => (format!("recovered in {measured}"), format!("recovered in {measured}")),
    };
    let mark = Some(Mark { class: "back", said });
    Some(Moment { at_us: recovery.from_us + took, text, mark })
}

/// Somebody looked at each part of the steady state while a fault was in force, and it held whenever
/// they did.
fn held_meanwhile(case: &CaseRecord, recovery: &RecoveryRecord) -> bool {
    let steady = case.assertions.iter().filter(|one| one.hypothesis == Hypothesis::SteadyState);
    let steady: HashSet<&str> = steady.map(|one| one.id.as_str()).collect();
    // whoever observes the same probe has another id
    let read = case.samples.iter().filter(|sample| steady.contains(sample.assertion.as_str()));
    let probes: HashSet<&str> = read.map(|sample| sample.probe.as_str()).collect();
    let earlier = case.recoveries.iter().map(|one| one.from_us);
    let last = earlier.filter(|from| *from < recovery.from_us).max().unwrap_or_default();
    let within = |sample: &&SamplePoint| (last..=recovery.from_us).contains(&sample.at_us);
    let under =
        |sample: &&SamplePoint| !sample.during.is_empty() && probes.contains(sample.probe.as_str());
    let mut seen: HashSet<&str> = HashSet::new();
    for sample in case.samples.iter().filter(within).filter(under) {
        if !sample.result.as_ref().is_ok_and(Sample::holds) {
            return false;
        }
        seen.insert(&sample.probe);
    }
    !seen.is_empty() && seen.len() == probes.len()
}
