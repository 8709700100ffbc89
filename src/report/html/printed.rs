//! What subjects printed: around each moment, and the end of all of it.

use maud::{Markup, html};

use super::moments::{Moment, Moments};
use crate::{
    report::text::{clip, one_line, span, tail},
    run::{CaseRecord, LogRecord},
};

/// Lines before a moment, and after it.
const AROUND: usize = 6;
/// Bytes of such a line, at most and where there is little room.
const LINE: (usize, usize) = (60, 400);

/// A line of a service.
struct Line<'a> {
    at_us: u64,
    service: &'a str,
    text: &'a str,
}

/// Every moment, with what was printed just before it and just after it, in about `room` bytes.
pub(super) fn around(case: &CaseRecord, moments: &Moments, room: usize) -> Markup {
    let lines = lines(case);
    let each = room / moments.all.len().max(1) / (2 * AROUND);
    let most = each.clamp(LINE.0, LINE.1);
    html! {
        @if !moments.all.is_empty() { h3 { "What happened" } }
        @for moment in &moments.all { (with_lines(case, moment, &lines, most)) }
        @if moments.more { p .dim { "… and more: all of it is in " code { "events.jsonl" } "." } }
    }
}

fn with_lines(case: &CaseRecord, moment: &Moment, lines: &[Line<'_>], most: usize) -> Markup {
    let after = |at_us: u64| span(at_us.saturating_sub(case.started_us));
    let head = format!("+{} {}", after(moment.at_us), moment.text);
    let here = lines.partition_point(|line| line.at_us < moment.at_us);
    let (from, until) = (here.saturating_sub(AROUND), lines.len().min(here + AROUND));
    let shown = |line: &Line<'_>| {
        let service = one_line(line.service, 40);
        format!("+{:<9} {service}  {}\n", after(line.at_us), clip(line.text, most))
    };
    html! {
        @if from == until { p { (head) } } @else {
            details .moment {
                summary { (head) }
                pre {
                    @for line in &lines[from..here] { (shown(line)) }
                    span .here { "+" (after(moment.at_us)) " ──" } "\n"
                    @for line in &lines[here..until] { (shown(line)) }
                }
            }
        }
    }
}

/// What all services printed whose lines have times, in the order of time.
fn lines(case: &CaseRecord) -> Vec<Line<'_>> {
    let mut all: Vec<Line<'_>> = Vec::new();
    for log in &case.logs {
        let timed = log.timed_lines().unwrap_or_default().into_iter();
        all.extend(timed.map(|(at_us, text)| Line { at_us, service: &log.service, text }));
    }
    all.sort_by_key(|line| line.at_us);
    all
}

/// The end of what each service printed, in about `room` bytes.
pub(super) fn logs(case: &CaseRecord, room: usize) -> Markup {
    let each = room / case.logs.len().max(1);
    html! {
        @for log in &case.logs {
            @if log.text.is_empty() { p .dim { "log of " (one_line(&log.service, 200)) ": it printed nothing" } }
            @else { details .log {
                summary { "log of " (one_line(&log.service, 200)) }
                pre { (tail(&stamped(case, log), each, usize::MAX)) }
            } }
        }
    }
}

fn stamped(case: &CaseRecord, log: &LogRecord) -> String {
    let Some(lines) = log.timed_lines() else { return log.text.clone() };
    let line = |(at_us, text): (u64, &str)| {
        format!("+{:<9} {text}\n", span(at_us.saturating_sub(case.started_us)))
    };
    lines.into_iter().map(line).collect()
}
