//! Faults of owner and mode that cannot reach their subject: a process that overrides permission
//! checks is never said to be under one.

use crate::harness::Test;

/// A subject that is root, as images without a user are, and a directory that is another's.
const ROOT: &str = r#"
keelhaul: 1
name: root
timeout: 60s
volumes:
  data: { bind: { owner: "1001:1001" } }
services:
  agent:
    image: keelhaul/specimen
    mounts: { /data: data }
steady_state:
  - container: { service: agent, state: running }
steps:
  - inject: { ownership: { target: "agent:/data", owner: "1002:1002" } }
    as: taken
  - revert: taken
"#;

fn ran(yaml: &str) -> (i32, String, String) {
    let test = Test::new();
    test.scenario("root.yaml", yaml);
    let ran = test.keelhaul(&["run", "root.yaml"]);
    let record = test.record();
    let fault = &record.cases[0].faults[0];
    let told = format!("{ran:?}\n{fault:?}");
    (ran.code.unwrap(), told, test.junit())
}

#[test]
fn a_root_subject_that_overrides_permissions_is_not_said_to_be_refused() {
    let (code, told, junit) = ran(ROOT);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("its capabilities override permission checks"), "{told}");
    assert!(junit.contains("override permission checks"), "{junit}");
}

#[test]
fn a_root_subject_without_the_capability_is_refused() {
    let (code, told, _) = ran(&ROOT
        .replace("mounts:", "cap_drop: [ALL]\n    mounts:")
        .replace("owner: \"1001:1001\"", "mode: \"0777\"")
        .replace(
            "ownership: { target: \"agent:/data\", owner: \"1002:1002\" }",
            "mode: { target: \"agent:/data\", mode: \"0555\" }",
        ));
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("writing EACCES"), "{told}");
}
