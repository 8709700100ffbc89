//! Report files: whole or not there, and none held back by another.

use std::fs;

use keelhaul::{
    block::{Kept, Profile},
    protocol::{ExploreReport, WrongState},
    report::{Format, json, render_all, write_logs},
    run::{Event, RunRecord},
    verdict::{FailOn, Verdict},
};

use super::made::Made;

#[test]
fn every_format_has_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/run");
    let (written, errors) = render_all(&Made::everything().record(), &out);
    assert!(errors.is_empty(), "{errors:?}");
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["junit.xml", "metrics.prom", "report.html", "report.json", "summary.md"]);
    assert_eq!(written.len(), 5);
}

#[test]
fn json_gives_the_record_back() {
    let dir = tempfile::tempdir().unwrap();
    let record = Made::everything().record();
    render_all(&record, dir.path());
    let text = fs::read(dir.path().join("report.json")).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(document["version"], 2);
    assert_eq!(document["verdict"], "fail");
    assert_eq!(document["exit_code"], 1);
    assert_eq!(document["totals"]["caught"], 1);
    let back: RunRecord = serde_json::from_value(document["run"].take()).unwrap();
    assert_eq!(back, record);
}

#[test]
fn a_state_that_breaks_a_promise_is_kept_and_one_that_breaks_none_is_not() {
    let wrong = WrongState {
        cut: 812,
        profile: Profile::Omit1,
        acknowledged: 41,
        kept: vec![Kept::Nothing, Kept::Sectors(vec![true, false])],
        lost_at_first: 2,
        lost: Vec::new(),
        digest: "ab".into(),
        wrong: "1 of 41 acknowledged records lost".into(),
        confirmed: true,
        second: None,
    };
    let mut made = Made::run(1);
    made.case("explore[fs=ext4]", "", 1);
    for first in [None, Some(wrong.clone())] {
        let report = Box::new(ExploreReport { first, ..ExploreReport::default() });
        let (case, workload) = ("explore[fs=ext4]".into(), "records".into());
        made.push(Event::Explored { case, workload, report });
    }
    made.case_end(Verdict::Fail, &[]).end(Verdict::Fail);
    let dir = tempfile::tempdir().unwrap();
    write_logs(&made.record(), dir.path()).unwrap();
    let cases = fs::read_dir(dir.path().join("crash-states")).unwrap();
    let case = cases.map(|it| it.unwrap().path()).next().unwrap();
    let files: Vec<_> = fs::read_dir(case).unwrap().map(|it| it.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(file.ends_with("records-2.json"), "{file:?}");
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!((&kept["keelhaul-crash-state"], &kept["seed"]), (&1.into(), &42.into()));
    assert_eq!(serde_json::from_value::<WrongState>(kept["state"].take()).unwrap(), wrong);
}

#[test]
fn the_exit_code_in_json_is_that_of_the_command() {
    let mut record = Made::everything().record();
    let mut code = |fail_on: &[FailOn]| {
        record.start.as_mut().unwrap().fail_on = fail_on.to_vec();
        let mut out = Vec::new();
        json::write(&record, &mut out).unwrap();
        serde_json::from_slice::<serde_json::Value>(&out).unwrap()["exit_code"].as_i64()
    };
    assert_eq!(code(&FailOn::USUAL), Some(1));
    assert_eq!(code(&[FailOn::Error]), Some(3));
    assert_eq!(code(&[FailOn::Inconclusive]), Some(5));
    assert_eq!(code(&[]), Some(0));
    let mut cut = Made::run(9);
    cut.bad("c", "", 1).case_end(Verdict::Fail, &["x"]).end(Verdict::Fail);
    let mut record = cut.record();
    record.start.as_mut().unwrap().fail_on = vec![FailOn::Error];
    let mut out = Vec::new();
    json::write(&record, &mut out).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["exit_code"], 3, "eight of nine never started");
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("junit.xml/in-the-way")).unwrap();
    let (written, errors) = render_all(&Made::everything().record(), dir.path());
    assert_eq!(written.len(), 4);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].format, Format::Junit);
    assert!(errors[0].to_string().contains("junit.xml"), "{}", errors[0]);
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 5, "no temporary file stays");
}

#[test]
fn no_directory_is_an_error_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (written, errors) = render_all(&Made::everything().record(), &file.join("run"));
    assert!(written.is_empty());
    assert_eq!(errors.len(), 5);
}
