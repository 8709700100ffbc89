//! HTML: one file that needs no network, with a timeline of every case.
//!
//! The worst comes first. The file is bounded: what does not fit is left out of what passed, and
//! the page says so. Text is escaped by the template, whatever a container printed.

mod case;
mod facts;
mod list;
mod moments;
mod page;
mod printed;
mod quantity;
mod readings;
mod scale;
mod series;
mod timeline;
mod trend;

use std::io::{self, Write};

use maud::{Markup, PreEscaped, html};
pub(crate) use page::page;
pub(crate) use trend::{NOISE_US, Value, drawing};

use super::{
    run_trouble,
    suites::{Case, Suite, suites},
    text::{LINE, count, one_line, span},
    totals::Totals,
    trouble::unproven,
};
use crate::{run::RunRecord, verdict::Verdict};

/// Bytes of the cases' details; browsers of small machines open this.
const DETAILS: usize = 16 << 20;
/// Cases that did not pass and are unfolded from the beginning.
const UNFOLDED: usize = 3;

/// Writes the page.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut suites = suites(record);
    suites.sort_by_key(|suite| std::cmp::Reverse(worst(suite)));
    // what is proven by a control comes before it
    suites.iter_mut().for_each(|suite| suite.cases.sort_by_key(|case| case.control().is_some()));
    let cases: Vec<&Case<'_>> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let title = format!("keelhaul: {}", record.verdict());
    let body = html! {
        (head(record))
        (list::filters(&cases))
        (list::list(&cases))
        (details(record, &cases))
    };
    page(&title, &body, out)
}

fn worst(suite: &Suite<'_>) -> Verdict {
    suite.cases.iter().map(|case| case.last().verdict()).fold(Verdict::Pass, Verdict::merge)
}

/// The verdict of all, and what it was run on.
fn head(record: &RunRecord) -> Markup {
    html! {
        header {
            h1 .verdict .(record.verdict().word()) { "keelhaul: " (word(record.verdict())) }
            p { (Totals::of(record)) " in " (span(record.took_us)) }
            @if let Some(start) = &record.start {
                (facts::line(start))
                (facts::all(start))
            }
            @if let Some(note) = unproven(record) {
                p .inconclusive { "note: " (note) }
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

/// Every case in full while there is room, and then those that passed in short.
fn details(record: &RunRecord, cases: &[&Case<'_>]) -> Markup {
    let share = DETAILS / cases.len().max(1);
    let (mut out, mut left_out, mut unfolded) = (String::new(), 0, 0);
    for (index, case) in cases.iter().enumerate() {
        let inside = case::inside(record, case, share).into_string();
        let fits = out.len() + inside.len() <= DETAILS;
        left_out += usize::from(!fits);
        let last = case.last();
        let unfold = case.verdict() > Verdict::Skipped && unfolded < UNFOLDED;
        unfolded += usize::from(unfold);
        let section = html! {
            details .case #{ "case-" (index) } data-case=(one_line(&last.start.case, LINE))
                data-verdict=(case.verdict().word()) data-control=(list::control(case)) open[unfold] {
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
