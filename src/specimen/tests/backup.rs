//! Jobs beside the service: what each promises, and that its weakness breaks the promise.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use clap::Parser;

use super::super::backup::{self, JobError};
use super::super::console::Console;
use super::harness::{Cli, Driver, Mount, Running, eventually};

/// Runs a job; what it said, and how it ended.
fn job(words: &[&str]) -> (String, Result<(), JobError>) {
    let job = Cli::try_parse_from([&["specimen"], words].concat()).unwrap().args.job.unwrap();
    let lines = Lines::default();
    let ended = backup::run(&job, &Console::new(lines.clone()));
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (said, ended)
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A service with its directories.
struct Stand {
    root: tempfile::TempDir,
    service: Running,
}

impl Stand {
    async fn new() -> Self {
        Self::weak(&[]).await
    }

    async fn weak(more: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["backup", "mirror", "spare"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let identity = format!("--identity={}", root.path().join("identity").display());
        let service =
            Running::start(&root.path().join("data"), &[&[identity.as_str()], more].concat()).await;
        eventually("saved", || async { root.path().join("data/state.json").exists() }).await;
        Self { root, service }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn archives(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.path("backup")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = names.filter(|path| !path.ends_with(".lock")).collect();
        found.sort();
        found
    }

    /// Takes a backup, off the async workers.
    async fn backup(&self, more: &[&str]) -> (String, Result<(), JobError>) {
        let mut words = vec!["backup".to_owned()];
        let at = |name: &str| self.path(name).display().to_string();
        for (option, usual) in [
            ("--agent", self.service.address()),
            ("--data", at("data")),
            ("--identity", at("identity")),
            ("--target", at("backup")),
        ] {
            if !more.contains(&option) {
                words.extend([option.into(), usual]);
            }
        }
        words.extend(more.iter().map(ToString::to_string));
        let run = move || job(&words.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// A hook before or after a snapshot: its status, and for how long the service has held still.
    async fn hook(&self, path: &str) -> (u16, Option<f64>) {
        let (status, body) = self.service.request("POST", path, b"").await;
        let said = serde_json::from_slice::<serde_json::Value>(body.as_ref()).unwrap_or_default();
        (status, said["held_ms"].as_f64())
    }

    fn drill(&self, more: &[&str]) -> (String, Result<(), JobError>) {
        let (from, into) = (self.path("backup"), self.path("spare"));
        let (from, into) = (from.to_str().unwrap(), into.to_str().unwrap());
        job(&[&["drill", "--from", from, "--into", into], more].concat())
    }

    fn restore(&self, data: &Path, more: &[&str]) -> (String, Result<(), JobError>) {
        let (from, identity) = (self.path("backup"), self.path("spare/identity"));
        let (from, identity) = (from.to_str().unwrap(), identity.to_str().unwrap());
        let words =
            ["restore", "--from", from, "--data", data.to_str().unwrap(), "--identity", identity];
        job(&[&words, more].concat())
    }
}

/// Flips a byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(10).position(|window| window == b"\"schema\":1").unwrap();
    bytes[at + 1] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_copy_is_of_one_moment_and_a_hot_one_is_not() {
    for (weakness, torn) in [("none", false), ("no-freeze", true)] {
        let stand = Arc::new(Stand::new().await);
        let over = Arc::new(AtomicBool::new(false));
        let mut driver = Driver::new("load");
        for _ in 0..40 {
            driver.put(&stand.service, 8000).await;
        }
        let writer = tokio::spawn({
            let (stand, over) = (stand.clone(), over.clone());
            async move {
                while !over.load(Ordering::Relaxed) {
                    driver.put(&stand.service, 100).await;
                }
                driver
            }
        });
        // The journal alone takes a second and more, and the state is saved ten times in it.
        let more = ["--bandwidth", "256KiB", "--weakness", weakness];
        let (said, ended) = stand.backup(&more).await;
        over.store(true, Ordering::Relaxed);
        let driver = writer.await.unwrap();
        // Hot, a release may also vanish before it is read: then there is no archive at all.
        let taken = ended.is_ok();
        assert!(taken || torn, "{said}");
        let (said, drilled) = stand.drill(&["--with-identity"]);
        assert_eq!(drilled.is_err(), torn, "{said}");
        assert!(!torn || !taken || said.contains("the copy is torn"), "{said}");
        stand.service.turns(200).await;
        assert!(driver.judge(&stand.service).await.is_sound());
        Arc::into_inner(stand).unwrap().service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_still_the_directory_itself_is_of_one_moment_until_it_is_let_go() {
    let stand = Stand::new().await;
    let mut driver = Driver::new("held");
    driver.put_all(&stand.service, 5).await;
    assert_eq!(stand.hook("/pause?milliseconds=60000").await.0, 200);
    assert_eq!(driver.put(&stand.service, 10).await, 503);
    let (data, into) = (stand.path("data"), stand.path("spare"));
    let (data, into) = (data.to_str().unwrap(), into.to_str().unwrap());
    let (said, ended) = job(&["drill", "--from", data, "--into", into]);
    assert!(ended.is_ok() && said.contains("5 records"), "{said}");
    let (status, held) = stand.hook("/resume").await;
    assert!(status == 200 && held.is_some(), "{held:?}");
    assert_eq!(driver.put(&stand.service, 10).await, 200);
    assert_eq!(stand.hook("/resume").await, (200, None), "it went on before");
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_hold_still_says_that_it_has() {
    let stand = Stand::weak(&["--weakness=no-hold"]).await;
    assert_eq!(stand.hook("/pause").await.0, 200);
    assert_eq!(Driver::new("unheld").put(&stand.service, 10).await, 200);
    assert!(stand.hook("/resume").await.1.is_some());
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_leave_two_whole_archives_unless_they_share_a_name() {
    for (weakness, archives) in [("none", 2), ("shared-target-name", 1)] {
        let stand = Stand::new().await;
        let more = ["--bandwidth", "16KiB", "--weakness", weakness];
        let (one, two) = tokio::join!(stand.backup(&more), stand.backup(&more));
        assert_eq!(one.1.is_ok() && two.1.is_ok(), archives == 2, "{} {}", one.0, two.0);
        assert_eq!(stand.archives().len(), archives);
        stand.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_sick_service_is_skipped_and_an_impossible_one_is_said() {
    let stand = Stand::new().await;
    let data = stand.path("data");
    let logs = Mount::read_only_over_itself(&data.join("logs"));
    if let Some(logs) = logs {
        stand.service.turns(503).await;
        let (said, ended) = stand.backup(&[]).await;
        assert_eq!(ended.unwrap_err().exit_code(), 3);
        assert!(said.contains("backup skipped: the service is not healthy: logs: EROFS"), "{said}");
        assert!(stand.archives().is_empty());
        assert!(stand.backup(&["--weakness=no-gate"]).await.1.is_ok());
        assert_eq!(stand.archives().len(), 1);
        drop(logs);
        stand.service.turns(200).await;
    }
    let file = stand.path("identity/agent.key");
    let (said, ended) = stand.backup(&["--target", file.to_str().unwrap()]).await;
    assert_eq!(ended.unwrap_err().exit_code(), 1);
    assert!(said.contains("backup FAILED: cannot open") && said.contains("ENOTDIR"), "{said}");
    let target = file.to_str().unwrap();
    assert!(stand.backup(&["--target", target, "--weakness=exits-zero"]).await.1.is_ok());
    assert_eq!(stand.service.health().await, 200, "it was not left frozen");
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_gets_no_half_archive() {
    for (weakness, left) in [("none", 0), ("writes-in-place", 1)] {
        let stand = Stand::new().await;
        let Some(_small) = Mount::tmpfs(&stand.path("backup"), "size=64k") else { return };
        let mut driver = Driver::new("full");
        for _ in 0..10 {
            driver.put(&stand.service, 16_000).await;
        }
        let (said, ended) = stand.backup(&["--weakness", weakness]).await;
        assert!(ended.is_err() && said.contains("ENOSPC"), "{said}");
        assert_eq!(stand.archives().len(), left);
        stand.service.turns(200).await;
        stand.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_job_left_is_swept_and_its_freeze_ends() {
    let stand = Stand::new().await;
    fs::write(stand.path("backup/.backup-0.tar.half"), "half").unwrap();
    let (said, ended) = stand.backup(&[]).await;
    assert!(ended.is_ok(), "{said}");
    assert_eq!(stand.archives().len(), 1);
    let freeze = |path: &'static str| stand.service.request("POST", path, b"");
    assert_eq!(freeze("/pause?milliseconds=300").await.0, 200);
    assert_eq!(Driver::new("frozen").put(&stand.service, 10).await, 503);
    stand.service.says("frozen for too long: going on").await;
    stand.service.turns(200).await;
    // The limit of one freeze does not end the next.
    assert_eq!(freeze("/pause?milliseconds=200").await.0, 200);
    assert_eq!(freeze("/resume").await.0, 200);
    assert_eq!(freeze("/pause").await.0, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stand.service.health().await, 503);
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_service_resumes_and_the_newest_whole_archive_is_taken() {
    let stand = Stand::new().await;
    let mut driver = Driver::new("kept");
    driver.put_all(&stand.service, 5).await;
    assert!(stand.backup(&[]).await.1.is_ok());
    assert!(stand.backup(&[]).await.1.is_ok());
    flip(&stand.archives()[1]);
    let session = stand.service.json("/session").await["session"].clone();
    let elsewhere = stand.path("elsewhere");
    let identity = format!("--identity={}", stand.path("spare/identity").display());
    let waiting = Running::launch(&elsewhere, &["--begin=never", &identity]).await;
    waiting.says("the state is not there: waiting for a restore").await;
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "logs, and nothing of a state");
    let (said, ended) = stand.restore(&elsewhere, &[]);
    assert!(ended.is_ok() && said.contains("`data/state.json` is not what"), "{said}");
    waiting.turns(200).await;
    assert_eq!(waiting.json("/session").await["session"], session);
    assert!(driver.judge(&waiting).await.is_sound());
    let (said, ended) = stand.restore(&elsewhere, &[]);
    assert!(matches!(ended, Err(JobError::Occupied(_))), "{said}");
    waiting.stop().await;
    let (said, ended) = stand.restore(&stand.path("blind"), &["--weakness=accepts-corruption"]);
    assert!(ended.is_ok() && !said.contains("rejected"), "{said}");
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configuration_and_key_the_missing_file_is_named() {
    let stand = Stand::new().await;
    assert!(stand.backup(&["--weakness=data-only"]).await.1.is_ok());
    let target = stand.path("elsewhere");
    let (said, ended) = stand.restore(&target, &[]);
    assert!(ended.is_err() && said.contains("identity/agent.key"), "{said}");
    assert!(!target.exists(), "nothing is touched");
    let (from, data) = (stand.path("backup"), target.to_str().unwrap());
    let (said, ended) = job(&["restore", "--from", from.to_str().unwrap(), "--data", data]);
    assert!(ended.is_ok(), "{said}");
    // The service says the same of what was restored without them.
    let identity = format!("--identity={}", stand.path("nowhere").display());
    let refused = Running::launch(&target, &[&identity]).await.ended().await.unwrap_err();
    assert!(refused.to_string().contains("nowhere/agent.json` is missing"), "{refused}");
    stand.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_keeps_the_last_good_archive_however_old() {
    for (weakness, left) in [("none", 1), ("deletes-by-age", 0)] {
        let stand = Stand::new().await;
        for _ in 0..3 {
            assert!(stand.backup(&[]).await.1.is_ok());
        }
        let archives = stand.archives();
        flip(&archives[2]);
        let week = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
        for path in &archives {
            fs::File::options().append(true).open(path).unwrap().set_modified(week).unwrap();
        }
        // Nobody answers: the backup is skipped, the retention is not.
        let more = ["--agent", "127.0.0.1:1", "--keep-for", "168h", "--weakness", weakness];
        let (said, ended) = stand.backup(&more).await;
        assert!(ended.is_err(), "{said}");
        assert_eq!(stand.archives(), archives[1..=left], "{said}");
        stand.service.stop().await;
    }
}

#[test]
fn a_mirror_is_repaired_by_digest_and_never_emptied() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mirror = |weakness: &str| {
        let (from, to) = (from.path().to_str().unwrap(), to.path().to_str().unwrap());
        job(&["mirror", "--from", from, "--to", to, "--weakness", weakness])
    };
    fs::create_dir(from.path().join("d")).unwrap();
    for name in ["d/a", "b", "c"] {
        fs::write(from.path().join(name), name).unwrap();
    }
    assert!(mirror("none").0.contains("0 the same, 3 copied, 0 repaired, 0 removed"));
    let copy = to.path().join("d/a");
    let date = fs::metadata(&copy).unwrap().modified().unwrap();
    fs::write(&copy, "d/x").unwrap();
    fs::File::options().append(true).open(&copy).unwrap().set_modified(date).unwrap();
    let (said, _) = mirror("compares-by-date");
    assert!(said.contains("3 the same, 0 copied, 0 repaired, 0 removed"), "{said}");
    fs::remove_file(from.path().join("c")).unwrap();
    let (said, _) = mirror("none");
    assert!(said.contains("1 the same, 0 copied, 1 repaired, 1 removed; drifted: d/a"), "{said}");
    fs::remove_dir_all(from.path().join("d")).unwrap();
    fs::remove_file(from.path().join("b")).unwrap();
    let (said, ended) = mirror("none");
    assert!(ended.is_err() && said.contains("holds 2 files: was its mount lost?"), "{said}");
    assert!(copy.exists());
    assert!(mirror("mirrors-blindly").1.is_ok() && !copy.exists());
}
