//! An agent and its controller: beats, delivery, and waiting for each other.

use super::harness::{Driver, Running, eventually};

/// A quick agent of this controller.
fn quick(controller: &str) -> Vec<String> {
    let pairs = [
        ("--controller", controller),
        ("--beat-every", "100ms"),
        ("--retry-first", "20ms"),
        ("--retry-most", "80ms"),
    ];
    pairs.iter().map(|(option, value)| format!("{option}={value}")).collect()
}

async fn launch(dir: &std::path::Path, options: &[String], more: &[&str]) -> Running {
    let all: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Running::launch(dir, &all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_reaches_the_controller_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start(&dir.path().join("hub"), &["--beat-every=100ms"]).await;
    let (data, options) = (dir.path().join("data"), quick(&hub.address()));
    let mut driver = Driver::new("delivered");
    for round in 1..=2 {
        let agent = launch(&data, &options, &[]).await;
        agent.says("-> RUNNING").await;
        driver.put_all(&agent, 20).await;
        let all = format!("{} records", round * 20);
        eventually(&all, || async { driver.judge(&hub).await.lost == 0 }).await;
        agent.stop().await;
        // as after a crash before it was saved: everything is sent once more
        std::fs::remove_file(data.join("delivered")).unwrap();
    }
    let report = driver.judge(&hub).await;
    assert_eq!((report.duplicated, report.phantom, report.reordered), (0, 0, 0));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_is_marked_and_one_that_returns_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for (more, marked) in [(&[][..], true), (&["--weakness=never-marked"][..], false)] {
        let all: Vec<&str> =
            ["--beat-every=100ms"].into_iter().chain(more.iter().copied()).collect();
        let hub = Running::start(&dir.path().join(format!("hub-{marked}")), &all).await;
        let data = dir.path().join(format!("data-{marked}"));
        let agent = launch(&data, &quick(&hub.address()), &[]).await;
        hub.says("agent agent: INIT -> RUNNING").await;
        agent.stop().await;
        eventually("silent for long", || async {
            hub.json("/agents").await["agent"]["missed"].as_u64() >= Some(10)
        })
        .await;
        assert_eq!(hub.console().contains("RUNNING -> OFFLINE"), marked);
        let agent = launch(&data, &quick(&hub.address()), &[]).await;
        agent.says("-> RUNNING").await;
        assert_eq!(hub.json("/agents").await["agent"]["state"], "RUNNING");
        agent.stop().await;
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_controller_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = quick(&nobody.local_addr().unwrap().to_string());
    drop(nobody);
    let agent = launch(&dir.path().join("waits"), &options, &[]).await;
    for pause in ["in 20 ms", "in 40 ms", "in 80 ms"] {
        agent.says(pause).await;
    }
    assert_eq!(agent.health().await, 503);
    agent.stop().await;
    let weak = launch(&dir.path().join("weak"), &options, &["--weakness=no-retry"]).await;
    assert!(weak.ended().await.is_err());
}
