//! An event as a line of the console's log; the event file has everything. Pure.

use super::line;
use crate::{
    report::{points::phase_word, text::one_line},
    run::{CaseRecord, Event},
    verdict::Verdict,
};

/// Bytes of a line.
const LONGEST: usize = 400;

/// The line of an event, where it deserves one. `case` has everything before it.
pub(super) fn line(event: &Event, case: Option<&CaseRecord>) -> Option<String> {
    let text = match event {
        Event::PhaseStarted { phase, .. } => phase_word(*phase).to_owned(),
        Event::SubjectStarted { service, .. } => format!("{service} runs"),
        Event::Sampled { probe, result, .. } => return turned(probe, result, case?),
        Event::Asserted { title, verdict: Some(verdict), message, .. }
            if *verdict != Verdict::Pass =>
        {
            format!("{verdict}: {title}: {message}")
        }
        // of what nobody saw to be out nothing was measured
        Event::Recovered { recovery_us: Some(_), at_first_look: true, .. } => {
            "steady at the first look".to_owned()
        }
        Event::Recovered { recovery_us: Some(took), .. } => {
            format!("recovered in {} ms", took / 1000)
        }
        Event::Noted { text, .. } => {
            return Some(format!("note: {}", one_line(text, line::LONGEST)));
        }
        Event::Attention { text, .. } => format!("note: {text}"),
        Event::Saved { again, .. } => format!("saved: {again}"),
        Event::RolledBack { report, recover, .. } => match recover {
            Some(command) if !report.complete() => format!("rollback incomplete: {command}"),
            _ => "rolled back".to_owned(),
        },
        Event::ResidueChecked { left, .. } if !left.is_empty() => {
            format!("left behind: {}", left.join(", "))
        }
        Event::CaseEnded { verdict, reasons, .. } => {
            format!("verdict: {verdict} {}", reasons.first().map_or("", String::as_str))
        }
        other => of_fault(other)?,
    };
    Some(one_line(&text, LONGEST))
}

fn of_fault(event: &Event) -> Option<String> {
    Some(match event {
        Event::Injecting { fault, act, .. } => format!("injecting {fault}: {act}"),
        Event::Injected { fault, proven: true, evidence, notes, .. } if notes.is_empty() => {
            format!("in force: {fault}: {evidence}")
        }
        // what it does not reach is what whoever watches must know first
        Event::Injected { fault, proven: true, evidence, notes, .. } => {
            format!("in force: {fault}: {}; {evidence}", notes.join("; "))
        }
        Event::Injected { fault, evidence, .. } => format!("NOT in force: {fault}: {evidence}"),
        Event::Reverting { fault, .. } => format!("reverting {fault}"),
        Event::Reverted { fault, proven: true, evidence, .. } => {
            format!("gone: {fault}: {evidence}")
        }
        Event::Reverted { fault, evidence, .. } => {
            format!("NOT seen to be gone: {fault}: {evidence}")
        }
        Event::Struck { fault, hit: 0, .. } => format!("{fault} struck nothing"),
        Event::Struck { fault, hit: hit @ 1.., .. } => format!("{fault} struck {hit} operations"),
        _ => return None,
    })
}

/// A reading is worth a line when it is not like the one before.
fn turned(
    probe: &str,
    result: &Result<crate::probes::Sample, String>,
    case: &CaseRecord,
) -> Option<String> {
    let holds = |result: &Result<crate::probes::Sample, String>| matches!(result, Ok(sample) if sample.holds());
    let before = case.samples.iter().rev().find(|sample| sample.probe == probe)?;
    if holds(&before.result) == holds(result) {
        return None;
    }
    let text = match result {
        Ok(sample) => match &sample.violation {
            None => format!("holds again: {probe}: {}", sample.observed),
            Some(why) => format!("does not hold: {probe}: {why}"),
        },
        Err(why) => format!("cannot be read: {probe}: {why}"),
    };
    Some(one_line(&text, LONGEST))
}
