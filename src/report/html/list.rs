//! The list of all cases, a control below what it is the control of, and what filters it.

use maud::{Markup, html};

use super::{outcome, trend::sparks, word};
use crate::{
    report::{
        suites::Case,
        text::{LINE, count, one_line, span},
        totals::{loss, recovery, recovery_us},
    },
    verdict::Verdict,
};

/// Every verdict, worst first.
const VERDICTS: [Verdict; 5] =
    [Verdict::Fail, Verdict::Error, Verdict::Inconclusive, Verdict::Skipped, Verdict::Pass];
/// Bytes of a reason in the list; the case has all of it.
const WHY: usize = 240;

/// Hidden until the script has taken them up. A verdict that nothing has is not asked about; cases and
/// controls are counted apart.
pub(super) fn filters(cases: &[&Case<'_>]) -> Markup {
    let of = |verdict| {
        let all = cases.iter().filter(|case| case.verdict() == verdict);
        let controls = all.clone().filter(|case| case.control().is_some()).count();
        (all.count() - controls, controls)
    };
    let controls = cases.iter().filter(|case| case.control().is_some()).count();
    html! {
        form hidden {
            input type="search" name="text" placeholder="filter by name" aria-label="filter by name";
            span .boxes {
                @for (verdict, (own, controls)) in VERDICTS.map(|verdict| (verdict, of(verdict))) {
                    @if own + controls > 0 { label {
                        input type="checkbox" name="verdict" value=(verdict.word()) checked;
                        " " (word(verdict)) " " span .dim { (own) @if controls > 0 { " + " (count(controls, "control")) } }
                    } }
                }
                @if controls > 0 { label {
                    input type="checkbox" name="controls" checked; " controls " span .dim { (controls) }
                } }
            }
            span .boxes {
                button type="button" name="unfold" { "unfold" }
                button type="button" name="fold" { "fold" }
                output name="shown" .dim {}
            }
        }
    }
}

/// A row for each case, in the order of the cases. The script sorts groups by the keys of their first
/// rows: a case stays with its controls.
pub(super) fn list(cases: &[&Case<'_>]) -> Markup {
    let rows: Vec<(usize, &Case<'_>)> = cases.iter().copied().enumerate().collect();
    html! {
        div .scroll { table .cases {
            thead { tr {
                th data-sort="number" { "verdict" } th data-sort="text" { "case" }
                th .figure data-sort="number" { "time" } th data-sort="number" { "recovery time" }
                th { "data loss" }
            } }
            @for group in rows.chunk_by(|(_, one), (_, next)| is_together(one, next)) {
                tbody { @for (index, case) in group { (row(*index, case)) } }
            }
        } }
        p #empty .dim hidden { "No case fits these filters." }
    }
}

/// Whether the next one is a control of the same case.
fn is_together(one: &Case<'_>, next: &Case<'_>) -> bool {
    next.control().is_some() && one.last().start.suite == next.last().start.suite
}

fn row(index: usize, case: &Case<'_>) -> Markup {
    let last = case.last();
    let took = last.ended_us.unwrap_or(last.started_us).saturating_sub(last.started_us);
    let recovery = recovery(last).unwrap_or_default();
    let loss = loss(last).unwrap_or_default();
    html! {
        tr data-case=(one_line(&last.start.case, LINE)) data-verdict=(case.verdict().word())
            data-control=(control(case)) {
            td data-key=(case.verdict() as u8) { (outcome(case)) @if case.flaky() { " (flaky)" } }
            td .name data-key=(one_line(&last.start.case, LINE)) {
                a href={ "#case-" (index) } { (one_line(&last.start.case, 300)) }
                @if let Some(why) = why(case) { p .why { (why) } }
            }
            td .figure data-is="time" data-key=(took) { (span(took)) }
            td data-is=[Some("recovery").filter(|_| !recovery.is_empty())] data-key=[recovery_us(last)] {
                (recovery) (sparks(last))
            }
            td data-is=[Some("records").filter(|_| !loss.is_empty())] { (loss) }
        }
    }
}

/// Whether it is one: what the filter reads.
pub(super) fn control(case: &Case<'_>) -> &'static str {
    if case.control().is_some() { "yes" } else { "no" }
}

/// Why a case is no pass, in a line. What a control says of its failure is no reason to look.
fn why(case: &Case<'_>) -> Option<String> {
    if case.verdict() == Verdict::Pass {
        return None;
    }
    if let Some(control) = case.uncaught() {
        return Some(format!("its control {} was not caught", one_line(control, 100)));
    }
    let (_, reasons) = case.last().verdict.as_ref()?;
    reasons.first().map(|reason| one_line(reason, WHY))
}
