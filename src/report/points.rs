//! What a case is judged by, point by point, with names that stay the same from run to run.

use crate::{
    faults::Kind,
    report::text::{LINE, clip},
    run::{AssertionRecord, CaseRecord, FaultRecord, Phase},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// One judged thing of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Stable name.
    pub(crate) name: String,
    /// Id of the assertion, where it is one.
    pub(crate) assertion: Option<String>,
    /// The judgement; none when it was not evaluated.
    pub(crate) verdict: Option<Verdict>,
    /// Why; bounded and printable.
    pub(crate) message: String,
    /// When it was judged, in microseconds since the run started.
    pub(crate) at_us: Option<u64>,
    /// Microseconds it took.
    pub(crate) took_us: u64,
}

impl Point {
    /// Not a pass, nor a skip.
    pub(crate) fn broke(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict > Verdict::Skipped)
    }
}

/// Every point of a case: what was asserted, each fault's effect and end, rollback, residue, and
/// `run`, which carries whatever else the judgement rests on.
pub(crate) fn points(case: &CaseRecord) -> Vec<Point> {
    let mut points: Vec<Point> = plain_assertions(case).map(asserted).collect();
    for fault in &case.faults {
        points.push(effect(case, fault));
        points.extend(end(case, fault));
    }
    // in the order of judging; what never was comes last
    points.sort_by_key(|point| point.at_us.unwrap_or(u64::MAX));
    points.push(rollback(case));
    points.push(residue(case));
    if let Some(because) = &case.tolerated {
        points.iter_mut().for_each(|point| tolerate(point, because));
    }
    let heaviest = points.iter().filter_map(|point| point.verdict).max();
    points.push(whole(case, heaviest));
    points
}

/// A failure that is known counts as skipped, and still says what failed.
fn tolerate(point: &mut Point, because: &str) {
    if point.verdict == Some(Verdict::Fail) {
        point.verdict = Some(Verdict::Skipped);
        point.message = clip(&format!("{because}; failed: {}", point.message), LINE);
    }
}

/// The first assertion of a case that broke.
pub(crate) fn first_broken(case: &CaseRecord) -> Option<&AssertionRecord> {
    case.assertions.iter().find(|assertion| assertion.verdict == Some(Verdict::Fail))
}

/// The word for a group of assertions.
pub(crate) fn group(hypothesis: Hypothesis) -> &'static str {
    match hypothesis {
        Hypothesis::SteadyState => "steady-state",
        Hypothesis::Fault | Hypothesis::Step => "step",
        Hypothesis::Observe => "observe",
        Hypothesis::Verify => "verify",
        Hypothesis::Objective => "objective",
    }
}

/// The word for a phase.
pub(crate) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::SetUp => "set-up",
        Phase::SteadyState => "steady-state",
        Phase::Steps => "steps",
        Phase::Rollback => "rollback",
        Phase::Verify => "verify",
        Phase::TearDown => "tear-down",
    }
}

/// Assertions apart from those that judge a fault, which its own points show.
fn plain_assertions(case: &CaseRecord) -> impl Iterator<Item = &AssertionRecord> {
    case.assertions.iter().filter(|assertion| {
        let fault = assertion.id.strip_suffix(".effect").or(assertion.id.strip_suffix(".revert"));
        !fault.is_some_and(|id| case.faults.iter().any(|fault| fault.id == id))
    })
}

fn asserted(assertion: &AssertionRecord) -> Point {
    let AssertionRecord { id, title, hypothesis, .. } = assertion;
    Point {
        name: clip(&format!("{}: {id} {title}", group(*hypothesis)), 300),
        assertion: Some(id.clone()),
        verdict: assertion.verdict,
        message: clip(&assertion.message, LINE),
        at_us: Some(assertion.at_us),
        took_us: assertion.took_us,
    }
}

fn effect(case: &CaseRecord, fault: &FaultRecord) -> Point {
    let judged = judged(case, &format!("{}.effect", fault.id));
    let (verdict, message, at_us) = match (&fault.injected, judged) {
        (Some((at, ..)), Some(own)) => (own.verdict, own.message.clone(), Some(*at)),
        (None, Some(own)) => (own.verdict, own.message.clone(), Some(own.at_us)),
        (Some((at, true, evidence)), None) => (Some(Verdict::Pass), evidence.clone(), Some(*at)),
        (Some((at, false, evidence)), None) => {
            (Some(Verdict::Inconclusive), format!("effect not seen: {evidence}"), Some(*at))
        }
        (None, None) => (Some(Verdict::Error), "its effect was never judged".to_owned(), None),
    };
    Point {
        name: format!("{}: effect", fault_name(fault)),
        assertion: None,
        verdict,
        message: clip(&message, LINE),
        at_us,
        took_us: at_us.unwrap_or_default().saturating_sub(fault.injecting_us),
    }
}

/// How its revert went; none for an event, which has nothing to revert.
fn end(case: &CaseRecord, fault: &FaultRecord) -> Option<Point> {
    if fault.lasting == Kind::Event && fault.reverted.is_none() {
        return None;
    }
    let judged = judged(case, &format!("{}.revert", fault.id));
    let (verdict, message, at_us) = match (&fault.reverted, judged) {
        (Some((at, ..)), Some(own)) => (own.verdict, own.message.clone(), Some(*at)),
        (None, Some(own)) => (own.verdict, own.message.clone(), Some(own.at_us)),
        (Some((at, true, evidence, _)), None) => (Some(Verdict::Pass), evidence.clone(), Some(*at)),
        (Some((at, false, evidence, _)), None) => {
            (Some(Verdict::Error), format!("still seen after the revert: {evidence}"), Some(*at))
        }
        (None, None) if fault.injected.is_none() => (None, "it was never in force".into(), None),
        (None, None) => (Some(Verdict::Error), "its revert was never judged".to_owned(), None),
    };
    Some(Point {
        name: format!("{}: revert", fault_name(fault)),
        assertion: None,
        verdict,
        message: clip(&message, LINE),
        at_us,
        took_us: match (at_us, fault.reverting_us) {
            (Some(at), Some(called)) => at.saturating_sub(called),
            _ => 0,
        },
    })
}

fn judged<'a>(case: &'a CaseRecord, id: &str) -> Option<&'a AssertionRecord> {
    case.assertions.iter().rev().find(|assertion| assertion.id == id)
}

/// `fault full (inode-exhaustion)`.
fn fault_name(fault: &FaultRecord) -> String {
    clip(&format!("fault {} ({})", fault.id, fault.name), 200)
}

fn rollback(case: &CaseRecord) -> Point {
    let (verdict, message) = match &case.rollback {
        Some((report, _)) if report.complete() => {
            (Some(Verdict::Pass), format!("{} undone", report.undone.len()))
        }
        Some((report, recover)) => {
            let mut lines: Vec<String> = report
                .undone
                .iter()
                .filter(|entry| !entry.problems.is_empty() || !entry.pending.is_empty())
                .map(|entry| match entry.problems.as_slice() {
                    [] => format!("{}: waits for the engine", entry.what),
                    problems => format!("{}: {}", entry.what, problems.join("; ")),
                })
                .collect();
            lines.extend(recover.iter().map(|command| format!("finish it with: {command}")));
            (Some(Verdict::Error), lines.join("\n"))
        }
        None if case.faults.is_empty() => (None, "nothing was injected".to_owned()),
        None => (Some(Verdict::Error), "the rollback was never reported".to_owned()),
    };
    bare("rollback", verdict, &message)
}

fn residue(case: &CaseRecord) -> Point {
    match &case.residue {
        Some(left) if left.is_empty() => bare("residue", Some(Verdict::Pass), "nothing left"),
        Some(left) => {
            bare("residue", Some(Verdict::Error), &format!("left behind: {}", left.join(", ")))
        }
        None => bare("residue", None, "it was not looked for"),
    }
}

/// What no other point explains.
fn whole(case: &CaseRecord, heaviest: Option<Verdict>) -> Point {
    let (verdict, message) = match &case.verdict {
        Some((verdict, reasons)) if Some(*verdict) > heaviest => (*verdict, reasons.join("\n")),
        Some(_) => (Verdict::Pass, String::new()),
        None => {
            let phase = case.phases.last().map_or("its start", |(_, phase)| phase_word(*phase));
            (Verdict::Error, format!("cut short in {phase}: the case has no end"))
        }
    };
    bare("run", Some(verdict), &message)
}

fn bare(name: &str, verdict: Option<Verdict>, message: &str) -> Point {
    let message = clip(message, LINE);
    Point { name: name.to_owned(), assertion: None, verdict, message, at_us: None, took_us: 0 }
}
