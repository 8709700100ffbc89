//! Markdown: a page that fits a CI job's summary.
//!
//! Bounded: the worst comes first, and what does not fit is counted.

use std::io::{self, Write};

use super::{
    detail::{explain, logs, notes},
    points::{Point, points},
    run_trouble,
    suites::{Case, Suite, suites},
    text::{LINE, count, one_line, span},
    totals::{Totals, loss, percentiles, proven, recovery},
    trouble::unproven,
};
use crate::{
    run::{CaseRecord, RunRecord},
    verdict::Verdict,
};

/// Bytes of the page. Job summaries share a limit per job; this leaves room for others.
const PAGE: usize = 60_000;
/// Bytes of the page up to the end of its table.
const TABLE: usize = 30_000;
/// Bytes of one value.
const VALUE: usize = 400;
/// Broken points shown for a case.
const POINTS: usize = 5;

/// Where there is nothing to show.
const NONE: &str = "–";

/// Writes the page.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut suites = suites(record);
    suites.sort_by_key(|suite| std::cmp::Reverse(worst(suite)));
    let mut page = head(record);
    page += "\n| verdict | scenario | time | recovery time | data loss | faults proven | controls caught |\n|---|---|--:|--:|--:|--:|--:|\n";
    add(&mut page, TABLE, "scenario", suites.iter().map(|suite| row(record, suite)));
    let broken = suites
        .iter()
        .flat_map(|suite| &suite.cases)
        .filter(|case| case.flaky() || case.last().verdict() != Verdict::Pass);
    add(&mut page, PAGE, "case", broken.map(details));
    let last = suites.iter().flat_map(|suite| &suite.cases).map(Case::last);
    add(&mut page, PAGE, "note", last.flat_map(noted));
    out.write_all(page.as_bytes())
}

/// Appends parts while there is room, then says how many were left out.
fn add(page: &mut String, max: usize, noun: &str, parts: impl Iterator<Item = String>) {
    const NOTICE: usize = 100;
    let mut left_out = 0;
    for part in parts {
        if left_out > 0 || page.len() + part.len() + NOTICE > max {
            left_out += 1;
        } else {
            page.push_str(&part);
        }
    }
    if left_out > 0 {
        page.push_str(&format!("\n… and {} more\n", count(left_out, noun)));
    }
}

fn head(record: &RunRecord) -> String {
    let mut page = format!("# keelhaul: {}\n\n{}", record.verdict(), Totals::of(record));
    page += &format!(" in {}\n", span(record.took_us));
    if let Some(start) = &record.start {
        page += &format!("\nrun {} · seed {}", escape(&start.run), start.seed);
        if let Some(engine) = &start.engine {
            let (version, driver) = (escape(&engine.version), escape(&engine.storage_driver));
            page += &format!(" · engine {version} ({driver}) · kernel {}", escape(&engine.kernel));
        }
        page.push('\n');
    }
    if let Some(note) = unproven(record) {
        page += &format!("\nnote: {}\n", escape(&note));
    }
    if let Some((verdict, message)) = run_trouble(record) {
        page += &format!("\n**{verdict}**: {}\n", escape(&message));
    }
    page
}

fn worst(suite: &Suite<'_>) -> Verdict {
    suite.cases.iter().map(|case| case.last().verdict()).fold(Verdict::Pass, Verdict::merge)
}

fn row(record: &RunRecord, suite: &Suite<'_>) -> String {
    let (controls, main): (Vec<_>, Vec<_>) =
        suite.cases.iter().partition(|case| case.control().is_some());
    let took = suite.cases.iter().map(|case| {
        let last = case.last();
        last.ended_us.unwrap_or(record.took_us).saturating_sub(last.started_us)
    });
    let flaky = if main.iter().any(|case| case.flaky()) { " (flaky)" } else { "" };
    let each = |value: fn(&CaseRecord) -> Option<String>| {
        let all: Vec<String> = main.iter().filter_map(|case| value(case.last())).collect();
        if all.is_empty() { NONE.to_owned() } else { escape(&all.join("; ")) }
    };
    // what is judged over all repeats says more than the list of them
    let judged = each(percentiles);
    let recovered = if judged == NONE { each(recovery) } else { judged };
    // a control's faults are its own affair, as on the last screen
    let (seen, injected) = main
        .iter()
        .map(|case| proven(case.last()))
        .fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let caught = controls.iter().filter(|case| case.last().verdict() == Verdict::Pass).count();
    format!(
        "| {}{flaky} | {} | {} | {} | {} | {seen} of {injected} | {caught} of {} |\n",
        worst(suite),
        escape(suite.name),
        span(took.sum()),
        recovered,
        each(loss),
        controls.len(),
    )
}

/// What broke in a case, and the line that runs it again.
fn details(case: &Case<'_>) -> String {
    let last = case.last();
    if last.verdict() <= Verdict::Skipped {
        return in_short(case);
    }
    let mut text = format!("\n## {}: {}\n", last.verdict(), escape(&last.start.case));
    if let Some(about) = &last.start.about {
        text += &format!("\n{}\n", escape(about));
    }
    for reason in reasons(last).iter().take(POINTS) {
        text += &format!("\n- {}", escape(reason));
    }
    text.push('\n');
    let all = points(last);
    // what broke in a control is what should: its reasons say what is wrong with it
    let shown = if case.control().is_some() { 0 } else { POINTS };
    for point in all.iter().filter(|point| point.broke()).take(shown) {
        text += &broken(last, point);
    }
    let logs = logs(last, 1500, 5);
    if !logs.is_empty() {
        text += &fenced(&logs);
    }
    if !last.start.again.is_empty() {
        text += &format!("\nRun it again:\n{}", fenced(&one_line(&last.start.again, VALUE * 2)));
    }
    text
}

/// One line for a case that was skipped, or that passed on a retry.
fn in_short(case: &Case<'_>) -> String {
    let flaky = case.flaky();
    let told = if flaky { case.earlier()[0] } else { case.last() };
    let why = reasons(told).first().map_or("no reason was given", String::as_str);
    let word = if flaky { "flaky" } else { "skipped" };
    format!("\n**{word}**: {}: {}\n", escape(&told.start.case), escape(why))
}

fn noted(case: &CaseRecord) -> impl Iterator<Item = String> {
    let id = escape(&case.start.case);
    notes(case)
        .map(move |(after, note)| format!("\n**note**: {id}: {after} {}\n", escaped(note, LINE)))
}

fn reasons(case: &CaseRecord) -> &[String] {
    case.verdict.as_ref().map(|(_, reasons)| reasons.as_slice()).unwrap_or_default()
}

fn broken(case: &CaseRecord, point: &Point) -> String {
    let verdict = point.verdict.unwrap_or_default();
    let lines: Vec<String> = explain(case, point)
        .iter()
        .map(|(word, text)| format!("{word:<9} {}", one_line(text, VALUE)))
        .take(12)
        .collect();
    format!("\n**{verdict}** {}\n{}", escape(&point.name), fenced(&lines.join("\n")))
}

/// A code block that its content cannot end.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n{fence}text\n{text}\n{fence}\n")
}

/// One line of plain text: no markup, no table border, no HTML.
fn escape(text: &str) -> String {
    escaped(text, VALUE)
}

/// The same of about `max` bytes.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in one_line(text, max).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
