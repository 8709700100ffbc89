//! Services that are not ours: PostgreSQL, Redis and nginx do as they should, and those that are
//! configured not to are caught.

use std::process::Command;

use crate::harness::Test;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn what_we_did_not_write_does_as_it_should_and_its_fragile_twins_do_not() {
    let made = Command::new(format!("{ROOT}/scripts/subjects.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "there are no images of the subjects: {said}");
    let test = Test::new();
    let subjects = format!("{ROOT}/scenarios/subjects");
    let ran = test.keelhaul(&["run", &subjects, "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let scenarios = std::fs::read_dir(&subjects).unwrap().count();
    assert_eq!(test.record().cases.len(), 2 * scenarios, "each scenario has a twin");
}
