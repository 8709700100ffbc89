//! Hard links: broken, refused, trusted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::harness::{Mount, Running, eventually};

/// What a restore or a copying tool does: the same bytes under the same name, another inode.
fn copy_and_replace(path: &Path) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    fs::rename(&copy, path).unwrap();
}

/// Waits until readers get a version published after `version`.
async fn advances(running: &Running, version: u64) {
    eventually("a newer release", || async {
        let reading = running.json("/release").await;
        reading["version"].as_u64() > Some(version) && reading["stale"] == false
    })
    .await;
}

async fn version(running: &Running) -> u64 {
    running.json("/release").await["version"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_name_is_noticed_and_linked_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &[]).await;
    let current = dir.path().join("current.dat");
    let seen = version(&running).await;
    copy_and_replace(&current);
    running.says("hard link diverged: current.dat is another file now").await;
    running.turns(200).await;
    advances(&running, seen).await;
    let reading = running.json("/release").await;
    assert_eq!((&reading["inode_matches"], &reading["nlink"]), (&true.into(), &2.into()));
    let (_, metrics) = running.get("/metrics").await;
    assert!(!metrics.contains("specimen_links_diverged_total 0"), "{metrics}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_or_altered_name_is_restored_from_what_was_published() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &["--release-every=1h"]).await;
    let (status, body) = running.request("PUT", "/release", b"second").await;
    assert_eq!(status, 200);
    let published: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let restored = || async {
        let reading = running.get("/release").await;
        reading.0 == 200
            && serde_json::from_str::<serde_json::Value>(&reading.1).unwrap() == published
    };
    assert!(restored().await);
    fs::remove_file(dir.path().join("current.dat")).unwrap();
    running.says("hard link diverged: current.dat cannot be read: ENOENT").await;
    eventually("restored", restored).await;
    let number = &published["version"];
    let old = r#"{"version":1,"content":"old"}"#;
    fs::write(dir.path().join(format!("releases/{number}.dat")), old).unwrap();
    running.says("hard link diverged: current.dat holds version 1").await;
    eventually("restored", restored).await;
    running.turns(200).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_links_are_refused_a_copy_does() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &[]).await;
    // The same filesystem through another mount: link() says EXDEV.
    let Some(mount) = Mount::over_itself(&dir.path().join("releases")) else { return };
    running.says("hard link refused: EXDEV").await;
    advances(&running, version(&running).await).await;
    running.turns(200).await;
    assert_eq!(running.json("/release").await["inode_matches"], false);
    drop(mount);
    eventually("linked again", || async {
        running.json("/release").await["inode_matches"] == true
    })
    .await;
    running.turns(200).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_trusts_identity_serves_stale_content_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), &["--weakness=trusts-link-identity"]).await;
    advances(&running, version(&running).await).await;
    copy_and_replace(&dir.path().join("current.dat"));
    let frozen = version(&running).await;
    eventually("stale", || async { running.json("/release").await["stale"] == true }).await;
    eventually("far behind", || async {
        running.json("/release").await["expected"].as_u64() > Some(frozen + 5)
    })
    .await;
    assert_eq!(version(&running).await, frozen);
    assert_eq!(running.health().await, 200, "and says nothing");
    assert!(!running.console().contains("diverged"));
    running.stop().await;
}

/// Puts an overlay over `at`, so that its files are in a lower layer from now on.
fn overlay(at: &Path, scratch: &Path) -> Option<Mount> {
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    for dir in [&upper, &work] {
        fs::create_dir_all(dir).unwrap();
    }
    Mount::overlay(at, &upper, &work)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_up_breaks_the_link_and_only_the_hardened_one_recovers() {
    for (weakness, stale) in [(None, false), (Some("--weakness=trusts-link-identity"), true)] {
        let (dir, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let releases = dir.path().join("published");
        let option = format!("--release-dir={}", releases.display());
        // Nothing may be published between the mount and the copy-up.
        let own = [option.as_str(), "--release-every=1h"];
        let more: Vec<&str> = own.into_iter().chain(weakness).collect();
        let running = Running::start(&dir.path().join("data"), &more).await;
        let Some(mount) = overlay(&releases, scratch.path()) else { return };
        // Any change of metadata copies this name up, and not the other.
        let current = releases.join("current.dat");
        fs::set_permissions(&current, fs::Permissions::from_mode(0o640)).unwrap();
        if !stale {
            running.says("hard link diverged").await;
        }
        assert_eq!(running.request("PUT", "/release", b"after the copy-up").await.0, 200);
        let reading = running.json("/release").await;
        assert_eq!(reading["stale"], stale, "{reading}");
        assert_eq!(reading["content"] == "after the copy-up", !stale, "{reading}");
        assert_eq!(running.console().contains("hard link diverged"), !stale);
        drop(mount);
        if !stale {
            eventually("restored", || async { running.json("/release").await == reading }).await;
            running.turns(200).await;
        }
        running.stop().await;
    }
}
