//! HTML: one file that needs no network, with a timeline of every case.
//!
//! The worst comes first. The file is bounded: what does not fit is left out of what passed, and
//! the page says so. Text is escaped by the template, whatever a container printed.

mod case;
mod moments;
mod printed;
mod scale;
mod series;
mod spark;
mod timeline;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    run_trouble,
    suites::{Case, Suite, suites},
    text::{LINE, count, one_line, span},
    totals::{Totals, loss, recovery},
};
use crate::{run::RunRecord, verdict::Verdict};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Nothing is loaded, and nothing is sent, whatever stands in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// Bytes of the cases' details; browsers of small machines open this.
const DETAILS: usize = 16 << 20;

/// Every verdict, worst first.
const VERDICTS: [Verdict; 5] =
    [Verdict::Fail, Verdict::Error, Verdict::Inconclusive, Verdict::Skipped, Verdict::Pass];

/// Writes the page.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut suites = suites(record);
    suites.sort_by_key(|suite| std::cmp::Reverse(worst(suite)));
    let cases: Vec<&Case<'_>> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "keelhaul: " (record.verdict()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(record))
                (filters())
                (table(&cases))
                p #empty .dim hidden { "No case fits these filters." }
                (details(record, &cases))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    out.write_all(page.into_string().as_bytes())
}

fn worst(suite: &Suite<'_>) -> Verdict {
    suite.cases.iter().map(|case| case.last().verdict()).fold(Verdict::Pass, Verdict::merge)
}

/// The verdict of all, and what it was run on.
fn head(record: &RunRecord) -> Markup {
    html! {
        header {
            h1 { "keelhaul: " (word(record.verdict())) }
            p { (Totals::of(record)) " in " (span(record.took_us)) }
            @if let Some(start) = &record.start {
                p .dim {
                    "run " span .id { (one_line(&start.run, LINE)) } " · seed " (start.seed)
                    " · started " (one_line(&start.started, LINE)) " · keelhaul " (one_line(&start.version, LINE))
                    @if let Some(engine) = &start.engine {
                        " · engine " (one_line(&engine.version, LINE)) " (" (one_line(&engine.storage_driver, LINE)) ")"
                        " · kernel " (one_line(&engine.kernel, LINE)) " · " (one_line(&engine.os, LINE))
                        " · cgroup v" (one_line(&engine.cgroup_version, LINE))
                    }
                }
            }
            @if let Some((verdict, message)) = run_trouble(record) {
                div .trouble {
                    p { (word(verdict)) }
                    @for line in message.lines() { p { (one_line(line, LINE)) } }
                }
            }
        }
    }
}

/// A verdict, told by more than its colour.
fn word(verdict: Verdict) -> Markup {
    html! { span .word .(verdict.word()) { (verdict.word()) } }
}

/// What a case came to: a control that failed as it must was caught.
fn outcome(case: &Case<'_>) -> Markup {
    match (case.verdict(), case.control()) {
        (Verdict::Pass, Some(_)) => html! { span .word .pass { "caught" } },
        (verdict, _) => word(verdict),
    }
}

/// Hidden until the script has taken them up.
fn filters() -> Markup {
    html! {
        form hidden {
            input type="search" name="text" placeholder="filter by name" aria-label="filter by name";
            @for verdict in VERDICTS {
                label {
                    input type="checkbox" name="verdict" value=(verdict.word()) checked;
                    " " (word(verdict))
                }
            }
            label { input type="checkbox" name="controls" checked; " controls" }
        }
    }
}

fn table(cases: &[&Case<'_>]) -> Markup {
    html! {
        div .scroll { table {
            thead { tr {
                th { "verdict" } th { "case" } th { "time" } th { "recovery time" } th { "data loss" }
            } }
            tbody { @for (index, case) in cases.iter().enumerate() { (row(index, case)) } }
        } }
    }
}

fn row(index: usize, case: &Case<'_>) -> Markup {
    let last = case.last();
    let took = last.ended_us.unwrap_or(last.started_us).saturating_sub(last.started_us);
    html! {
        tr data-case=(one_line(&last.start.case, LINE)) data-verdict=(case.verdict().word())
            data-control=(control(case)) {
            td { (outcome(case)) @if case.flaky() { " (flaky)" } }
            td { a href={ "#case-" (index) } { (one_line(&last.start.case, 300)) } }
            td { (span(took)) }
            td { (recovery(last).unwrap_or_default()) (spark::sparks(last)) }
            td { (loss(last).unwrap_or_default()) }
        }
    }
}

fn control(case: &Case<'_>) -> &'static str {
    if case.control().is_some() { "yes" } else { "no" }
}

/// Every case in full while there is room, and then those that passed in short.
fn details(record: &RunRecord, cases: &[&Case<'_>]) -> Markup {
    let share = DETAILS / cases.len().max(1);
    let (mut out, mut left_out) = (String::new(), 0);
    for (index, case) in cases.iter().enumerate() {
        let inside = case::inside(record, case, share).into_string();
        let fits = out.len() + inside.len() <= DETAILS;
        left_out += usize::from(!fits);
        let last = case.last();
        let section = html! {
            details .case #{ "case-" (index) } data-case=(one_line(&last.start.case, LINE))
                data-verdict=(case.verdict().word()) data-control=(control(case))
                open[last.verdict() > Verdict::Skipped && index < 5] {
                summary { (outcome(case)) " " (one_line(&last.start.case, 300)) }
                @if fits { (PreEscaped(inside)) } @else {
                    p .dim { "Left out, because the page would be too large. Its events are in " code { "events.jsonl" } "." }
                }
            }
        };
        out.push_str(&section.into_string());
    }
    html! {
        @if left_out > 0 { p .dim { (count(left_out, "case")) " in short: the page would be too large." } }
        (PreEscaped(out))
    }
}
