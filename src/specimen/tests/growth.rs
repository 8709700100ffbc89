//! Temporary data stays bounded, and a log that cannot be written blocks nobody.

use std::path::Path;

use super::harness::{Driver, Mount, Running, eventually};

const QUICK: [&str; 6] = ["--temp-every", "10ms", "--temp-ttl", "100ms", "--temp-sweep", "50ms"];

fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("temp")).map_or(0, Iterator::count)
}

async fn metric(running: &Running, name: &str) -> u64 {
    let (_, text) = running.get("/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_live_no_longer_than_they_may() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("temp")).unwrap();
    let left = dir.path().join("temp/left-by-an-earlier-start.tmp");
    std::fs::write(&left, "x").unwrap();
    let running = Running::start(dir.path(), &QUICK).await;
    eventually("deleted", || async {
        metric(&running, "specimen_temp_deleted_total").await > 20 && !left.exists()
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_to_live_they_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&QUICK[..], &["--weakness", "no-ttl"]].concat();
    let running = Running::start(dir.path(), &args).await;
    eventually("a pile", || async { count(dir.path()) > 100 }).await;
    assert_eq!(metric(&running, "specimen_temp_deleted_total").await, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_volume_blocks_records_only_with_the_weakness() {
    for weak in [false, true] {
        let (dir, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(mount) = Mount::tmpfs(logs.path(), "size=64k") else { return };
        let path = mount.0.to_str().unwrap().to_owned();
        // one file, so that there is nothing to delete
        let mut args = vec!["--logs", &path, "--log-rotate-every", "1000000"];
        if weak {
            args.extend(["--weakness", "logs-block-writes"]);
        }
        let running = Running::start(dir.path(), &args).await;
        // as much as goes in
        let _ = std::fs::write(mount.0.join("filler"), vec![0; 1 << 20]);
        running.says("logs: ENOSPC").await;
        // the last page of the log has room for some lines more
        let mut driver = Driver::new("run");
        let mut blocked = false;
        for _ in 0..600 {
            blocked = blocked || driver.put(&running, 100).await != 200;
        }
        assert_eq!(blocked, weak, "{}", running.console());
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_filesystem_raises_one_alarm_while_it_fills_up() {
    for weak in [false, true] {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(mount) = Mount::tmpfs(other.path(), "size=1m") else { return };
        let path = mount.0.to_str().unwrap().to_owned();
        let mut args = vec!["--watch-room", &path, "--room-alarm-at", "80"];
        if weak {
            args.extend(["--weakness", "no-headroom-alarm"]);
        }
        let running = Running::start(dir.path(), &args).await;
        std::fs::write(mount.0.join("layer"), vec![0; 900 << 10]).unwrap();
        let looks = metric(&running, "specimen_heartbeats_total").await + 3;
        eventually("looked", || async {
            metric(&running, "specimen_heartbeats_total").await >= looks
        })
        .await;
        let alarms = running.console().matches("ALARM: 8").count();
        assert_eq!(alarms, usize::from(!weak), "{}", running.console());
        running.stop().await;
    }
}
