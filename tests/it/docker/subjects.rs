//! Services that are not ours: PostgreSQL and Redis keep what they acknowledged, and those that are
//! configured to lose it are caught.

use std::process::Command;

use crate::harness::Test;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn databases_keep_what_they_acknowledge_and_their_fragile_twins_do_not() {
    let made = Command::new(format!("{ROOT}/scripts/subjects.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "there are no images of the databases: {said}");
    let test = Test::new();
    let subjects = format!("{ROOT}/scenarios/subjects");
    let ran = test.keelhaul(&["run", &subjects, "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(test.record().cases.len(), 10, "five scenarios, each with a twin");
}
