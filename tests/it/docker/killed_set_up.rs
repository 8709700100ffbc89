//! A command line that dies while it sets up a volume on a loop device: nothing of it stays.

use rustix::process::Signal;

use crate::harness::{Test, loops, objects};

const TWO_DEVICES: &str = r#"
keelhaul: 1
name: two-devices
volumes:
  data: { ext4: { size: 16MiB } }
  logs: { ext4: { size: 16MiB } }
services:
  agent:
    image: keelhaul/specimen
    args: [--logs, /logs]
    mounts: { /data: data, /logs: logs }
verify:
  - container: { service: agent, state: running }
"#;

/// After the promise to remove, after each device, and in between before it is known to be there.
#[test]
fn killed_at_every_journal_write_and_act_of_the_set_up() {
    for point in ["cli:1", "cli:2", "cli:2:act", "cli:3", "cli:3:act"] {
        let test = Test::new();
        test.scenario("two.yaml", TWO_DEVICES);
        let run = test.start(&["run", "two.yaml"], &[("KEELHAUL_KILL_POINT", point)], "");
        let ran = run.end();
        assert_eq!(ran.code, None, "{point} is a point of the set-up");
        recovered(&test, &format!("{point} pid {}", ran.pid));
    }
}

#[test]
fn killed_while_the_subject_runs_on_its_devices() {
    let test = Test::new();
    // a step that cannot end by itself: the kill comes while the volumes are mounted
    let yaml = format!("{TWO_DEVICES}steps:\n  - wait: 100s\n");
    test.scenario("two.yaml", &yaml);
    let run = test.start(&["run", "two.yaml"], &[], "");
    let end = std::time::Instant::now() + crate::harness::DEADLINE;
    while !test.path("reports/latest").exists() || loops(&test.run_id()).len() < 2 {
        assert!(std::time::Instant::now() < end, "no devices");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    recovered(&test, "mounted");
}

fn recovered(test: &Test, point: &str) {
    let id = test.run_id();
    let ran = test.keelhaul(&["recover", &id, "--force"]);
    assert_eq!(ran.code, Some(0), "{point}: {ran:?}");
    assert_eq!((objects(&id), loops(&id)), (vec![], vec![]), "{point}");
}
