//! `OpenMetrics` text: a run in numbers, for a push gateway or a collector of text files.
//!
//! Gauges alone, so that it is Prometheus' text format as well. After the specification
//! (`OpenMetrics` 1.0, "text format"): labels are escaped, and the end is marked.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{suites::suites, totals::Totals};
use crate::run::{CaseRecord, RunRecord};

/// Cases with lines of their own; the totals count all.
const MOST: usize = 2000;

/// Lines of one metric after the other.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} gauge\n# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// Writes the numbers.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let suites = suites(record);
    let cases = suites.iter().flat_map(|suite| &suite.cases).take(MOST);
    let cases: Vec<&CaseRecord> = cases.map(super::suites::Case::last).collect();
    let mut page = Page::default();
    totals(record, &mut page);
    durations(record, &cases, &mut page);
    recoveries(&cases, &mut page);
    ledgers(&cases, &mut page);
    page.0.push_str("# EOF\n");
    out.write_all(page.0.as_bytes())
}

fn totals(record: &RunRecord, page: &mut Page) {
    let totals = Totals::of(record);
    page.family("keelhaul_cases", "Cases of the run by verdict, controls not among them.");
    for (verdict, number) in [
        ("pass", totals.passed),
        ("fail", totals.failed),
        ("error", totals.errors),
        ("inconclusive", totals.inconclusive),
        ("skipped", totals.skipped),
        ("never-started", totals.never_started),
    ] {
        page.sample("keelhaul_cases", &[("verdict", verdict)], number);
    }
    page.family("keelhaul_controls", "Controls of the run, and those that failed as they must.");
    page.sample("keelhaul_controls", &[("state", "all")], totals.controls);
    page.sample("keelhaul_controls", &[("state", "caught")], totals.caught);
    page.family("keelhaul_run_seconds", "What the run took.");
    page.sample("keelhaul_run_seconds", &[], seconds(record.took_us));
}

fn durations(record: &RunRecord, cases: &[&CaseRecord], page: &mut Page) {
    let name = "keelhaul_case_seconds";
    page.family(name, "What each case took, in the attempt that counts.");
    for case in cases {
        let took = case.ended_us.unwrap_or(record.took_us).saturating_sub(case.started_us);
        let verdict = case.verdict().word();
        page.sample(name, &[("case", &case.start.case), ("verdict", verdict)], seconds(took));
    }
}

fn recoveries(cases: &[&CaseRecord], page: &mut Page) {
    let name = "keelhaul_recovery_seconds";
    page.family(
        name,
        "Time from the end of a fault to the steady state; none where it never came.",
    );
    for case in cases {
        // what was steady at the first look took no time that anybody has measured
        for one in case.recoveries.iter().filter(|one| !one.at_first_look) {
            let labels = [("case", case.start.case.as_str()), ("assertion", &one.assertion)];
            if let Some(took) = one.recovery_us {
                page.sample(name, &labels, seconds(took));
            }
        }
    }
}

fn ledgers(cases: &[&CaseRecord], page: &mut Page) {
    let name = "keelhaul_ledger_records";
    page.family(name, "Records of each ledger by what became of them.");
    for case in cases {
        for (workload, ledger) in &case.ledgers {
            for (what, number) in [
                ("acknowledged", ledger.acknowledged),
                ("failed", ledger.failed),
                ("indeterminate", ledger.indeterminate),
                ("lost", ledger.unreadable()),
                ("corrupt", ledger.corrupt),
                ("torn", ledger.torn),
                ("phantom", ledger.phantom),
                ("duplicated", ledger.duplicated),
                ("reordered", ledger.reordered),
            ] {
                let case = case.start.case.as_str();
                let labels = [("case", case), ("workload", workload), ("what", what)];
                page.sample(name, &labels, number);
            }
        }
    }
}
