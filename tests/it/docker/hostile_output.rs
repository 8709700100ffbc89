//! A container that prints what no report may pass on: the reports stay what they claim to be.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use keelhaul::runtime::{Docker, ImageRef, PullPolicy, Runtime, SPECIMEN_IMAGE};

use super::guest;
use crate::{harness::Test, report::schema::problems};

/// A subject of this very test executable that prints it, and an assertion whose message holds it.
fn scenario(image: &str) -> String {
    let entrypoint = serde_json::to_string(&guest::command("noise")).unwrap();
    format!(
        r#"
keelhaul: 1
name: noise
services:
  agent: {{ image: "{image}", entrypoint: {entrypoint}, stop_grace: 1s }}
steps:
  - expect: [{{ log: {{ service: agent, matches: "THE END" }} }}]
    within: 30s
verify:
  - log: {{ service: agent, matches: "nul .* escape", absent: true }}
    as: quoted
"#
    )
}

#[tokio::test]
async fn whatever_a_container_prints_the_junit_is_valid() {
    let image = ImageRef { name: SPECIMEN_IMAGE.to_owned(), pull: PullPolicy::Never };
    let docker = Docker::connect(None).expect("these tests need a container engine");
    let image = docker.ensure_image(&image).await.unwrap();
    let test = Test::new();
    test.scenario("noise.yaml", &scenario(&image));
    let ran = test.keelhaul(&["run", "noise.yaml"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let junit = test.junit();
    assert_eq!(problems(junit.as_bytes()), Vec::<String>::new(), "{junit}");
    // it is quoted where it broke, and the log is there
    for part in ["nul ␀ escape", "THE END"] {
        assert!(junit.contains(part), "no {part:?} in {junit}");
    }
    assert!(!ran.stdout.contains(['\0', '\u{9b}']), "{:?}", ran.stdout);
    assert!(junit.len() < 1 << 20, "{} bytes: a line of a megabyte is cut", junit.len());
    test.assert_no_residue();
}
