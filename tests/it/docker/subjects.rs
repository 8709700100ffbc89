//! Software that is not ours: PostgreSQL, Redis, SQLite, etcd and nginx do as they should, and what is
//! configured not to is caught.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use keelhaul::runtime::{ContainerSpec, MountSource, MountSpec, Runtime as _};

use super::runtime::Bench;
use crate::harness::Test;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Makes what is not there yet.
fn make_images() {
    let made = Command::new(format!("{ROOT}/scripts/subjects.sh")).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "there are no images of the subjects: {said}");
}

/// Runs the scenarios whose names begin so: each has a twin.
fn as_it_should(of: &str) {
    make_images();
    let test = Test::new();
    let all = std::fs::read_dir(format!("{ROOT}/scenarios/subjects")).unwrap();
    let paths = all.map(|entry| entry.unwrap().path().display().to_string());
    let paths: Vec<String> = paths.filter(|path| path.contains(&format!("/{of}-"))).collect();
    let words = ["run", "--jobs", "2"].into_iter();
    let ran = test.keelhaul(&words.chain(paths.iter().map(String::as_str)).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(test.record().cases.len() >= 2 * paths.len(), "each scenario has a twin");
}

#[test]
fn postgresql_does_as_it_should_and_its_fragile_twins_do_not() {
    as_it_should("postgres");
}

#[test]
fn redis_does_as_it_should_and_its_fragile_twins_do_not() {
    as_it_should("redis");
}

#[test]
fn sqlite_does_as_it_should_and_its_fragile_twins_do_not() {
    as_it_should("sqlite");
}

#[test]
fn etcd_does_as_it_should_and_its_fragile_twin_does_not() {
    as_it_should("etcd");
}

#[test]
fn nginx_does_as_it_should_and_its_fragile_twins_do_not() {
    as_it_should("nginx");
}

/// PostgreSQL's is made at the first start, by a server that listens on no port.
fn await_cluster(container: &str) {
    let made = ["exec", container, "pg_isready", "--host", "127.0.0.1"];
    let began = Instant::now();
    while !Command::new("docker").args(made).output().unwrap().status.success() {
        assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What is written, without the words of service and path.
fn recipes(stdout: &str) -> String {
    let known = "disk-full inode-exhaustion lost-mount ownership power-cut read-only restart \
                 shadow-mount slow-start tmpfs-full tmpfs-restart";
    let mut found: Vec<&str> = stdout
        .lines()
        .map(|line| {
            let of = |name: &&str| line.ends_with(&format!("-{name}.yaml"));
            // `tmpfs-restart` ends as `restart` does
            known.split_whitespace().filter(of).max_by_key(|name| name.len()).unwrap_or(line)
        })
        .collect();
    found.sort_unstable();
    found.join(" ")
}

/// nginx with its pages on a volume and a tmpfs, and PostgreSQL with its rows: their names.
async fn web_and_db(bench: &Bench) -> (String, String) {
    make_images();
    let at = |target: &str, name: String| MountSpec {
        target: target.into(),
        source: MountSource::Volume { name, no_copy: false },
        read_only: false,
        relabel: None,
    };
    let (site, rows) = (bench.volume("site", "volume").await, bench.volume("rows", "volume").await);
    let made = |name: &str, image: &str, mount| ContainerSpec {
        image: image.into(),
        entrypoint: None,
        mounts: vec![mount],
        ..bench.container(name, "")
    };
    let mut web = made("web", "nginx:1.22", at("/usr/share/nginx/html", site));
    let memory = MountSource::Tmpfs { size: Some(16 << 20), inodes: None, mode: None };
    web.mounts.push(MountSpec { source: memory, ..at("/var/cache/nginx", String::new()) });
    let mut db = made("db", "postgres:15", at("/var/lib/postgresql/data", rows));
    db.env.insert("POSTGRES_HOST_AUTH_METHOD".into(), "trust".into());
    for spec in [&web, &db] {
        bench.docker.create_container(spec).await.unwrap();
        bench.docker.start(&spec.name).await.unwrap();
    }
    await_cluster(&db.name);
    (web.name, db.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_suites_for_nginx_and_postgresql_that_run_green_as_they_are() {
    let bench = Bench::new().await;
    let (web, db) = web_and_db(&bench).await;
    let test = Test::new();
    let init = |name: &str| test.keelhaul(&["init", name, "--out", "suite"]);
    let ran = init(&web);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // no power cut and no slow start: it writes nothing there
    assert_eq!(
        recipes(&ran.stdout),
        "disk-full inode-exhaustion lost-mount read-only restart shadow-mount tmpfs-full tmpfs-restart"
    );
    assert!(ran.stderr.contains("no power cut of `/usr/share/nginx/html`"), "{}", ran.stderr);
    let ran = init(&db);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        recipes(&ran.stdout),
        "disk-full inode-exhaustion lost-mount power-cut read-only restart shadow-mount slow-start"
    );
    // what the originals serve is asked of the copies: that they run is not that they are at rest
    for (end, served) in [("html-disk-full.yaml", 80), ("data-disk-full.yaml", 5432)] {
        let mut all = std::fs::read_dir(test.path("suite")).unwrap().map(|it| it.unwrap().path());
        let found = all.find(|path| path.to_string_lossy().ends_with(end)).unwrap();
        let text = std::fs::read_to_string(found).unwrap();
        assert!(text.contains("\n  - tcp: { service: "), "{text}");
        assert!(text.contains(&format!(", port: {served} }}")), "{text}");
        assert!(text.contains("\n  - recover: { start: true }\n"), "{text}");
    }
    let ran = test.keelhaul(&["run", "suite", "--jobs", "2"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("16 passed"), "{}", ran.stdout);
}
