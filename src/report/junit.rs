//! JUnit: a suite for each scenario and matrix cell, a test case for each thing judged.
//!
//! Valid against the schema of Jenkins' xunit plugin, whatever a container prints; names hold
//! nothing that varies from run to run.

use std::{collections::HashMap, io::Write, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{
    detail::{explain, fault_trace, logs, notes},
    points::{Point, first_broken, points},
    suites::{Case, Suite, suites},
    text::{LINE, clip, one_line},
    totals::percentiles,
};
use crate::{
    run::{CaseRecord, RunRecord},
    verdict::Verdict,
};

/// Bytes of one subject's log that are kept of a case that broke.
const LOG: usize = 256 * 1024;
/// Likewise, of one that passed: hundreds of them make one file.
const LOG_PASSED: usize = 16 * 1024;

/// Suite of what belongs to no scenario. The space keeps it apart from scenario names.
const RUN_SUITE: &str = "keelhaul run";

/// Writes the report.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> std::io::Result<()> {
    let mut report = Report::new("keelhaul");
    report.set_time(Duration::from_micros(record.took_us));
    report.add_test_suites(suites(record).iter().map(|it| suite(record, it)));
    report.add_test_suites(run_suite(record));
    let xml = report.to_string().map_err(std::io::Error::other)?;
    out.write_all(without_root_skipped(&xml).as_bytes())
}

/// The schema has no `skipped` on the root, which the serializer always writes.
fn without_root_skipped(xml: &str) -> String {
    let cut = || {
        let root = xml.find("<testsuites")?;
        let end = root + xml[root..].find('>')?;
        let from = root + xml[root..end].find(" skipped=\"")?;
        let to = from + xml[from..end].match_indices('"').nth(1)?.0 + 1;
        Some([&xml[..from], &xml[to..]].concat())
    };
    cut().unwrap_or_else(|| xml.to_owned())
}

fn suite(record: &RunRecord, suite: &Suite<'_>) -> TestSuite {
    let name = clip(suite.name, 300);
    let mut out = TestSuite::new(&name);
    let mut taken = HashMap::new();
    for case in &suite.cases {
        let tests = match case.control() {
            Some(control) => vec![control_test(case, control)],
            None => case_tests(case),
        };
        for mut test in tests {
            // a name twice in a suite would be taken for a rerun
            let seen: &mut u32 = taken.entry(test.name.as_str().to_owned()).or_default();
            *seen += 1;
            if *seen > 1 {
                test.name = format!("{} ({seen})", test.name.as_str()).into();
            }
            test.set_classname(&name);
            out.add_test_case(test);
        }
    }
    let main = suite.cases.iter().find(|case| case.control().is_none()).or(suite.cases.first());
    if let Some(main) = main.map(Case::last) {
        for (key, value) in properties(record, main) {
            out.add_property((key, clip(&value, LINE)));
        }
        out.extra.insert("file".into(), clip(&main.start.file, LINE).into());
        if let Some(timestamp) = timestamp(record, main.started_us) {
            out.extra.insert("timestamp".into(), timestamp.into());
        }
    }
    let repeats = suite.cases.iter().filter(|case| case.control().is_none());
    let judged = repeats.filter_map(|case| percentiles(case.last()));
    out.add_properties(judged.map(|text| ("recovery time".to_owned(), clip(&text, LINE))));
    let took = suite.cases.iter().map(|case| took_us(record, case.last())).sum();
    out.set_time(Duration::from_micros(took));
    let output: Vec<String> =
        suite.cases.iter().filter(|case| case.control().is_none()).map(case_output).collect();
    out.set_system_out(output.join("\n"));
    out
}

/// Every point of a case, with the earlier attempts as reruns.
fn case_tests(case: &Case<'_>) -> Vec<TestCase> {
    let repeat = case.repeat();
    let mut tests: Vec<(Point, TestCase)> = points(case.last())
        .into_iter()
        .map(|point| {
            let mut test =
                TestCase::new(format!("{}{repeat}", point.name), status(case.last(), &point));
            test.set_time(Duration::from_micros(point.took_us));
            (point, test)
        })
        .collect();
    let whole = tests.len() - 1;
    for attempt in case.earlier() {
        for point in points(attempt).iter().filter(|point| point.broke()) {
            // a test that was not evaluated this time cannot carry reruns: `run` does
            let own = tests.iter().position(|(last, _)| {
                last.name == point.name && !matches!(last.verdict, None | Some(Verdict::Skipped))
            });
            let (_, test) = &mut tests[own.unwrap_or(whole)];
            if !matches!(test.status, TestCaseStatus::Skipped { .. }) {
                test.status.add_rerun(rerun(attempt, point));
            }
        }
    }
    tests.into_iter().map(|(_, test)| test).collect()
}

/// A control is one test: it passes when it failed as it must.
fn control_test(case: &Case<'_>, control: &str) -> TestCase {
    let last = case.last();
    let point = control_point(last);
    let name = clip(&format!("control {control}{}", case.repeat()), 300);
    let mut test = TestCase::new(name, status(last, &point));
    test.set_time(Duration::from_micros(point.took_us));
    for attempt in case.earlier() {
        let point = control_point(attempt);
        if point.broke() && !matches!(test.status, TestCaseStatus::Skipped { .. }) {
            test.status.add_rerun(rerun(attempt, &point));
        }
    }
    test.set_system_out(case_output(case));
    test
}

fn control_point(case: &CaseRecord) -> Point {
    let reasons = case.verdict.as_ref().map(|(_, reasons)| reasons.join("\n"));
    Point {
        name: String::new(),
        assertion: first_broken(case).map(|assertion| assertion.id.clone()),
        verdict: Some(case.verdict()),
        message: clip(&reasons.unwrap_or_else(|| "cut short: it has no end".to_owned()), LINE),
        at_us: case.ended_us,
        took_us: case.ended_us.unwrap_or(case.started_us).saturating_sub(case.started_us),
    }
}

fn status(case: &CaseRecord, point: &Point) -> TestCaseStatus {
    let Some(verdict) = point.verdict else {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("not evaluated: {}", one_line(&point.message, LINE)));
        return status;
    };
    let mut status = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(one_line(&point.message, LINE));
            return status;
        }
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Error | Verdict::Inconclusive => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
    };
    status.set_type(verdict.word());
    status.set_message(one_line(&point.message, LINE));
    status.set_description(description(case, point));
    status
}

fn rerun(case: &CaseRecord, point: &Point) -> TestRerun {
    let kind = match point.verdict {
        Some(Verdict::Fail) => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut rerun = TestRerun::new(kind);
    rerun.set_type(point.verdict.unwrap_or_default().word());
    let attempt = format!("attempt {}: {}: {}", case.start.attempt, point.name, point.message);
    rerun.set_message(one_line(&attempt, LINE));
    rerun.set_stack_trace(description(case, point));
    rerun.set_system_out(format!("{}\n{}", fault_trace(case), logs(case, LOG / 8, 200)));
    rerun
}

/// What broke, in words, and the line that runs it again.
fn description(case: &CaseRecord, point: &Point) -> String {
    let mut lines: Vec<String> =
        explain(case, point).iter().map(|(word, text)| format!("{word}: {text}")).collect();
    if !case.start.again.is_empty() {
        lines.push(format!("run it again: {}", one_line(&case.start.again, LINE)));
    }
    lines.join("\n")
}

/// Fault trace, notes and logs of a case's last attempt; reruns carry their own.
fn case_output(case: &Case<'_>) -> String {
    let last = case.last();
    let noted =
        notes(last).map(|(after, note)| format!("{after:<10} note: {}\n", one_line(note, LINE)));
    let heading = format!("=== {} ===", one_line(&last.start.case, 300));
    let noted: String = noted.collect();
    let log = if last.verdict() > Verdict::Skipped { LOG } else { LOG_PASSED };
    format!("{heading}\n{}\n{noted}{}", fault_trace(last), logs(last, log, usize::MAX))
}

/// What a suite ran on, and how to run it again.
fn properties(record: &RunRecord, case: &CaseRecord) -> Vec<(String, String)> {
    let mut out = vec![("seed".to_owned(), case.start.seed.to_string())];
    let mut add = |key: &str, value: &str| out.push((key.to_owned(), value.to_owned()));
    if !case.start.again.is_empty() {
        add("rerun", &case.start.again);
    }
    if let Some(start) = &record.start {
        add("run", &start.run);
        add("keelhaul", &format!("{} ({})", start.version, start.build));
        if let Some(engine) = &start.engine {
            add("engine", &format!("{} (API {})", engine.version, engine.api_version));
            add("kernel", &engine.kernel);
            add("os", &engine.os);
            add("storage driver", &engine.storage_driver);
            add("cgroup version", &engine.cgroup_version);
        }
    }
    for (axis, value) in &case.start.cell {
        add(&format!("matrix {axis}"), value);
    }
    let mut services: Vec<&str> = Vec::new();
    for (service, container, image) in &case.subjects {
        if !services.contains(&service.as_str()) {
            services.push(service);
            add(&format!("image {service}"), image);
            if case.attached.contains(service) {
                add(&format!("attached {service}"), container);
            }
        }
    }
    for fault in &case.faults {
        let how = format!("{}; proven by: {}", fault.act, fault.proof);
        add(&format!("mechanism {} ({})", fault.id, fault.name), &how);
    }
    out
}

/// A moment of the run in RFC 3339; none when its start is unknown.
fn timestamp(record: &RunRecord, at_us: u64) -> Option<String> {
    let started: jiff::Timestamp = record.start.as_ref()?.started.parse().ok()?;
    let at = started.checked_add(jiff::SignedDuration::from_micros(i64::try_from(at_us).ok()?));
    Some(format!("{:.3}", at.ok()?))
}

fn took_us(record: &RunRecord, case: &CaseRecord) -> u64 {
    case.ended_us.unwrap_or(record.took_us).saturating_sub(case.started_us)
}

/// What went wrong with the run itself, where something did.
fn run_suite(record: &RunRecord) -> Option<TestSuite> {
    let (verdict, message) = super::run_trouble(record)?;
    let kind = match verdict {
        Verdict::Fail => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict.word()).set_message(one_line(&message, LINE));
    let mut test = TestCase::new("run", status);
    test.set_classname(RUN_SUITE).set_time(Duration::ZERO);
    let mut suite = TestSuite::new(RUN_SUITE);
    suite.set_time(Duration::ZERO).add_test_case(test);
    Some(suite)
}
