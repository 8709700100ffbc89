//! Game days, played in a real terminal.

use std::time::{Duration, Instant};

use super::pty::{Pty, ended};
use crate::{
    harness::{DEADLINE, SmallDisk, Test},
    weather::say,
};

/// A service under load, whose own steps are not what is played.
const SCENARIO: &str = r#"
keelhaul: 1
name: played
volumes:
  data: { docker: {} }
services:
  agent:
    image: keelhaul/specimen
    mounts: { /data: data }
workloads:
  records: { ledger: { via: { http: { service: agent } }, rate: 50/s } }
steady_state:
  - http: { service: agent, path: /health, status: 200 }
steps:
  - inject: { kill: { target: agent } }
verify:
  - ledger: { workload: records, lost: 0, corrupt: 0 }
"#;

/// The subjects are up, their steady state was read, and the volume is chosen.
fn up(test: &Test) -> Pty {
    test.scenario("played.yaml", SCENARIO);
    let pty = Pty::start(test, &["gameday", "played.yaml"], (80, 24));
    pty.see("agent  running");
    pty.see("ok  agent");
    pty.keys("\u{1b}[B");
    pty.see("Faults for agent:/data");
    pty
}

pub(super) fn inject(pty: &Pty, fault: &str) {
    pty.keys("/");
    pty.see("a fault by name");
    pty.keys(&format!("{fault}\r"));
    pty.see(&format!("> inject: {{ {fault}"));
    pty.keys("\r");
}

fn stop_while_a_note_is_typed(pty: &Pty) {
    pty.keys("nSTOP as\u{18}");
    pty.see("everything was reverted");
    pty.see("IN FORCE: 0");
    pty.see("> STOP as");
    pty.keys("\u{1b}");
    pty.see("Tab lists");
}

#[test]
fn a_game_day_by_keys_ends_with_the_reports_of_a_run_and_a_scenario_that_passes() {
    let test = Test::new();
    let pty = up(&test);
    inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    pty.see(" left");
    pty.keys("nthe pager rang\r");
    pty.see("note: the pager rang");
    pty.keys("r");
    pty.see("IN FORCE: 0");
    pty.see("recovered in");
    inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    stop_while_a_note_is_typed(&pty);
    pty.keys("w");
    pty.see("save as a scenario");
    pty.keys("\u{15}again.yaml\r");
    pty.see("saved: keelhaul run again.yaml");
    pty.keys("q");
    pty.see("PASS [");
    pty.see("reports: reports/");
    assert_eq!(pty.end(), Some(0));

    let case = &test.record().cases[0];
    let ends: Vec<bool> =
        case.faults.iter().map(|fault| fault.reverted.as_ref().is_some_and(|end| end.1)).collect();
    assert_eq!(ends, [true, true]);
    assert!(case.notes.contains(&"the pager rang".to_owned()), "{:?}", case.notes);
    assert_eq!(case.start.again, "keelhaul run again.yaml");
    let junit = test.junit();
    assert!(junit.contains("fault read-only-2 (read-only): effect"), "{junit}");
    test.assert_no_residue();

    let saved = std::fs::read_to_string(test.path("again.yaml")).unwrap();
    assert!(saved.contains("the pager rang") && saved.contains("recover: { within:"), "{saved}");
    let ran = test.keelhaul(&["run", "again.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}\n{saved}");
}

#[test]
fn a_terminal_that_dies_takes_its_faults_along() {
    let test = Test::new();
    let pty = up(&test);
    inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    pty.resize(60, 10);
    pty.see("60x10 is too small");
    pty.see("IN FORCE: 1");
    assert_eq!(ended(pty.hang_up()), Some(130));
    let case = &test.record().cases[0];
    let reverted = case.faults[0].reverted.as_ref();
    assert!(reverted.is_some_and(|(_, gone, _, _)| *gone), "{:?}", case.faults);
    assert!(test.junit().contains("interrupted"), "{}", test.junit());
    test.assert_no_residue();
}

#[test]
fn a_terminal_that_takes_nothing_holds_up_neither_the_end_nor_the_reports() {
    let test = Test::new();
    let pty = up(&test);
    inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    pty.stall(true);
    pty.keys("qy");
    let end = Instant::now() + DEADLINE;
    while !test.latest().join("junit.xml").exists() {
        assert!(Instant::now() < end, "it waits for the terminal:\n{}", pty.shown());
        std::thread::sleep(Duration::from_millis(50));
    }
    let reverted = test.record().cases[0].faults[0].reverted.clone();
    assert!(reverted.is_some_and(|(_, gone, _, _)| gone));
    pty.stall(false);
    assert_eq!(pty.end(), Some(0));
}

#[test]
fn a_full_disk_under_the_reports_is_said_at_once_and_everything_is_reverted() {
    let test = Test::new();
    let reports = test.path("reports");
    std::fs::create_dir(&reports).unwrap();
    let Some(small) = SmallDisk::at(&reports, "256k") else {
        return say(SmallDisk::NONE);
    };
    let pty = up(&test);
    small.fill();
    pty.see("no event is written any more");
    inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    pty.keys("S");
    pty.see("everything was reverted");
    pty.keys("q");
    pty.see("the event file is incomplete");
    assert_eq!(pty.end(), Some(3));
    test.assert_no_residue();
}

#[test]
fn without_a_terminal_nothing_is_started() {
    let test = Test::new();
    test.scenario("played.yaml", SCENARIO);
    let ran = test.keelhaul(&["gameday", "played.yaml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("here is no terminal"), "{ran:?}");
    assert!(!test.path("reports").exists());
    for (words, says) in [
        (&["playde.yaml"][..], "playde.yaml"),
        (&["played.yaml", "--attach", "db"], "says itself which"),
        (&["--attach"], "nothing says which container"),
        (&["--attach", "nobody-is-called-so"], "no container is there"),
    ] {
        let ran = test.keelhaul(&[&["gameday"], words].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(says), "{ran:?}");
    }
}
