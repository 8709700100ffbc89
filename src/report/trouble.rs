//! What went wrong with a run beyond its cases.

use std::collections::BTreeSet;

use super::text::{LINE, clip, count, one_line};
use crate::{
    diagnostic::listed,
    run::{CaseRecord, RunRecord},
    verdict::Verdict,
};

/// What no case shows: no end, an undo that is pending, an interruption, an error before any case.
pub(crate) fn run_trouble(record: &RunRecord) -> Option<(Verdict, String)> {
    let mut reasons = Vec::new();
    let cases = record.cases.iter().map(CaseRecord::verdict).fold(Verdict::Pass, Verdict::merge);
    match &record.ended {
        None => reasons.push("the run was cut short: its events have no end".to_owned()),
        Some((verdict, ending)) => {
            if ending.rollback_incomplete {
                reasons.push("the rollback is incomplete".to_owned());
                reasons.extend(recover_lines(record));
            }
            if ending.interrupted {
                reasons.push("interrupted".to_owned());
            }
            if *verdict > cases && *verdict > Verdict::Skipped {
                reasons.push(format!("the run ended with verdict {verdict}"));
            }
        }
    }
    let missing = never_started(record);
    if missing > 0 {
        reasons.push(format!("{} never started", count(missing, "case")));
    }
    if reasons.is_empty() {
        return None;
    }
    reasons.extend(record.notes.iter().map(|note| clip(note, LINE)));
    let verdict = match &record.ended {
        Some((verdict, _)) if *verdict > cases => *verdict,
        _ => Verdict::Error,
    };
    Some((verdict, reasons.join("\n")))
}

/// Names of scenarios in the note about them; the others are counted.
const NAMED: usize = 5;

/// Which scenarios passed without a control that shows that they can fail.
pub(crate) fn unproven(record: &RunRecord) -> Option<String> {
    let passed = |case: &&CaseRecord| case.verdict() == Verdict::Pass;
    let without = record.cases.iter().filter(|case| case.start.controls == Some(0)).filter(passed);
    let names: BTreeSet<&str> = without.map(|case| case.start.scenario.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| one_line(name, LINE)).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        left => format!(" and {left} more"),
    };
    Some(format!(
        "nothing shows that {} can fail, for want of a control: {}{more}",
        count(names.len(), "scenario"),
        listed(shown.iter().map(String::as_str))
    ))
}

/// Cases and controls that were planned and never started.
pub(crate) fn never_started(record: &RunRecord) -> usize {
    let planned = record.start.as_ref().map_or(0, |start| start.cases);
    let first = |case: &&CaseRecord| case.start.attempt <= 1;
    planned.saturating_sub(record.cases.iter().filter(first).count())
}

/// The commands that finish what a rollback could not, each once.
pub(crate) fn recover_lines(record: &RunRecord) -> Vec<String> {
    let mut lines: Vec<String> = record
        .cases
        .iter()
        .filter_map(|case| case.rollback.as_ref()?.1.clone())
        .map(|command| format!("finish it with: {command}"))
        .collect();
    lines.dedup();
    lines
}
