//! What a run leaves under `reports/`, and that it can be rendered again from whatever is there.

use std::fs;

use crate::harness::Test;

/// A name, a matrix and a control: ids with every character that ids have.
const CELLS: &str = r#"
keelhaul: 1
name: cells
matrix: { axes: { every: [1s, 2s] } }
volumes:
  data: { docker: {} }
services:
  agent:
    image: keelhaul/specimen
    args: [--heartbeat, "${every}"]
    mounts: { /data: data }
steps:
  - expect: [log: { service: agent, matches: . }]
    within: 20s
verify:
  - file: { service: agent, path: /data, exists: true }
controls:
  - name: elsewhere
    services: { agent: { mounts: { /other: data } } }
    fails: []
"#;

#[test]
fn the_journal_and_every_log_are_copied_and_names_are_safe() {
    let test = Test::new();
    test.scenario("cells.yaml", CELLS);
    let ran = test.keelhaul(&["run", "cells.yaml", "--controls", "never", "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // whoever keeps standard output alone has every case
    assert_eq!(ran.stdout.matches("PASS").count(), 2, "{ran:?}");
    for slot in [0, 1] {
        let copy = fs::read_to_string(test.latest().join(format!("journal-{slot}.jsonl"))).unwrap();
        let lines: Vec<serde_json::Value> =
            copy.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["run"], format!("{}-{slot}", test.run_id()));
        assert!(lines.iter().any(|line| line.get("undone").is_some()), "{copy}");
    }
    let names = names(&test.latest().join("logs"));
    assert_eq!(names.len(), 2, "{names:?}");
    for name in &names {
        assert!(name.starts_with("cells_"), "{name}");
        let log = fs::read_to_string(test.latest().join("logs").join(name).join("agent.log"));
        assert!(!log.unwrap().is_empty());
    }
    for case in test.record().cases {
        let lasted = case.started_us..=case.ended_us.unwrap();
        for log in &case.logs {
            let lines = log.timed_lines().expect("the engine stamps every line");
            assert!(lines.iter().all(|(at_us, _)| lasted.contains(at_us)), "{lasted:?} {lines:?}");
        }
    }
}

/// Two binds that are to be labelled, on a host that may have no labels.
const LABELLED: &str = r#"
keelhaul: 1
name: labelled
volumes: { own: { bind: {} }, all: { bind: {} } }
services:
  agent:
    image: keelhaul/specimen
    mounts:
      /data: { volume: own, relabel: private }
      /all: { volume: all, relabel: shared, read_only: true }
steps:
  - expect:
      - http: { service: agent, path: /health, status: 200 }
      - mount: { service: agent, path: /data, flags: [rw] }
      - mount: { service: agent, path: /all, flags: [ro] }
    within: 20s
"#;

#[test]
fn a_bind_that_is_labelled_is_mounted_as_any_other() {
    let test = Test::new();
    test.scenario("labelled.yaml", LABELLED);
    let ran = test.keelhaul(&["run", "labelled.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn reports_are_rendered_again_from_whatever_is_there() {
    let test = Test::new();
    let plain =
        CELLS.replace("matrix: { axes: { every: [1s, 2s] } }", "").replace("${every}", "1s");
    let plain = &plain[..plain.find("controls:").unwrap()];
    test.scenario("cells.yaml", plain);
    assert_eq!(test.keelhaul(&["run", "cells.yaml"]).code, Some(0));
    let first = test.junit();
    let directory = test.latest();
    fs::remove_file(directory.join("junit.xml")).unwrap();
    fs::remove_dir_all(directory.join("logs")).unwrap();
    assert_eq!(test.keelhaul(&["report", "latest"]).code, Some(0));
    assert_eq!(test.junit(), first);
    assert_eq!(names(&directory.join("logs")), ["cells"]);
    // by id, and by directory
    assert_eq!(test.keelhaul(&["report", &test.run_id()]).code, Some(0));
    assert_eq!(test.keelhaul(&["report", directory.to_str().unwrap()]).code, Some(0));

    let events = fs::read(directory.join("events.jsonl")).unwrap();
    for length in [0, 1, events.len() / 3, events.len() / 2, events.len() - 2] {
        fs::write(directory.join("events.jsonl"), &events[..length]).unwrap();
        let ran = test.keelhaul(&["report", "latest"]);
        assert_eq!(ran.code, Some(3), "{length} bytes: {ran:?}");
        assert!(test.junit().contains("<testsuites"), "{length} bytes");
    }
}

#[test]
fn a_run_that_is_not_there_is_answered_with_those_that_are() {
    let test = Test::new();
    let none = test.keelhaul(&["report"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("there is no run in `reports`"), "{none:?}");
    fs::create_dir_all(test.path("reports/kabc")).unwrap();
    fs::write(test.path("reports/kabc/events.jsonl"), "").unwrap();
    std::os::unix::fs::symlink("gone", test.path("reports/latest")).unwrap();
    let dangling = test.keelhaul(&["report"]);
    assert_eq!(dangling.code, Some(2), "{dangling:?}");
    assert!(dangling.stderr.contains("`kabc`"), "{dangling:?}");
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
