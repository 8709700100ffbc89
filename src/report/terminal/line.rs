//! The lines of the terminal, each a pure function of a case.

use super::Look;
use crate::{
    protocol::ExploreProgress,
    report::{
        detail::{explain, logs, proofs},
        points::{Point, first_broken, phase_word, points},
        suites::Case,
        text::{clip, count, one_line, span},
        totals::{ack_rates, loss, percentiles, proven, recovery, struck_nothing},
    },
    run::{CaseRecord, STARTED_AGAIN},
    verdict::Verdict,
};

/// Bytes of one value on a line.
const VALUE: usize = 300;
/// Lines of a log under a failure.
const LOG_LINES: usize = 5;

/// The word at the start of a finished case's line.
pub(super) fn word(case: &CaseRecord, flaky: bool) -> &'static str {
    match (case.verdict(), case.start.control.is_some()) {
        (Verdict::Pass, true) => "CAUGHT",
        (Verdict::Pass, false) if flaky => "FLAKY",
        (Verdict::Pass, false) => "PASS",
        (Verdict::Fail, _) => "FAIL",
        (Verdict::Error, _) => "ERROR",
        (Verdict::Inconclusive, _) => "INCONCLUSIVE",
        (Verdict::Skipped, _) => "SKIPPED",
    }
}

/// `        PASS [  12.300s] disk-full  recovery 1.200s of 5.000s · 0 of 1204 lost · …`.
pub(super) fn finished(case: &CaseRecord, flaky: bool, look: Look) -> String {
    line(case, &look.word(case.verdict(), word(case, flaky)), &extra(case), look)
}

/// The line of a case that every other of its suite is known of: a pass that shows nothing is none.
pub(super) fn settled(case: &Case<'_>, look: Look) -> String {
    let Some(control) = case.uncaught() else {
        return finished(case.last(), case.flaky(), look);
    };
    let mut parts = extra(case.last());
    parts.push(format!("control `{}` was not caught", one_line(control, VALUE)));
    line(case.last(), &look.word(case.verdict(), "INCONCLUSIVE"), &parts, look)
}

fn line(case: &CaseRecord, word: &str, extra: &[String], look: Look) -> String {
    let took = case.ended_us.map_or(0, |end| end.saturating_sub(case.started_us));
    let name = look.bold(one_line(&case.start.case, VALUE));
    let mut line = format!("{word} [{:>9}] {name}", span(took));
    if case.start.attempt > 1 {
        line += &format!(" (attempt {})", case.start.attempt);
    }
    if !extra.is_empty() {
        line += &format!("  {}", look.dim(extra.join(" · ")));
    }
    line
}

/// Why a case did not pass, in one line.
pub(super) fn because(case: &CaseRecord, look: Look) -> String {
    let broken = points(case).into_iter().find(Point::broke);
    let text = match (reasons(case).first(), broken) {
        (_, Some(point)) if case.start.control.is_none() => {
            // of the whole case the reason says it all
            if point.at_us.is_none() {
                point.message
            } else {
                format!("{}: {}", point.name, point.message)
            }
        }
        (Some(reason), _) => reason.clone(),
        (None, _) => "no reason was given".to_owned(),
    };
    format!("{} {}", look.dim(format!("{:>12}", "because")), one_line(&text, VALUE))
}

/// What was measured; for a case without a pass, why.
fn extra(case: &CaseRecord) -> Vec<String> {
    let mut parts = Vec::new();
    if case.start.control.is_some() && case.verdict() == Verdict::Pass {
        if let Some(broken) = first_broken(case) {
            parts.push(format!("broke at {}, as it must", one_line(&broken.id, VALUE)));
        }
        return parts;
    }
    parts.extend(recovery(case).map(|text| format!("recovery {text}")));
    parts.extend(percentiles(case));
    parts.extend(loss(case));
    if let (seen, injected @ 1..) = proven(case) {
        parts.push(format!("{seen} of {} proven", count(injected, "fault")));
    }
    match case.faults.iter().filter(|fault| struck_nothing(fault)).count() {
        0 => {}
        none => parts.push(format!("{none} of them struck nothing")),
    }
    parts.extend(remarks(case));
    parts.extend(started_again(case));
    if case.verdict() == Verdict::Skipped {
        parts.extend(reasons(case).first().map(|reason| one_line(reason, VALUE)));
    }
    parts
}

/// Remarks on faults that a line has room for.
const REMARKS: usize = 2;

/// What is to be known of the faults, such as what they did not reach: the first few, each once.
fn remarks(case: &CaseRecord) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for fault in &case.faults {
        for note in &fault.notes {
            let text = one_line(&format!("{}: {note}", fault.id), VALUE / 2);
            if said.len() < REMARKS && !said.contains(&text) {
                said.push(text);
            }
        }
    }
    said
}

/// What ended and was started again, the first few: a pass does not hide it.
fn started_again(case: &CaseRecord) -> impl Iterator<Item = String> {
    let told = case.notes.iter().filter(|note| note.ends_with(STARTED_AGAIN)).take(REMARKS);
    told.map(|note| one_line(note, VALUE / 2))
}

pub(super) fn reasons(case: &CaseRecord) -> &[String] {
    case.verdict.as_ref().map(|(_, reasons)| reasons.as_slice()).unwrap_or_default()
}

/// A case in progress: phase, faults in force, acknowledged records per second.
pub(super) fn running(case: &CaseRecord) -> String {
    let phase = case.phases.last().map_or("starting", |(_, phase)| phase_word(*phase));
    let mut parts = vec![format!("{} · {phase}", one_line(&case.start.case, VALUE))];
    for fault in case.faults.iter().filter(|fault| fault.reverted.is_none()) {
        let state = match (&fault.injected, fault.reverting_us) {
            (_, Some(_)) => "reverting",
            (None, None) => "injecting",
            (Some((_, true, _)), None) => "in force:",
            (Some((_, false, _)), None) => "not proven:",
        };
        parts.push(format!("{state} {} ({})", one_line(&fault.id, 60), fault.name));
    }
    let rates = ack_rates(case);
    if !rates.is_empty() {
        let all: f64 = rates.iter().map(|(_, rate)| rate).sum();
        parts.push(format!("{all:.0} acks/s"));
    }
    parts.extend(case.exploring.map(exploring));
    parts.join(" · ")
}

/// `states 120 of 300, 38 a second, moments 12 of 40, 2 wrong`.
fn exploring(progress: ExploreProgress) -> String {
    let ExploreProgress { states, planned, points, all_points, wrong, per_second } = progress;
    let wrong = if wrong == 0 { String::new() } else { format!(", {wrong} wrong") };
    format!(
        "states {states} of {planned}, {per_second} a second, moments {points} of {all_points}{wrong}"
    )
}

/// Everything a reader needs of a case that did not pass, and the line that runs it again.
pub(super) fn failure(case: &CaseRecord, look: Look) -> Vec<String> {
    let mut lines = vec![finished(case, false, look)];
    let mut field = |word: &str, text: &str| {
        for (index, part) in text.lines().enumerate() {
            let word = if index == 0 { look.dim(format!("{word:>12}")) } else { " ".repeat(12) };
            let line = format!("{word} {part}");
            lines.push(line.trim_end().to_owned());
        }
    };
    if let Some(about) = &case.start.about {
        field("about", &one_line(about, VALUE));
    }
    let broken = points(case).into_iter().find(Point::broke);
    match (broken, case.start.control.is_some()) {
        (Some(point), false) => {
            if point.assertion.is_some() || point.at_us.is_some() {
                field("at", &one_line(&point.name, VALUE));
            }
            for (word, text) in explain(case, &point).iter().filter(|(word, _)| *word != "at") {
                field(word, &clip(text, 4 * VALUE));
            }
        }
        // what broke in a control is what should: the reasons say what is wrong with it
        _ => {
            reasons(case).iter().for_each(|reason| field("because", &clip(reason, 4 * VALUE)));
            proofs(case).iter().for_each(|proof| field("evidence", proof));
        }
    }
    field("log", &logs(case, 5 * VALUE, LOG_LINES));
    if let Some((report, Some(recover))) = &case.rollback
        && !report.complete()
    {
        field("recover", &one_line(recover, 4 * VALUE));
    }
    field("file", &one_line(&case.start.file, VALUE));
    field("run again", &one_line(&case.start.again, 4 * VALUE));
    lines
}
