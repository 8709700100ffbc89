//! Session, state and the ways to start and stop.

use std::fs;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::super::console::Console;
use super::super::health::{Health, State};
use super::super::{SpecimenError, serve};
use super::harness::{Cli, DEADLINE, Driver, Running, args, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_from_the_volume() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(dir.path(), &[]).await;
    let session = first.json("/session").await;
    assert_eq!((&session["resumed"], &session["starts"]), (&false.into(), &1.into()));
    first.stop().await;
    let second = Running::start(dir.path(), &[]).await;
    let again = second.json("/session").await;
    assert_eq!(again["session"], session["session"]);
    assert_eq!((&again["resumed"], &again["starts"]), (&true.into(), &2.into()));
    assert_eq!(again["lost_state"], false);
    assert!(second.console().contains("resumed session"));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_on_a_tmpfs_is_lost_by_a_restart_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().join("run");
    let option = format!("--runtime-state={}", runtime.display());
    for (weakness, lost) in [(None, false), (Some("--weakness=tmpfs-state"), true)] {
        let data = dir.path().join(format!("data-{lost}"));
        let more: Vec<&str> = [option.as_str()].into_iter().chain(weakness).collect();
        fs::create_dir_all(&runtime).unwrap();
        let first = Running::start(&data, &more).await;
        eventually("saved", || async { data.join("initialised").exists() }).await;
        first.stop().await;
        fs::remove_dir_all(&runtime).unwrap();
        fs::create_dir_all(&runtime).unwrap();
        let second = Running::start(&data, &more).await;
        let session = second.json("/session").await;
        assert_eq!((&session["lost_state"], &session["resumed"]), (&lost.into(), &(!lost).into()));
        assert_eq!(second.json("/health").await["lost_state"], lost);
        assert_eq!(second.console().contains("previous state lost"), lost);
        let (_, metrics) = second.get("/metrics").await;
        let count = format!("specimen_lost_state_total {}", u8::from(lost));
        assert!(metrics.contains(&count), "{metrics}");
        second.stop().await;
    }
    let refused = Running::launch(dir.path(), &["--weakness=tmpfs-state"]).await.ended().await;
    assert!(matches!(refused, Err(SpecimenError::NoRuntimeState)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_state_is_refused_not_misread() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state.json");
    fs::write(&state, r#"{"schema":2,"anything":"else"}"#).unwrap();
    let error = Running::launch(dir.path(), &[]).await.ended().await.unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
    assert!(fs::read_to_string(&state).unwrap().contains("anything"), "left as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_storage_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "not a directory").unwrap();
    let running = Running::launch(&data, &[]).await;
    running.says("start: ").await;
    let (status, body) = running.get("/health").await;
    assert!(status == 503 && body.contains("INIT"), "{status} {body}");
    let record = Driver::new("early").next(4);
    let put = running.request("PUT", "/records/w0-1", record.encode().as_bytes()).await;
    assert_eq!(put.0, 503);
    fs::remove_file(&data).unwrap();
    running.turns(200).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layer_state_puts_the_journal_beside_the_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (data, layer) = (dir.path().join("data"), dir.path().join("layer"));
    let option = format!("--layer-dir={}", layer.display());
    let more = [option.as_str(), "--weakness=layer-state"];
    let mut driver = Driver::new("layer");
    let first = Running::start(&data, &more).await;
    driver.put_all(&first, 5).await;
    first.stop().await;
    assert!(layer.join("journal.log").exists() && !data.join("journal.log").exists());
    fs::remove_dir_all(&layer).unwrap();
    let second = Running::start(&data, &more).await;
    assert_eq!(driver.judge(&second).await.lost, 5);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_signal_ends_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    // Registered here first, so that an early signal cannot end the test instead.
    let _guard = signal(SignalKind::terminate()).unwrap();
    let task = tokio::spawn(serve(args(dir.path(), &[])));
    let end = Instant::now() + DEADLINE;
    while !task.is_finished() && Instant::now() < end {
        sleep(Duration::from_millis(200)).await;
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
    }
    task.await.unwrap().unwrap();
}

#[test]
fn a_missing_heartbeat_turns_health_red_without_anyone_asking_the_disk() {
    let health = Health::new(Console::new(std::io::sink()), Duration::from_millis(20));
    health.enter(State::Running);
    assert_eq!(health.view().state, State::Running);
    std::thread::sleep(Duration::from_millis(200));
    let view = health.view();
    assert_eq!(view.state, State::Error);
    assert!(view.reason.unwrap().contains("heartbeat overdue"));
    health.beat();
    assert_eq!(health.view().state, State::Running);
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let error = |args: &[&str]| {
        let all = ["specimen"].iter().chain(args);
        Cli::try_parse_from(all).err().expect("refused").to_string()
    };
    assert!(error(&["--weakness", "no-retenton"]).contains("no-retention"), "did you mean");
    assert!(error(&["--heartbeat", "0s"]).contains("is not a time"));
    assert!(error(&["--heartbeat", "soon"]).contains("hint: write"));
    assert!(error(&["--log-keep", "0"]).contains("log-keep"));
}
