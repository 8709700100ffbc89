//! How many cases and controls came to what, and what a case measured.

use std::fmt;

use serde::Serialize;

use super::{
    suites::suites,
    text::{LINE, count, one_line, span},
    trouble::never_started,
};
use crate::{
    run::{CaseRecord, FaultRecord, RecoveryRecord, RunRecord},
    verdict::Verdict,
};

/// Counts of a run; controls are counted apart from cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    /// Of those that passed, how many needed a retry.
    pub(crate) flaky: usize,
    pub(crate) failed: usize,
    pub(crate) errors: usize,
    pub(crate) inconclusive: usize,
    pub(crate) skipped: usize,
    /// Controls that failed as they must.
    pub(crate) caught: usize,
    pub(crate) controls: usize,
    /// Of those, the ones that were skipped: they could not be caught.
    pub(crate) controls_skipped: usize,
    /// Cases and controls that were planned and never started.
    pub(crate) never_started: usize,
}

impl Totals {
    /// Counts the last attempt of each case; one whose control was not caught is inconclusive.
    pub(crate) fn of(record: &RunRecord) -> Self {
        let mut totals = Self { never_started: never_started(record), ..Self::default() };
        for case in suites(record).iter().flat_map(|suite| &suite.cases) {
            let verdict = case.verdict();
            if case.control().is_some() {
                totals.controls += 1;
                totals.caught += usize::from(verdict == Verdict::Pass);
                totals.controls_skipped += usize::from(verdict == Verdict::Skipped);
                continue;
            }
            totals.flaky += usize::from(verdict == Verdict::Pass && case.flaky());
            *match verdict {
                Verdict::Pass => &mut totals.passed,
                Verdict::Fail => &mut totals.failed,
                Verdict::Error => &mut totals.errors,
                Verdict::Inconclusive => &mut totals.inconclusive,
                Verdict::Skipped => &mut totals.skipped,
            } += 1;
        }
        totals
    }
}

/// `14 cases: 12 passed (1 flaky), 1 failed, 1 inconclusive, 0 skipped; 7 of 7 controls caught (2
/// skipped)`.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, flaky, failed, errors, inconclusive, skipped, .. } = self;
        let cases = passed + failed + errors + inconclusive + skipped;
        write!(f, "{}: {passed} passed", count(cases, "case"))?;
        if *flaky > 0 {
            write!(f, " ({flaky} flaky)")?;
        }
        write!(f, ", {failed} failed")?;
        if *errors > 0 {
            write!(f, ", {}", count(*errors, "error"))?;
        }
        if *inconclusive > 0 {
            write!(f, ", {inconclusive} inconclusive")?;
        }
        write!(f, ", {skipped} skipped")?;
        if self.controls > 0 {
            let tried = self.controls - self.controls_skipped;
            write!(f, "; {} of {} caught", self.caught, count(tried, "control"))?;
        }
        if self.controls_skipped > 0 {
            write!(f, " ({} skipped)", self.controls_skipped)?;
        }
        if self.never_started > 0 {
            write!(f, "; {} never started", self.never_started)?;
        }
        Ok(())
    }
}

/// Acknowledged records per second between the last two readings of each load.
pub(crate) fn ack_rates(case: &CaseRecord) -> Vec<(&str, f64)> {
    let mut seen: Vec<&str> = Vec::new();
    let mut rates = Vec::new();
    for (index, point) in case.loads.iter().enumerate().rev() {
        // a case has a handful of loads: older points say nothing new
        if case.loads.len() - index > 64 {
            break;
        }
        let workload = point.workload.as_str();
        if seen.contains(&workload) {
            continue;
        }
        seen.push(workload);
        let before = case.loads[..index].iter().rev().find(|it| it.workload == workload);
        let rate = point.stats.acked_per_second(before.map(|before| &before.stats));
        rates.extend(rate.map(|rate| (workload, rate)));
    }
    rates.sort_by_key(|(workload, _)| *workload);
    rates
}

/// The recovery of a case that took longest.
fn longest(case: &CaseRecord) -> Option<&RecoveryRecord> {
    // one that never came outweighs any that did, and those any of which nothing was seen
    let weight = |it: &&RecoveryRecord| (!it.at_first_look, it.recovery_us.unwrap_or(u64::MAX));
    case.recoveries.iter().max_by_key(weight)
}

/// The longest recovery of a case in microseconds, more than any where it never came; none where
/// nothing was measured.
pub(crate) fn recovery_us(case: &CaseRecord) -> Option<u64> {
    let measured = longest(case).filter(|longest| !longest.at_first_look)?;
    Some(measured.recovery_us.unwrap_or(u64::MAX))
}

/// The longest recovery of a case against its objective: `1.200s of 5.000s`.
pub(crate) fn recovery(case: &CaseRecord) -> Option<String> {
    let longest = longest(case)?;
    if longest.at_first_look {
        // how long the look took is no measure of a recovery
        return Some("none seen: steady at the first look".to_owned());
    }
    let measured = longest.recovery_us.map_or_else(|| "never".to_owned(), span);
    Some(match longest.objective_us {
        Some(allowed) => format!("{measured} of {}", span(allowed)),
        None => measured,
    })
}

/// Percentiles of the recovery time over all repeats, in the case that judged them: `p50 368 ms over
/// 5 repeats, p95 455 ms over 5 repeats`.
pub(crate) fn percentiles(case: &CaseRecord) -> Option<String> {
    let judged = case.assertions.iter().filter_map(|assertion| {
        let name = assertion.id.strip_prefix("objectives.rto_")?;
        assertion.verdict.map(|_| format!("{name} {}", one_line(&assertion.message, LINE)))
    });
    let all: Vec<String> = judged.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Records lost, over all ledgers of a case: `7 of 1204 lost`; and in states that a power cut would
/// have left. Ledgers that miss nothing are silent beside those.
pub(crate) fn loss(case: &CaseRecord) -> Option<String> {
    let explored = case.explored.iter().filter_map(|(_, report)| report.broken_promises());
    let mut parts: Vec<String> = explored.collect();
    let sound = case.ledgers.iter().all(|(_, report)| report.is_sound());
    if parts.is_empty() || !sound {
        parts.extend(loss_of_ledgers(case));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn loss_of_ledgers(case: &CaseRecord) -> Option<String> {
    if case.ledgers.is_empty() {
        return None;
    }
    let sum = |part: fn(&crate::ledger::LedgerReport) -> u64| -> u64 {
        case.ledgers.iter().map(|(_, report)| part(report)).fold(0, u64::saturating_add)
    };
    // as the verdict counts: what is there in part cannot be read back either
    let lost = sum(crate::ledger::LedgerReport::unreadable);
    let mut text = format!("{lost} of {} lost", sum(|it| it.acknowledged));
    let other = [
        ("corrupt", sum(|it| it.corrupt)),
        ("torn", sum(|it| it.torn)),
        ("phantom", sum(|it| it.phantom)),
        ("duplicated", sum(|it| it.duplicated)),
        ("reordered", sum(|it| it.reordered)),
    ];
    for (word, number) in other.iter().filter(|(_, number)| *number > 0) {
        text += &format!(", {number} {word}");
    }
    Some(text)
}

/// It was in force, as trials of our own have shown, and no operation of anybody else met it.
pub(crate) fn struck_nothing(fault: &FaultRecord) -> bool {
    matches!((&fault.injected, &fault.struck), (Some((_, true, _)), Some((0, _))))
}

/// `(proven, injected)` faults of a case.
pub(crate) fn proven(case: &CaseRecord) -> (usize, usize) {
    let seen = |fault: &&FaultRecord| matches!(fault.injected, Some((_, true, _)));
    (case.faults.iter().filter(seen).count(), case.faults.len())
}
