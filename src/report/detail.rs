//! What a reader needs to understand a point that broke: readings, faults in force, logs.

use crate::{
    report::{
        points::Point,
        text::{LINE, one_line, span, tail},
        totals::struck_nothing,
    },
    run::{CaseRecord, Origin, SamplePoint},
};

/// Notes of a case, each with the time since the case began.
pub(crate) fn notes(case: &CaseRecord) -> impl Iterator<Item = (String, &str)> {
    let after = move |at: &u64| format!("+{}", span(at.saturating_sub(case.started_us)));
    let times = case.notes_us.iter().map(after).chain(std::iter::repeat(String::new()));
    times.zip(case.notes.iter().map(String::as_str))
}

/// The last reading for an assertion that was out of tolerance, or could not be taken.
pub(crate) fn broken_sample<'a>(case: &'a CaseRecord, assertion: &str) -> Option<&'a SamplePoint> {
    let bad = |sample: &&SamplePoint| sample.result.as_ref().map_or(true, |it| !it.holds());
    case.samples.iter().rev().filter(|sample| sample.assertion == assertion).find(bad)
}

/// `(word, text)` lines that explain a point: observed, violation, faults in force, evidence.
pub(crate) fn explain(case: &CaseRecord, point: &Point) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(sample) = point.assertion.as_deref().and_then(|id| broken_sample(case, id)) {
        lines.push(("probe", one_line(&sample.probe, LINE)));
        match &sample.result {
            Ok(reading) => {
                lines.push(("observed", one_line(&reading.observed, LINE)));
                if let Some(violation) = &reading.violation {
                    lines.push(("violation", one_line(violation, LINE)));
                }
            }
            Err(reason) => lines.push(("unread", one_line(reason, LINE))),
        }
        lines.push(("at", format!("+{}", span(sample.at_us.saturating_sub(case.started_us)))));
        if !sample.during.is_empty() {
            lines.push(("in force", sample.during.join(", ")));
        }
    }
    if !point.message.is_empty() {
        lines.push(("because", point.message.clone()));
    }
    lines.extend(proofs(case).into_iter().map(|proof| ("evidence", proof)));
    lines
}

/// One line for each fault: whether its effect was seen, and what was observed.
pub(crate) fn proofs(case: &CaseRecord) -> Vec<String> {
    case.faults
        .iter()
        .map(|fault| {
            let (word, evidence) = match &fault.injected {
                Some((.., evidence)) if struck_nothing(fault) => {
                    ("in force, but struck nothing", evidence.as_str())
                }
                Some((_, true, evidence)) => ("proven", evidence.as_str()),
                Some((_, false, evidence)) => ("not proven", evidence.as_str()),
                None => ("never judged", fault.act.as_str()),
            };
            one_line(&format!("{} ({}) {word}: {evidence}", fault.id, fault.name), LINE)
        })
        .collect()
}

/// What happened to each fault, in order of time, a line each. Times count from the case's start.
pub(crate) fn fault_trace(case: &CaseRecord) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for fault in &case.faults {
        let id = format!("{} ({})", fault.id, fault.name);
        let (target, act) = (&fault.target, &fault.act);
        let noted = fault.injected.as_ref().map_or(fault.injecting_us, |(at, ..)| *at);
        lines.push((fault.injecting_us, format!("inject {id} on {target}: {act}")));
        if let Some((at, proven, evidence)) = &fault.injected {
            let seen = if *proven { "in force" } else { "effect not seen" };
            let took = span(fault.took_us);
            lines.push((*at, format!("{id} {seen} (call took {took}): {evidence}")));
        }
        lines.extend(fault.notes.iter().map(|note| (noted, format!("{id} {note}"))));
        if let Some(at) = fault.reverting_us {
            lines.push((at, format!("revert {id}")));
        }
        if let Some((at, proven, evidence, by)) = &fault.reverted {
            let seen = if *proven { "gone" } else { "still seen" };
            lines.push((*at, format!("{id} {seen} (reverted by {}): {evidence}", origin(*by))));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let line = |(at, text): &(u64, String)| {
        format!("+{:<9} {}", span(at.saturating_sub(case.started_us)), one_line(text, LINE))
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn origin(by: Origin) -> &'static str {
    match by {
        Origin::Step => "a step",
        Origin::Rollback => "the rollback",
        Origin::Expiry => "the keeper, time up",
    }
}

/// The end of every subject's output, each under a heading.
pub(crate) fn logs(case: &CaseRecord, max: usize, lines: usize) -> String {
    let part = |log: &crate::run::LogRecord| {
        let service = one_line(&log.service, 200);
        match log.text.is_empty() {
            true => format!("--- log of {service}: it printed nothing ---"),
            false => format!("--- log of {service} ---\n{}", tail(&log.text, max, lines)),
        }
    };
    case.logs.iter().map(part).collect::<Vec<_>>().join("\n")
}
