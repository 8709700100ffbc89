//! `--hold` and `--keep`: what stays to look at, and that it goes when it is told to.

use std::{process::Command, time::Duration};

use rustix::process::Signal;

use crate::harness::{Test, loops, objects};

/// Read-only data, and an expectation that fails with the fault in force. Its timeout is short: a
/// held run must outlive it.
const FAILING: &str = r#"
keelhaul: 1
name: failing
timeout: 8s
volumes:
  data: { docker: {} }
services:
  agent:
    image: keelhaul/specimen
    mounts: { /data: data }
steps:
  - inject: { read-only: { target: "agent:/data" } }
    as: frozen
  - expect:
      - file: { service: agent, path: /no/such/file, exists: true }
    within: 100ms
    as: never
  - revert: frozen
"#;

/// The same on a file system of the run's own.
fn on_ext4() -> String {
    FAILING.replace("data: { docker: {} }", "data: { ext4: { size: 16MiB } }")
}

#[test]
fn a_held_run_keeps_its_fault_past_its_timeout_until_it_is_interrupted() {
    let test = Test::new();
    test.scenario("failing.yaml", FAILING);
    let mut run = test.start(&["run", "failing.yaml", "--hold"], &[], "");
    let said = run.until_said("held with `frozen` in force");
    assert!(said.contains("keelhaul shell") && said.contains("Ctrl-C"), "{said}");
    assert!(said.contains(", as `never.expect[0]` does not hold ("), "{said}");
    std::thread::sleep(Duration::from_secs(9));
    let id = test.run_id();
    let written = test.told(&["shell", &id, "agent"], "touch /data/x\n");
    assert_eq!(written.code, Some(1), "{written:?}");
    assert!(written.stderr.contains("EROFS"), "{written:?}");
    run.signal(Signal::INT);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let record = test.record();
    let fault = &record.cases[0].faults[0];
    assert!(fault.reverted.as_ref().is_some_and(|(_, gone, _, _)| *gone), "{fault:?}");
    assert!(test.junit().contains("never"));
    test.assert_no_residue();
}

#[test]
fn a_run_that_passes_is_not_held() {
    let test = Test::new();
    test.scenario("passing.yaml", &FAILING.replace("exists: true", "exists: false"));
    let ran = test.keelhaul(&["run", "passing.yaml", "--hold"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_kept_run_is_rolled_back_stays_until_it_is_named_and_leaves_nothing() {
    let test = Test::new();
    test.scenario("failing.yaml", &on_ext4());
    let ran = test.keelhaul(&["run", "failing.yaml", "--keep"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("kept: look with"), "{ran:?}");
    let run = format!("{}-0", test.run_id());
    assert_eq!(loops(&run).len(), 1, "the kept volume has its device");

    // the fault is gone, the data is there
    let told = test.told(&["shell", &run, "agent"], "write /data/note kept\ncat /data/note\n");
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), "kept\n"), "{told:?}");

    let listed = test.keelhaul(&["recover", "--list"]);
    let line = listed.stdout.lines().find(|line| line.starts_with(&run)).unwrap();
    assert!(line.contains("kept"), "{listed:?}");
    // others' runs are recovered by this too, and live ones are not
    test.keelhaul(&["recover", "--all"]);
    let left = objects(&run);
    for name in ["agent", "data", "default", "kept"] {
        assert!(left.contains(&format!("keelhaul-{run}-{name}")), "{name}: {left:?}");
    }
    assert!(left.contains(&format!("keelhaul-{run}")), "the journal stays: {left:?}");
    let stopped =
        Command::new("docker").args(["stop", "-t", "0", &format!("keelhaul-{run}-agent")]).output();
    assert!(stopped.unwrap().status.success());
    let told = test.told(&["shell", &run, "agent"], "ls /\n");
    assert_ne!(told.code, Some(0));
    assert!(told.stderr.contains("does not run"), "{told:?}");

    let recovered = test.keelhaul(&["recover", &run]);
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
    assert_eq!((objects(&run), loops(&run)), (vec![], vec![]));
    let again = test.keelhaul(&["recover", &run]);
    assert_eq!(again.code, Some(0), "{again:?}");
}
