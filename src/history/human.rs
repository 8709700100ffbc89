//! The history and a comparison as text; `html` has the same as pages.

use std::fmt::Write as _;

use super::{
    compare::Comparison,
    standing::{Broken, Point},
    summary::{Listed, Objective, Scenario, Summary, Verdicts},
};
use crate::report::text::{count, span};

/// Lines of a list; JSON has them all.
const LINES: usize = 50;
/// Runs by name; JSON has them all.
const RUNS: usize = 10;
/// Digits of a commit that are shown.
const COMMIT: usize = 12;

/// `keelhaul history`.
#[must_use]
pub fn overview(summary: &Summary) -> String {
    let mut text = String::new();
    let (Some(from), Some(until)) = (&summary.from, &summary.until) else {
        return "no run fits\n".into();
    };
    let cases = &summary.cases;
    let _ = write!(
        text,
        "{} from {from} to {until}, {} passed\n{} of {} passed",
        count(summary.runs, "run"),
        summary.passed,
        cases.pass,
        count(cases.tried(), "case"),
    );
    if let Some(rate) = summary.pass_rate {
        let _ = write!(text, " ({rate} %)");
    }
    let _ = writeln!(
        text,
        ", {} skipped, {} of {} caught",
        cases.skipped,
        cases.caught,
        count(cases.controls, "control")
    );
    summary.scenarios.iter().for_each(|one| scenario(&mut text, one));
    let broken: Vec<String> = summary.broken.iter().map(broken).collect();
    list(&mut text, "does not pass", &broken);
    let flaky = summary.flaky.iter().map(|one| {
        let (case, passed, not) = (&one.case, one.passed, one.not);
        format!("{case}: passed in {}, did not (at once) in {not}", count(passed, "run"))
    });
    list(&mut text, "flaky, with the same scenario", &flaky.collect::<Vec<_>>());
    runs(&mut text, summary);
    text
}

/// The newest by name.
fn runs(text: &mut String, summary: &Summary) {
    let newest: Vec<String> = summary.listed.iter().take(RUNS).map(listed).collect();
    list(text, "runs, newest first (`keelhaul history compare A B`)", &newest);
    let more = summary.listed.len() - newest.len();
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more: `--format json` has them all");
    }
}

fn listed(one: &Listed) -> String {
    let sets: String = one.sets.iter().map(|sets| format!(", with `--set {sets}`")).collect();
    format!("{}: {}, {}{sets}", point(&one.point), one.verdict, tally(&one.cases))
}

/// `12 of 14 cases passed, 7 of 7 controls caught`.
pub(super) fn tally(cases: &Verdicts) -> String {
    let tried = count(cases.tried(), "case");
    let caught = match cases.controls {
        0 => String::new(),
        controls => format!(", {} of {} caught", cases.caught, count(controls, "control")),
    };
    format!("{} of {tried} passed{caught}", cases.pass)
}

fn scenario(text: &mut String, one: &Scenario) {
    let cases = &one.cases;
    let (name, runs) = (with_sets(&one.name, &one.sets), count(one.runs, "run"));
    let _ = write!(text, "\n{name}  {runs}: {} passed", cases.pass);
    for (word, number) in [
        ("failed", cases.fail),
        ("error", cases.error),
        ("inconclusive", cases.inconclusive),
        ("skipped", cases.skipped),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {word}");
        }
    }
    if cases.controls > 0 {
        let _ = write!(text, "; {} of {} caught", cases.caught, count(cases.controls, "control"));
    }
    text.push('\n');
    if let Some(took) = one.took {
        let _ = writeln!(text, "  took     p50 {}, p95 {}", span(took.p50_us), span(took.p95_us));
    }
    one.recoveries.iter().for_each(|objective| recovery(text, objective));
}

/// A name, and what `--set` gave what has it.
pub(super) fn with_sets(name: &str, sets: &str) -> String {
    if sets.is_empty() { name.to_owned() } else { format!("{name}, with `--set {sets}`") }
}

fn recovery(text: &mut String, one: &Objective) {
    let _ = write!(text, "  {:<8}", one.name);
    if let Some(took) = one.took {
        let _ = write!(text, " p50 {}, p95 {}", span(took.p50_us), span(took.p95_us));
    }
    if let Some(limit) = one.limit_us {
        let _ = write!(text, " of {}", span(limit));
    }
    if one.never > 0 {
        let _ = write!(text, ", never in {} of {}", one.never, one.measured);
    }
    if let Some(trend) = one.trend {
        let (before, now) = (span(trend.before_us), span(trend.now_us));
        let (of, percent) = (trend.of, trend.percent);
        let _ = write!(text, "; last {of} runs {now}, the {of} before {before} ({percent:+} %)");
    }
    text.push('\n');
}

fn broken(one: &Broken) -> String {
    let (case, since) = (with_sets(&one.case, &one.sets), point(&one.since));
    let verdict = one.verdict;
    let passed = one.passed.as_ref().map_or_else(
        || "has not passed in these runs".into(),
        |passed| format!("passed last in {}", point(passed)),
    );
    format!("{case}: {verdict}, {} since {since}; {passed}", count(one.runs, "run"))
}

pub(super) fn point(point: &Point) -> String {
    let commit = point.commit.as_ref().map_or_else(String::new, |commit| {
        let id: String = commit.id.chars().take(COMMIT).collect();
        format!(", commit {id}")
    });
    format!("{} ({}{commit})", point.run, point.started)
}

/// `keelhaul history compare`.
#[must_use]
pub fn changes(found: &Comparison) -> String {
    let [first, second] = &found.runs;
    let mut text = format!("{first} → {second}: {} in both\n", count(found.common, "case"));
    let verdicts = found.verdicts.iter().map(|one| {
        let why = match one.why() {
            why if why.is_empty() => why,
            why => format!(" ({why})"),
        };
        format!("{}: {} → {}{why}", one.case, one.before, one.now)
    });
    list(&mut text, "came to something else", &verdicts.collect::<Vec<_>>());
    let time = |micros: Option<u64>| micros.map_or_else(|| "never".into(), span);
    let recoveries = found.recoveries.iter().map(|one| {
        let percent = one.percent.map_or_else(String::new, |percent| format!(" ({percent:+} %)"));
        let (before, now) = (time(one.before_us), time(one.now_us));
        format!("{} {}: {before} → {now}{percent}", one.case, one.objective)
    });
    list(&mut text, "recovery times that changed", &recoveries.collect::<Vec<_>>());
    list(&mut text, &format!("only in {first}"), &found.only_first);
    list(&mut text, &format!("only in {second}"), &found.only_second);
    if text.lines().count() == 1 {
        text.push_str("nothing changed\n");
    }
    text
}

fn list(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{heading}:");
    for line in lines.iter().take(LINES) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > LINES {
        let _ = writeln!(text, "  … and {} more", lines.len() - LINES);
    }
}
