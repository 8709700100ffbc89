//! One case: why, when, what was proven, what was measured, what was printed, and how to repeat it.

use maud::{Markup, html};

use super::{
    super::detail::{explain, notes},
    moments::moments,
    printed::{around, logs},
    readings::readings,
    series::lanes,
    timeline::timeline,
    trend::trends,
    word,
};
use crate::{
    protocol::Struck,
    report::{
        points::{Point, points},
        suites::Case,
        text::{LINE, count, one_line, span},
        totals::{percentiles, struck_nothing},
    },
    run::{CaseRecord, FaultRecord, RunRecord},
};

/// Broken points that are explained; the table has them all.
const EXPLAINED: usize = 5;
/// Points of a case in the table.
const POINTS: usize = 100;
/// The readings, and the logs, may each have this part of a case's bytes.
const PART: usize = 3;
/// Bytes of a stroke of the drawing and its line in the table, about.
const STROKE: usize = 500;

/// What is shown when a case is opened, in about `room` bytes.
pub(super) fn inside(record: &RunRecord, case: &Case<'_>, room: usize) -> Markup {
    let last = case.last();
    let end_us = last.ended_us.unwrap_or(record.took_us);
    let moments = moments(last);
    let lanes = lanes(last, room / PART / STROKE);
    html! {
        @if let Some(about) = &last.start.about { p { (one_line(about, LINE)) } }
        @if let Some((_, reasons)) = &last.verdict {
            @for reason in reasons { p .(last.verdict().word()) { (one_line(reason, LINE)) } }
        }
        @if let Some(control) = case.uncaught() {
            p .inconclusive { "It passed, and nothing shows that it could fail: its control " span .id { (one_line(control, LINE)) } " was not caught." }
        }
        @if case.flaky() || !case.earlier().is_empty() {
            p .dim { "Attempt " (last.start.attempt) ", after " (count(case.earlier().len(), "attempt")) " that did not pass." }
        }
        (timeline(last, &moments.all, &lanes, end_us))
        (readings(last, &lanes))
        (broken(last))
        (around(last, &moments, room / PART / 2))
        (faults(last))
        (ledgers(last))
        (trends(last))
        (judged(last))
        (logs(last, room / PART / 2))
        (again(last))
    }
}

/// What broke, with what was observed then.
fn broken(case: &CaseRecord) -> Markup {
    let all = points(case);
    // what broke in a control is what should
    let shown = if case.start.control.is_some() { 0 } else { EXPLAINED };
    html! {
        @for point in all.iter().filter(|point| point.broke()).take(shown) {
            h3 { (word(point.verdict.unwrap_or_default())) " " (point.name) }
            div .scroll { table .explained { @for (name, text) in explain(case, point) {
                tr { th scope="row" { (name) } td { (one_line(&text, LINE)) } }
            } } }
        }
    }
}

fn faults(case: &CaseRecord) -> Markup {
    html! {
        @if !case.faults.is_empty() {
            h3 { "Faults" }
            div .scroll { table .faults {
                thead { tr { th { "fault" } th { "what was done" } th { "effect, as it was seen" } th { "end" } } }
                tbody { @for fault in &case.faults { (fault_row(case, fault)) } }
            } }
        }
    }
}

fn fault_row(case: &CaseRecord, fault: &FaultRecord) -> Markup {
    let after = |at: u64| span(at.saturating_sub(case.started_us));
    html! {
        tr {
            td { span .id { (one_line(&fault.id, 100)) } br; (one_line(&fault.name, 100)) }
            td {
                (one_line(&fault.act, LINE)) br;
                span .dim { "on " (one_line(&fault.target, LINE)) " at +" (after(fault.injecting_us)) " in " (span(fault.took_us)) }
                @for note in &fault.notes { br; span .dim { (one_line(note, LINE)) } }
            }
            td { @match &fault.injected {
                Some((at, _, evidence)) if struck_nothing(fault) => { span .word .inconclusive { "in force, but struck nothing" } " at +" (after(*at)) ": " (one_line(evidence, LINE)) }
                Some((at, true, evidence)) => { span .word .pass { "proven" } " at +" (after(*at)) ": " (one_line(evidence, LINE)) }
                Some((at, false, evidence)) => { span .word .inconclusive { "not seen" } " at +" (after(*at)) ": " (one_line(evidence, LINE)) }
                None => { span .word .error { "never judged" } }
            } }
            td { @if let Some((at, gone, evidence, _)) = &fault.reverted {
                @if *gone { span .word .pass { "gone" } } @else { span .word .fail { "still seen" } }
                " at +" (after(*at)) ": " (one_line(evidence, LINE))
            } }
        }
        @if let Some((hit @ 1.., struck)) = &fault.struck { tr { td {} td colspan="3" { (trace(*hit, struck)) } } }
    }
}

/// What became of operations, one by one.
fn trace(hit: u64, struck: &[Struck]) -> Markup {
    html! { details {
        summary { (hit) " operations struck" }
        ol { @for one in struck {
            li { "+" (span(one.at_us)) " " (one_line(&one.to_string(), LINE)) span .dim { " by " (one.pid) } }
        } }
        @if hit > struck.len() as u64 { p .dim { "… and " (hit - struck.len() as u64) " more" } }
    } }
}

/// Counts that are not zero mean something; the others say that they were looked for.
fn ledgers(case: &CaseRecord) -> Markup {
    html! {
        @if !case.ledgers.is_empty() {
            h3 { "Records" }
            div .scroll { table .counts {
                thead { tr {
                    th { "workload" } th { "acknowledged" } th { "refused" } th { "unknown" } th { "lost" }
                    th { "corrupt" } th { "torn" } th { "phantom" } th { "duplicated" } th { "reordered" }
                } }
                tbody { @for (workload, ledger) in &case.ledgers { tr {
                    td { (one_line(workload, 100)) } td { (ledger.acknowledged) } td { (ledger.failed) }
                    td { (ledger.indeterminate) }
                    @for bad in [ledger.unreadable(), ledger.corrupt, ledger.torn, ledger.phantom, ledger.duplicated, ledger.reordered] {
                        td .fail[bad > 0] { (bad) }
                    }
                } } }
            } }
        }
        @if let Some(text) = percentiles(case) { p { "Recovery time: " (text) } }
    }
}

fn judged(case: &CaseRecord) -> Markup {
    let all: Vec<Point> = points(case);
    html! {
        h3 { "Everything judged" }
        div .scroll { table { tbody {
            @for point in all.iter().take(POINTS) { tr {
                td { @match point.verdict { Some(verdict) => (word(verdict)), None => { span .dim { "not evaluated" } } } }
                td { (point.name) }
                td .dim { (one_line(&point.message, 300)) }
            } }
        } } }
        @if all.len() > POINTS { p .dim { "… and " (all.len() - POINTS) " more" } }
        @for (after, note) in notes(case) { p .dim { (after) " note: " (one_line(note, LINE)) } }
    }
}

fn again(case: &CaseRecord) -> Markup {
    html! {
        @if !case.start.again.is_empty() {
            h3 { "Run it again" }
            pre { (one_line(&case.start.again, LINE)) }
        }
        p .dim {
            (one_line(&case.start.file, LINE)) " · seed " (case.start.seed)
            @for (axis, value) in &case.start.cell { " · " (one_line(axis, 100)) "=" (one_line(value, 100)) }
            @for (service, _, image) in &case.subjects { " · " (one_line(service, 100)) (if case.attached.contains(service) { ", attached: " } else { ": " }) span .id { (one_line(image, 80)) } }
        }
    }
}
