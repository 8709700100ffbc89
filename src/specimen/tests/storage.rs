//! Records, capacity and logs.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::super::SpecimenError;
use super::harness::{Driver, Mount, Running, eventually};

/// Takes every free byte of the filesystem that holds `dir`.
fn fill_bytes(dir: &Path) {
    let mut file = File::options().append(true).create(true).open(dir.join("filler")).unwrap();
    for size in [4096, 1] {
        while file.write(&vec![b'f'; size]).is_ok() {}
    }
}

/// Takes every free inode; returns how many there were.
fn fill_inodes(dir: &Path) -> usize {
    let made = (0..).take_while(|n| File::create_new(dir.join(format!("filler-{n}"))).is_ok());
    made.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_records_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new("restart");
    for _ in 0..2 {
        let running = Running::start(dir.path(), &[]).await;
        assert_eq!(running.health().await, 200);
        driver.put_all(&running, 30).await;
        let (_, metrics) = running.get("/metrics").await;
        assert!(metrics.contains("specimen_appends_acked_total 30"), "{metrics}");
        assert!(metrics.contains("specimen_state{state=\"RUNNING\"} 1"), "{metrics}");
        assert!(metrics.contains("specimen_free_bytes{dir=\"data\"}"), "{metrics}");
        running.stop().await;
    }
    let running = Running::start(dir.path(), &[]).await;
    let report = driver.judge(&running).await;
    assert!(report.is_sound() && report.acknowledged == 60, "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_exit_takes_acknowledged_records_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new("dirty");
    for (weakness, lost) in [(&["--weakness=dirty-exit"][..], 30), (&[], 30)] {
        let running = Running::start(dir.path(), weakness).await;
        driver.put_all(&running, 30).await;
        running.stop().await;
        let running = Running::start(dir.path(), &[]).await;
        let report = driver.judge(&running).await;
        assert_eq!(report.lost, lost, "{report}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_right_records_are_kept_and_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &[]).await;
    let mut driver = Driver::new("once");
    let record = driver.next(10);
    let line = record.encode();
    let put = |path: &'static str, body: String| {
        let running = &running;
        async move { running.request("PUT", path, body.as_bytes()).await.0 }
    };
    assert_eq!(put("/records/w0-1", line[..line.len() - 1].into()).await, 400, "torn");
    assert_eq!(put("/records/w0-1", line.replace("w0-1", "w0-7")).await, 400, "damaged");
    assert_eq!(put("/records/w0-2", line.clone()).await, 400, "another key");
    assert_eq!(put("/records/w0-1", line.clone()).await, 200);
    assert_eq!(put("/records/w0-1", line.clone()).await, 200, "sent again");
    let other = Driver::new("other").next(10).encode();
    assert_eq!(put("/records/w0-1", other).await, 409);
    assert_eq!(running.get("/records").await.1, format!("{line}\n"));
    assert_eq!(running.request("POST", "/pause", b"").await.0, 200);
    assert_eq!((running.health().await, put("/records/w0-1", line.clone()).await), (503, 503));
    assert_eq!(running.request("POST", "/resume", b"").await.0, 200);
    assert_eq!((running.health().await, put("/records/w0-1", line).await), (200, 200));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut_at_the_start_and_damage_before_it_stays_visible() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new("torn");
    let running = Running::start(dir.path(), &[]).await;
    driver.put_all(&running, 5).await;
    running.stop().await;
    let journal = dir.path().join("journal.log");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[100] ^= 1;
    bytes.extend_from_slice(&driver.next(50).encode().as_bytes()[..60]);
    fs::write(&journal, &bytes).unwrap();
    let running = Running::start(dir.path(), &[]).await;
    assert!(running.console().contains("journal: cut 60 torn bytes"), "{}", running.console());
    let report = driver.judge(&running).await;
    assert_eq!((report.corrupt, report.torn, report.present), (1, 0, 4), "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_lacks_its_last_byte_is_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let line = Driver::new("torn").next(50).encode();
    fs::write(dir.path().join("journal.log"), &line).unwrap();
    let running = Running::start(dir.path(), &[]).await;
    assert_eq!(running.get("/records").await.1, "");
    assert_eq!(running.request("PUT", "/records/w0-1", line.as_bytes()).await.0, 200);
    assert_eq!(running.get("/records").await.1, format!("{line}\n"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_checksum_a_torn_tail_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new("torn");
    let torn = driver.next(50).encode()[..60].to_owned();
    fs::write(dir.path().join("journal.log"), torn).unwrap();
    let running = Running::start(dir.path(), &["--weakness=no-checksum"]).await;
    driver.put_all(&running, 3).await;
    let report = driver.judge(&running).await;
    assert_eq!((report.torn, report.present), (1, 3), "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_below_its_watermark_is_said() {
    let (dir, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let option = format!("--watermark={}", marks.path().display());
    let mut driver = Driver::new("marked");
    let running = Running::start(dir.path(), &[&option]).await;
    driver.put_all(&running, 5).await;
    assert_eq!(running.health().await, 200);
    running.stop().await;
    let journal = dir.path().join("journal.log");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 10]).unwrap();
    let running = Running::launch(dir.path(), &[&option]).await;
    running.says("watermark: the journal has lost").await;
    running.says("state INIT -> ERROR").await;
    assert_eq!(running.health().await, 503);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_refused_named_and_survived() {
    let dir = tempfile::tempdir().unwrap();
    let Some(volume) = Mount::tmpfs(dir.path(), "size=2m") else { return };
    let mut driver = Driver::new("full");
    let running = Running::start(&volume.0, &[]).await;
    driver.put_all(&running, 10).await;
    fill_bytes(&volume.0);
    let mut statuses = Vec::new();
    while !statuses.contains(&507) && statuses.len() < 200 {
        fill_bytes(&volume.0);
        statuses.push(driver.put(&running, 4000).await);
    }
    assert!(statuses.contains(&507), "{statuses:?}");
    running.says("records: ENOSPC (No space left on device)").await;
    fs::remove_file(volume.0.join("filler")).unwrap();
    running.turns(200).await;
    driver.put_all(&running, 10).await;
    let report = driver.judge(&running).await;
    assert!(report.is_sound() && report.failed > 0, "{report}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ignoring_short_writes_loses_and_tears() {
    let dir = tempfile::tempdir().unwrap();
    let Some(volume) = Mount::tmpfs(dir.path(), "size=2m") else { return };
    let mut driver = Driver::new("short");
    let running = Running::start(&volume.0, &["--weakness=ignores-short-writes"]).await;
    driver.put_all(&running, 10).await;
    for _ in 0..20 {
        fill_bytes(&volume.0);
        assert_eq!(driver.put(&running, 3000).await, 200, "it promises all the same");
    }
    fs::remove_file(volume.0.join("filler")).unwrap();
    driver.put_all(&running, 3).await;
    let report = driver.judge(&running).await;
    assert!(report.unreadable() > 0 && report.torn > 0, "{report}");
    running.stop().await;
}

/// Makes a service with many log files and takes every inode.
async fn without_inodes(volume: &Mount, weakness: &[&str]) -> (Running, Driver) {
    let mut more = vec!["--log-rotate-every=2"];
    more.extend(weakness);
    let running = Running::start(&volume.0, &more).await;
    let mut driver = Driver::new("inodes");
    driver.put_all(&running, 80).await;
    assert!(fill_inodes(&volume.0) > 0);
    (running, driver)
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_frees_inodes_while_the_fault_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let Some(volume) = Mount::tmpfs(dir.path(), "size=16m,nr_inodes=400") else { return };
    let (running, mut driver) = without_inodes(&volume, &[]).await;
    running.says("ENOSPC (No space left on device)").await;
    running.turns(200).await;
    // Green must last: more records, more log files, more snapshots, and still no inode back.
    for _ in 0..20 {
        driver.put_all(&running, 5).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(running.health().await, 200, "{}", running.console());
    let reds = running.console().matches("-> ERROR").count();
    assert!(reds <= 3, "no flapping:\n{}", running.console());
    assert!(driver.judge(&running).await.is_sound());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_retention_it_stays_broken_until_the_fault_ends() {
    let dir = tempfile::tempdir().unwrap();
    let Some(volume) = Mount::tmpfs(dir.path(), "size=16m,nr_inodes=400") else { return };
    let (running, driver) = without_inodes(&volume, &["--weakness=no-retention"]).await;
    running.turns(503).await;
    for _ in 0..20 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(running.health().await, 503, "{}", running.console());
    }
    fs::remove_file(volume.0.join("filler-0")).unwrap();
    assert!(driver.judge(&running).await.is_sound(), "the journal needs no inode");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_logs_are_deleted_down_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &["--log-rotate-every=1", "--log-keep=5"]).await;
    Driver::new("keep").put_all(&running, 30).await;
    let logs = dir.path().join("logs");
    let count = || fs::read_dir(&logs).unwrap().count();
    eventually("log files", || async { (5..=6).contains(&count()) }).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_logs_degrade_but_never_stop_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &["--log-rotate-every=2"]).await;
    let mut driver = Driver::new("readonly");
    driver.put_all(&running, 5).await;
    let Some(mount) = Mount::read_only_over_itself(&dir.path().join("logs")) else { return };
    running.turns(503).await;
    running.says("logs: EROFS (Read-only file system)").await;
    driver.put_all(&running, 20).await;
    let health = running.json("/health").await;
    assert_eq!(health["state"], "ERROR");
    assert!(health["errors"]["EROFS"].as_u64() > Some(0), "{health}");
    assert!(health["reason"].as_str().unwrap().contains("logs: EROFS"), "{health}");
    drop(mount);
    running.turns(200).await;
    running.says("logs: ok again").await;
    assert!(driver.judge(&running).await.is_sound());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_weaknesses_exit_and_lie() {
    let dir = tempfile::tempdir().unwrap();
    let more = ["--log-rotate-every=2", "--weakness=exit-on-log-error"];
    let exits = Running::start(dir.path(), &more).await;
    let Some(mount) = Mount::read_only_over_itself(&dir.path().join("logs")) else { return };
    let error = exits.ended().await.unwrap_err();
    assert!(
        matches!(&error, SpecimenError::Log(cause) if cause.raw_os_error() == Some(libc::EROFS))
    );
    let lies = Running::launch(dir.path(), &["--weakness=always-healthy"]).await;
    lies.says("logs: EROFS").await;
    lies.says("state INIT -> ERROR").await;
    let (status, body) = lies.get("/health").await;
    assert!(status == 200 && body.contains("ERROR"), "{status} {body}");
    drop(mount);
    lies.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_no_longer_ours_gets_no_write() {
    for weak in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (data, aside) = (dir.path().join("data"), dir.path().join("aside"));
        fs::create_dir(&data).unwrap();
        let more: &[&str] = if weak { &["--weakness=writes-anywhere"] } else { &[] };
        let service = Running::start(&data, more).await;
        let mut driver = Driver::new("r");
        driver.put_all(&service, 3).await;
        eventually("saved", || async { data.join("state.json").exists() }).await;
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        if weak {
            eventually("written", || async { data.join("state.json").exists() }).await;
        } else {
            service.says("another directory than at the start, and empty of our state").await;
            assert_eq!(driver.put(&service, 100).await, 503);
            service.turns(503).await;
            assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
            fs::remove_dir(&data).unwrap();
            fs::rename(&aside, &data).unwrap();
            service.turns(200).await;
            driver.put_all(&service, 3).await;
            let report = driver.judge(&service).await;
            assert_eq!((report.lost, report.acknowledged), (0, 6), "{report:?}");
        }
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_stays_lost_raises_one_alarm() {
    for weak in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (data, aside) = (dir.path().join("data"), dir.path().join("aside"));
        fs::create_dir(&data).unwrap();
        let weakness = weak.then_some("--weakness=no-mount-check");
        let more: Vec<&str> = ["--mount-alarm-after=300ms"].into_iter().chain(weakness).collect();
        let service = Running::start(&data, &more).await;
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        service.turns(503).await;
        if !weak {
            service.says("ALARM: volume lost for 0.3 s").await;
        }
        sleep(Duration::from_millis(800)).await;
        assert_eq!(service.json("/health").await["mount_alarms"], u8::from(!weak));
        // a write that was under way at the swap may have landed here
        fs::remove_dir_all(&data).unwrap();
        fs::rename(&aside, &data).unwrap();
        service.turns(200).await;
        service.stop().await;
    }
}
