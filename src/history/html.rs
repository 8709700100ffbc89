//! The history and a comparison as pages that need no network; `human` has the same as text. Pure.

use std::io::{self, Write};

use maud::{Markup, html};

use super::{
    compare::{Changed, Comparison, Moved},
    human::{point, tally, with_sets},
    standing::{Broken, Flaky},
    summary::{Listed, Objective, Scenario, Summary, Verdicts},
};
use crate::{
    report::{
        html::{Value, drawing, page},
        text::{count, span},
    },
    verdict::Verdict,
};

/// Runs by name; JSON has them all.
const RUNS: usize = 200;

/// `keelhaul history --format html`.
///
/// # Errors
/// When `out` cannot be written.
pub fn overview_page(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let body = html! {
        h1 { "keelhaul: history" }
        @if let (Some(from), Some(until)) = (&summary.from, &summary.until) {
            p { (count(summary.runs, "run")) " from " (from) " to " (until) ", " (summary.passed) " passed" }
            p { @if let Some(rate) = summary.pass_rate { (rate) " %: " } (of(&summary.cases)) }
            (broken(&summary.broken))
            (flaky(&summary.flaky))
            (scenarios(&summary.scenarios))
            (runs(&summary.listed))
        } @else { p .dim { "No run fits." } }
    };
    page("keelhaul: history", &body, out)
}

/// `12 of 14 cases passed, 1 failed; 7 of 7 controls caught`.
fn of(cases: &Verdicts) -> String {
    let mut text = format!("{} of {} passed", cases.pass, count(cases.tried(), "case"));
    for (word, number) in [
        ("failed", cases.fail),
        ("error", cases.error),
        ("inconclusive", cases.inconclusive),
        ("skipped", cases.skipped),
    ] {
        if number > 0 {
            text += &format!(", {number} {word}");
        }
    }
    if cases.controls > 0 {
        text += &format!("; {} of {} caught", cases.caught, count(cases.controls, "control"));
    }
    text
}

fn word(verdict: Verdict) -> Markup {
    html! { span .word .(verdict.word()) { (verdict.word()) } }
}

/// A table under a heading; nothing where it would be empty.
fn table(heading: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! { @if !rows.is_empty() {
        h2 { (heading) }
        div .scroll { table {
            thead { tr { @for name in columns { th { (name) } } } }
            tbody { @for row in rows { tr { (row) } } }
        } }
    } }
}

fn broken(all: &[Broken]) -> Markup {
    let row = |one: &Broken| {
        let passed = one.passed.as_ref().map_or_else(|| "in none of these runs".into(), point);
        html! {
            td { (word(one.verdict)) } td { (with_sets(&one.case, &one.sets)) } td { (one.runs) } td { (point(&one.since)) } td { (passed) }
        }
    };
    let columns = ["verdict", "case", "runs", "since", "passed last"];
    table("Does not pass now", &columns, &all.iter().map(row).collect::<Vec<_>>())
}

fn flaky(all: &[Flaky]) -> Markup {
    let row = |one: &Flaky| html! { td { (one.case) } td { (one.passed) } td { (one.not) } };
    let columns = ["case", "runs in which it passed", "in which it did not, or not at once"];
    let heading = "Flaky, with the same scenario and images";
    table(heading, &columns, &all.iter().map(row).collect::<Vec<_>>())
}

fn scenarios(all: &[Scenario]) -> Markup {
    html! {
        h2 { "Scenarios" }
        form hidden {
            input type="search" name="text" placeholder="filter by name" aria-label="filter by name";
            output name="shown" .dim {}
        }
        div .scroll { table .scenarios {
            thead { tr {
                th { "scenario" } th { "measured" } th { "half within" } th { "95 of 100 within" } th { "allowed" }
                th { "trend" } th { "last runs" }
            } }
            @for one in all { tbody data-case=(with_sets(&one.name, &one.sets)) { (scenario(one)) } }
        } }
        p #empty .dim hidden { "No scenario fits this filter." }
    }
}

/// The newest by name, as `compare` takes them.
fn runs(all: &[Listed]) -> Markup {
    let row = |one: &Listed| {
        html! {
            td { (point(&one.point)) } td { (word(one.verdict)) } td { (tally(&one.cases)) } td { (one.sets.join("; ")) }
        }
    };
    let rows: Vec<Markup> = all.iter().take(RUNS).map(row).collect();
    html! {
        (table("Runs, newest first", &["run", "verdict", "cases", "--set"], &rows))
        @if all.len() > RUNS { p .dim { "… and " (all.len() - RUNS) " more: " code { "--format json" } " has them all" } }
    }
}

/// A scenario, and below it each recovery that it measures.
fn scenario(one: &Scenario) -> Markup {
    html! {
        tr {
            th scope="rowgroup" colspan="7" { (with_sets(&one.name, &one.sets)) " " span .dim { (count(one.runs, "run")) ": " (of(&one.cases)) } }
        }
        @if let Some(took) = one.took { tr {
            td { "whole case" } td {} td { (span(took.p50_us)) } td { (span(took.p95_us)) } td {} td {} td {}
        } }
        @for objective in &one.recoveries { (recovery(objective)) }
    }
}

fn recovery(one: &Objective) -> Markup {
    let value = |at: &super::summary::Median| -> Value {
        (format!("{} ({})", at.run, at.started), at.p50_us)
    };
    let values: Vec<Value> = one.last.iter().map(value).collect();
    let label = format!("{}: the last {}", one.name, count(values.len(), "run"));
    html! { tr {
        td { span .id { (one.name) } }
        td { (one.measured) @if one.never > 0 { ", " span .fail { "never came in " (one.never) } } }
        td { @if let Some(took) = one.took { (span(took.p50_us)) } }
        td { @if let Some(took) = one.took { (span(took.p95_us)) } }
        td { @if let Some(limit) = one.limit_us { (span(limit)) } }
        td { @if let Some(trend) = one.trend {
            (format!("{:+} %", trend.percent)) " " span .dim { "last " (trend.of) ": " (span(trend.now_us)) ", " (trend.of) " before: " (span(trend.before_us)) }
        } }
        td { @if values.len() > 1 { (drawing(&label, &values, one.limit_us)) } }
    } }
}

/// `keelhaul history compare --format html`.
///
/// # Errors
/// When `out` cannot be written.
pub fn changes_page(found: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let [first, second] = &found.runs;
    let verdicts: Vec<Markup> = found.verdicts.iter().map(changed).collect();
    let recoveries: Vec<Markup> = found.recoveries.iter().map(moved).collect();
    let only = |names: &[String]| -> Vec<Markup> {
        names.iter().map(|name| html! { td { (name) } }).collect()
    };
    let (before, now) = (only(&found.only_first), only(&found.only_second));
    let nothing = [&verdicts, &recoveries, &before, &now].iter().all(|rows| rows.is_empty());
    let title = format!("keelhaul: {first} → {second}");
    let body = html! {
        h1 { (title) }
        p { (count(found.common, "case")) " in both" @if nothing { ", and nothing changed" } "." }
        (table("Came to something else", &["case", first, second, ""], &verdicts))
        (table("Recovery times that changed", &["case", "recovery", first, second, "change"], &recoveries))
        (table(&format!("Only in {first}"), &["case"], &before))
        (table(&format!("Only in {second}"), &["case"], &now))
    };
    page(&title, &body, out)
}

fn changed(one: &Changed) -> Markup {
    html! {
        td { (one.case) } td { (word(one.before)) } td { (word(one.now)) }
        td .dim { (one.why()) }
    }
}

fn moved(one: &Moved) -> Markup {
    let time = |micros: Option<u64>| micros.map_or_else(|| "never".to_owned(), span);
    let slower = one.now_us.unwrap_or(u64::MAX) > one.before_us.unwrap_or(u64::MAX);
    let change = one.percent.map(|percent| format!("{percent:+} %")).unwrap_or_default();
    html! {
        td { (one.case) } td { span .id { (one.objective) } } td { (time(one.before_us)) } td { (time(one.now_us)) }
        td .(if slower { "fail" } else { "pass" }) { (change) }
    }
}
