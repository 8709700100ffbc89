//! `init`: what it writes checks, and runs green as it is.

use std::fs;

use keelhaul::runtime::{Docker, ObjectKind, Runtime as _};

use crate::harness::Test;

const COMPOSE: &str = "\
services:
  app:
    image: keelhaul/specimen
    user: \"1001:1001\"
    restart: unless-stopped
    volumes: [ app_data:/data, ./uploads:/uploads, ./conf:/conf:ro ]
    tmpfs: /run
    healthcheck: { test: [ CMD, /keelhaul, --version ], interval: 2s }
volumes: { app_data: }
";

/// A container whose data is on a volume, and which is kept.
const KEPT: &str = "\
keelhaul: 1
name: kept
volumes: { data: { docker: {} } }
services:
  agent:
    image: keelhaul/specimen
    memory: 128MiB
    mounts: { /data: data }
steady_state: [ { container: { service: agent, state: running } } ]
steps: [ { wait: 10ms } ]
";

fn names(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.rsplit('/').next()).collect()
}

#[test]
fn a_compose_file_gets_a_scenario_for_each_mount_and_fault() {
    let test = Test::new();
    test.scenario("compose.yaml", COMPOSE);
    let init = ["init", "--compose", "compose.yaml", "--out", "suite"];
    let ran = test.keelhaul(&init);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let all = names(&ran.stdout).join(" ");
    for end in [
        "app-crash.yaml",
        "app-restart.yaml",
        "app-data-disk-full.yaml",
        "app-data-inode-exhaustion.yaml",
        "app-data-power-cut.yaml",
        "app-data-read-only.yaml",
        "app-uploads-disk-full.yaml",
        "app-run-tmpfs-restart.yaml",
    ] {
        assert!(all.contains(end), "{end} is not among {all}");
    }
    assert!(!all.contains("conf"), "what is only read is not filled: {all}");
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let full = names(&ran.stdout).into_iter().find(|name| name.ends_with("data-disk-full.yaml"));
    let text = fs::read_to_string(test.path("suite").join(full.unwrap())).unwrap();
    for line in ["compose: \"../compose.yaml\"", "owner: \"1001:1001\"", "health: healthy"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // nobody's changes are overwritten
    let again = test.keelhaul(&init);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_s_suite_runs_green_as_it_is_written() {
    let test = Test::new();
    test.scenario("kept.yaml", KEPT);
    let ran = test.keelhaul(&["run", "kept.yaml", "--keep"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let run = test.run_id();
    let docker = Docker::connect(None).unwrap();
    let objects = docker.all_objects().await.unwrap();
    let agent = objects.iter().find(|object| {
        object.kind == ObjectKind::Container
            && object.run.starts_with(&run)
            && object.name.ends_with("-agent")
    });
    let agent = agent.unwrap().name.clone();
    let before = docker.inspect(&agent).await.unwrap();

    let ran = test.keelhaul(&["init", &agent, "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 5, "{}", ran.stdout);
    let ran = test.keelhaul(&["run", "suite", "--jobs", "4"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("5 passed"), "{}", ran.stdout);
    let after = docker.inspect(&agent).await.unwrap();
    assert_eq!((after.started_at, after.state), (before.started_at, before.state));
    let recovered = test.keelhaul(&["recover", &run]);
    assert_eq!(recovered.code, Some(0), "{}", recovered.stderr);
}

#[test]
fn what_is_not_there_gets_no_suite() {
    let test = Test::new();
    for (args, says) in [
        (&["init", "no-such-container"][..], "no container is called `no-such-container`"),
        (&["init", "--compose", "nowhere.yaml"][..], "nowhere.yaml"),
        (&["init"][..], "--compose"),
    ] {
        let ran = test.keelhaul(args);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert!(!test.path("scenarios").exists());
}
