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

/// One of everything that a run does not have, or that nobody has.
const BEYOND: &str = "\
services:
  app:
    image: keelhaul/specimen
    privileged: true
    devices: [ /dev/fuse ]
    restart: whenever
    mem_limit: lots
    portz: [ \"80\" ]
    healthcheck: { test: [ CMD, /keelhaul, --version ], retrys: 3 }
    deploy: { resources: { limits: { memory: 64m, pids: 3 } } }
    volumes: [ data:/data, shared:/shared ]
  worker:
    image: keelhaul/specimen
    restart: always
    pid: host
volumes: { data: , shared: { external: true } }
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

/// Where each is, and what becomes of it; nothing more is left out.
#[test]
fn what_a_run_does_not_have_is_left_out_and_named() {
    let test = Test::new();
    test.scenario("compose.yaml", BEYOND);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (place, of) in [
        ("compose.yaml:4:5: ", "left out by `without: [app.privileged]`"),
        ("compose.yaml:5:5: ", "left out by `without: [app.devices]`"),
        ("compose.yaml:6:14: ", "left out by `without: [app.restart]`"),
        ("compose.yaml:7:16: ", "left out by `without: [app.mem_limit]`"),
        ("(did you mean `ports`?)", "left out by `without: [app.portz]`"),
        ("compose.yaml:9:57: ", "left out by `without: [app.retrys]`"),
        ("compose.yaml:10:51: ", "left out by `without: [app.pids]`"),
        ("compose.yaml:15:5: ", "left out by `without: [worker.pid]`"),
        ("compose.yaml:16:", "`shared` is an empty volume of the run's (`docker`)"),
    ] {
        let told = ran
            .stderr
            .lines()
            .any(|line| line.starts_with("note: ") && line.contains(place) && line.ends_with(of));
        assert!(told, "{place}, {of} is not in\n{}", ran.stderr);
    }
    let full = names(&ran.stdout).into_iter().find(|name| name.ends_with("app-restart.yaml"));
    let text = fs::read_to_string(test.path("suite").join(full.unwrap())).unwrap();
    let of_app = "    - app.devices\n    - app.mem_limit\n    - app.pids\n    - app.portz\n    \
                  - app.privileged\n    - app.restart\n    - app.retrys\n    - worker.";
    for part in [of_app, "  shared: { docker: {} }\n", "health: healthy"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("app.volumes") && !text.contains("app.deploy"), "{text}");
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// A service that is built is the image that Compose makes of it; nothing can stand in for a value
/// that only the user knows.
#[test]
fn what_has_to_be_mended_is_no_gap() {
    let test = Test::new();
    let built = "services: { app: { build: ., privileged: true } }\nname: shop\n";
    test.scenario("compose.yaml", built);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("`shop-app` is run"), "{}", ran.stderr);
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);

    let open = "services: { app: { image: i, privileged: true, command: '${WHAT:?say it}' } }\n";
    test.scenario("open.yaml", open);
    let ran = test.keelhaul(&["init", "--compose", "open.yaml", "--out", "other"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("say it") && !ran.stderr.contains("note: "), "{}", ran.stderr);
    assert!(!test.path("other").exists());
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
