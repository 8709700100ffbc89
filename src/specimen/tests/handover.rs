//! A volume that goes from leader to leader: nothing acknowledged is lost on the way, and nobody
//! keeps records beside the one who leads.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::harness::{Driver, Running, eventually};

/// One of several on a volume. Its name is its address: on one machine ports tell them apart.
async fn member(root: &Path, name: &str, more: &[&str]) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let own = format!("--name={address}");
    let shared = format!("--elect-in={}", root.join("shared").display());
    let all: Vec<&str> = [own.as_str(), shared.as_str(), "--hand-over", "--lease=1s"]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let running = Running::launch_on(listener, &root.join(name), &all).await;
    running.says("-> RUNNING").await;
    running
}

async fn leads(one: &Running, term: u64) {
    one.says(&format!("election: leads term {term}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_leader_kept_the_next_one_has_and_each_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = member(dir.path(), "first", &[]).await;
    leads(&first, 1).await;
    let standby = member(dir.path(), "standby", &[]).await;
    let mut driver = Driver::new("handed-over");
    driver.put_all(&standby, 20).await;
    assert_eq!(driver.judge(&first).await.lost, 0, "they were handed on");
    assert_eq!(standby.get("/records").await.0, 503, "a follower keeps none");
    first.stop().await;
    driver.put_all(&standby, 20).await;
    leads(&standby, 2).await;
    let report = driver.judge(&standby).await;
    assert_eq!((report.acknowledged, report.lost, report.duplicated), (40, 0, 0), "{report:?}");
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_naive_follower_refuses_until_the_lease_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = member(dir.path(), "first", &[]).await;
    leads(&first, 1).await;
    let standby = member(dir.path(), "standby", &["--reconnect=naive"]).await;
    let mut driver = Driver::new("naive");
    driver.put_all(&standby, 5).await;
    first.stop().await;
    assert_ne!(driver.put(&standby, 10).await, 200);
    eventually("the standby leads", || async { standby.json("/health").await["leads"] == 2 }).await;
    driver.put_all(&standby, 5).await;
    let report = driver.judge(&standby).await;
    assert_eq!((report.acknowledged, report.lost, report.duplicated), (10, 0, 0), "{report:?}");
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_term_is_over_keeps_nothing_unless_it_leads_for_ever() {
    for (weakness, status) in [("none", 503), ("leads-for-ever", 200)] {
        let dir = tempfile::tempdir().unwrap();
        let weakness = format!("--weakness={weakness}");
        let first = member(dir.path(), "first", &["--reconnect=naive", &weakness]).await;
        leads(&first, 1).await;
        let mut driver = Driver::new("fenced");
        driver.put_all(&first, 5).await;
        // as after a pause that was longer than the lease: nobody answers there
        std::fs::write(dir.path().join("shared/term-2"), "127.0.0.1:1 0\n").unwrap();
        assert_eq!(driver.put(&first, 10).await, status);
        first.stop().await;
    }
}
