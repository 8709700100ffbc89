//! `audit`: what it finds in containers that were never started, and that it changes nothing.

use std::process::Command;

use keelhaul::{
    audit::RULES,
    runtime::{ContainerSpec, HealthCheck, MountSource, MountSpec, RestartPolicy, Runtime as _},
};

use super::runtime::Bench;
use crate::harness::{Ran, Test};

fn mount(target: &str, source: MountSource) -> MountSpec {
    MountSpec { target: target.into(), source, read_only: false, relabel: None }
}

fn volume(name: &str) -> MountSource {
    MountSource::Volume { name: name.into(), no_copy: false }
}

fn bind(path: &str) -> MountSource {
    MountSource::Bind { path: path.into() }
}

fn tmpfs(size: Option<u64>) -> MountSource {
    MountSource::Tmpfs { size, inodes: None, mode: None }
}

/// Everything wrong that can be; it is never started.
fn careless(bench: &Bench, shared: &str) -> ContainerSpec {
    ContainerSpec {
        user: Some("1001:1001".into()),
        mounts: vec![
            mount("/anonymous", volume("")),
            MountSpec { read_only: true, ..mount("/var/log/app", tmpfs(None)) },
            mount("/state", tmpfs(None)),
            mount("/shared", volume(shared)),
            // on every Linux, root's own
            mount("/opt/specimen", bind("/usr")),
            mount("/config", bind("/etc/passwd")),
        ],
        ..bench.container("careless", "wait")
    }
}

/// Nothing wrong.
fn careful(bench: &Bench, own: &str) -> ContainerSpec {
    ContainerSpec {
        mounts: vec![mount("/data", volume(own)), mount("/tmp", tmpfs(Some(1 << 20)))],
        memory: Some(64 << 20),
        restart: RestartPolicy::OnFailure,
        health: Some(HealthCheck {
            command: vec!["/keelhaul".into()],
            interval_ms: 1000,
            timeout_ms: 1000,
            retries: 3,
            start_period_ms: None,
        }),
        ..bench.container("careful", "wait")
    }
}

/// Rule and mount of every finding.
fn found(ran: &Ran) -> Vec<(String, String)> {
    let whole: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let findings = whole["findings"].as_array().unwrap().iter();
    let mut found: Vec<_> = findings.map(|one| (text(&one["rule"]), text(&one["mount"]))).collect();
    found.sort();
    found
}

/// What the engine says of a container, whole; it lists mounts in any order.
fn inspected(name: &str) -> Vec<String> {
    let output = Command::new("docker").args(["inspect", name]).output().unwrap();
    assert!(output.status.success(), "{name}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> =
        text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
    lines.sort();
    lines
}

/// Rule and mount of all that is wrong in the careless one.
const EXPECTED: [(&str, &str); 16] = [
    ("anonymous-volume", "/anonymous"),
    ("hidden-files", "/opt/specimen"),
    ("host-exposed", "/config"),
    ("host-exposed", "/opt/specimen"),
    ("no-health-check", ""),
    ("no-memory-limit", ""),
    ("no-restart-policy", ""),
    ("owner-mismatch", "/anonymous"),
    ("owner-mismatch", "/config"),
    ("owner-mismatch", "/opt/specimen"),
    ("owner-mismatch", "/shared"),
    ("read-only-logs", "/var/log/app"),
    ("shared-writers", "/shared"),
    ("single-file", "/config"),
    ("state-on-tmpfs", "/state"),
    ("tmpfs-without-limit", "/state"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_careless_choice_is_named_and_nothing_is_changed() {
    let bench = Bench::new().await;
    let (shared, own) =
        (bench.volume("shared", "volume").await, bench.volume("own", "volume").await);
    let (bad, good) = (careless(&bench, &shared), careful(&bench, &own));
    let other = ContainerSpec {
        mounts: vec![mount("/elsewhere", volume(&shared))],
        ..bench.container("other", "wait")
    };
    for spec in [&bad, &good, &other] {
        bench.docker.create_container(spec).await.unwrap();
    }
    // one that does not run writes nothing
    bench.docker.start(&other.name).await.unwrap();
    let before = inspected(&bad.name);

    let test = Test::new();
    let ran = test.keelhaul(&["audit", &bad.name, "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(found(&ran), EXPECTED.map(|(rule, at)| (rule.to_owned(), at.to_owned())));
    assert!(ran.stdout.contains(&format!("writable in `{}`", other.name)), "{}", ran.stdout);
    assert!(ran.stdout.contains("/opt/specimen/current.dat"), "{}", ran.stdout);
    assert!(before == inspected(&bad.name), "the container is another one");
    let containers = bench.docker.listed().await.unwrap();
    let mine = containers.iter().filter(|one| one.name.starts_with(&bench.run));
    assert_eq!(mine.count(), 3, "a container more or less");

    let ran = test.keelhaul(&["audit", &good.name]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("nothing found"), "{}", ran.stdout);

    let only_caution = ["audit", &other.name, "--fail-on", "danger", "--except", "shared-writers"];
    let ran = test.keelhaul(&only_caution);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.stdout.contains("no-memory-limit"), "{}", ran.stdout);
}

#[test]
fn a_compose_file_is_audited_before_anything_is_made_of_it() {
    let test = Test::new();
    let file = "\
services:
  web: { image: keelhaul/nowhere, privileged: true, tmpfs: /state, volumes: [ own:/var/log/web:ro, logs:/var/log/all:ro ] }
  db: { build: ., mem_limit: 64m, restart: always, volumes: [ logs:/logs, /var/run/docker.sock:/s ] }
  worker: { image: keelhaul/nowhere, mem_limit: 64m, restart: always, volumes: [ logs:/logs, /kept ] }
volumes: { own: , logs: { external: true } }
";
    test.scenario("compose.yaml", file);
    let ran = test.keelhaul(&["audit", "--compose", "compose.yaml", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let expected = [
        ("anonymous-volume", "/kept"),
        ("host-exposed", "/s"),
        ("no-memory-limit", ""),
        ("no-restart-policy", ""),
        ("read-only-logs", "/var/log/web"),
        ("shared-writers", "/logs"),
        ("shared-writers", "/logs"),
        ("state-on-tmpfs", "/state"),
        ("tmpfs-without-limit", "/state"),
    ];
    assert_eq!(found(&ran), expected.map(|(rule, at)| (rule.to_owned(), at.to_owned())));
    assert!(ran.stdout.contains("`keelhaul/nowhere` is not on this engine"), "{}", ran.stdout);
}

#[test]
fn what_is_not_understood_of_a_compose_file_is_named_and_the_rest_is_audited() {
    let test = Test::new();
    let file = "\
services:
  web:
    image: keelhaul/nowhere
    restart: whenever
    mem_limit: lots
    provider: { type: other }
    tmpfs: /state
";
    test.scenario("compose.yaml", file);
    let ran = test.keelhaul(&["audit", "--compose", "compose.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for words in ["state-on-tmpfs", "what `mem_limit` says: ", "compose.yaml:4:14: "] {
        assert!(ran.stdout.contains(words), "{words} is not in\n{}", ran.stdout);
    }
    let ran = test.keelhaul(&["audit", "--compose", "compose.yaml", "--format", "json"]);
    let whole: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let unknown = whole["unknown"].as_array().unwrap().iter();
    let unknown = unknown.filter_map(|one| one["what"].as_str()).filter(|it| it.contains('`'));
    let expected = ["mem_limit", "provider", "restart"].map(|key| format!("what `{key}` says"));
    let mut unknown: Vec<_> = unknown.collect();
    unknown.sort_unstable();
    assert_eq!(unknown, expected);
    // what may be chosen after all is not found
    let expected = [("state-on-tmpfs", "/state"), ("tmpfs-without-limit", "/state")];
    assert_eq!(found(&ran), expected.map(|(rule, at)| (rule.to_owned(), at.to_owned())));
}

#[test]
fn what_is_not_there_is_named() {
    let test = Test::new();
    for (args, says) in [
        (&["audit", "no-such-container"][..], "no container is called `no-such-container`"),
        (&["audit", "--project", "no-such-project"][..], "Compose project `no-such-project`"),
        (&["audit", "x", "--except", "hiden-files"][..], "did you mean `hidden-files`?"),
    ] {
        let ran = test.keelhaul(args);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("hint: "), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn every_rule_is_shown_by_a_scenario() {
    for rule in RULES {
        let tried = EXPECTED.iter().any(|(name, _)| *name == rule.name);
        assert!(tried, "`{}` is tried nowhere", rule.name);
        let file = format!("{}/scenarios/{}.yaml", env!("CARGO_MANIFEST_DIR"), rule.proof);
        let text = std::fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("{}: {file}: {error}", rule.name));
        assert!(text.contains(&format!("{}: {{ ", rule.shows)), "{}: `{}`", rule.name, rule.shows);
    }
    assert!(RULES.windows(2).all(|pair| pair[0].name < pair[1].name), "not sorted");
}
