//! The configuration is followed through its replacement, with events and without.

use super::harness::{Running, eventually};

async fn serves(running: &Running, value: &str) {
    let what = format!("config {value}: {}", running.console());
    eventually(&what, || async { running.json("/config").await["value"] == value }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_over_is_taken_over_by_event_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.conf");
    let config = file.to_str().unwrap();
    let running = Running::start(dir.path(), &["--config", config, "--config-poll", "600s"]).await;
    running.says("config: watched").await;
    for value in ["blue", "green"] {
        let (status, _) = running.request("PUT", &format!("/config/{value}"), b"").await;
        assert_eq!(status, 200);
        serves(&running, value).await;
    }
    // In place, too.
    std::fs::write(&file, "red\n").unwrap();
    serves(&running, "red").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_polled() {
    let dir = tempfile::tempdir().unwrap();
    let later = dir.path().join("later");
    let file = later.join("agent.conf");
    let config = file.to_str().unwrap();
    let running = Running::start(dir.path(), &["--config", config, "--config-poll", "50ms"]).await;
    running.says("config: ENOENT (No such file or directory): polling every 50ms").await;
    std::fs::create_dir(&later).unwrap();
    std::fs::write(&file, "blue\n").unwrap();
    serves(&running, "blue").await;
    running.says("config: watched").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_there_is_no_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &[]).await;
    assert_eq!(running.get("/config").await.0, 404);
    running.stop().await;
}
