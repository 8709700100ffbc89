//! Replicas that append to one log, with a lock and without.

use std::path::Path;

use super::harness::{Running, eventually};
use crate::ledger::{SharedLog, shared_line};

async fn start(name: &str, data: &Path, shared: &Path, more: &[&str]) -> Running {
    let mut args = vec!["--name", name, "--share-in", shared.to_str().unwrap()];
    args.extend(["--share-every", "5ms", "--share-pause", "2ms"]);
    args.extend(more);
    Running::start(data, &args).await
}

fn log(shared: &Path) -> SharedLog {
    SharedLog::read(&std::fs::read(shared.join("shared.log")).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_lock_records_are_whole_and_what_has_no_end_is_cut() {
    let [one, two, shared] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let torn = &shared_line("dead", 7, "xxxxxxxx")[..20];
    let whole = shared_line("dead", 6, "xxxxxxxx");
    std::fs::write(shared.path().join("shared.log"), format!("{whole}{torn}")).unwrap();
    let first = start("one", one.path(), shared.path(), &[]).await;
    let second = start("two", two.path(), shared.path(), &[]).await;
    let often = |log: &SharedLog| log.writers.values().filter(|count| **count > 5).count() == 2;
    eventually("both", || async { often(&log(shared.path())) }).await;
    let found = log(shared.path());
    assert_eq!((found.writers["dead"], found.broken), (1, Vec::<String>::new()));
    let said = format!("{}{}", first.console(), second.console());
    assert_eq!(said.matches("shared: cut 20 bytes").count(), 1, "{said}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lock_records_get_mixed() {
    let [one, two, shared] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let weak = ["--weakness", "no-lock"];
    let first = start("one", one.path(), shared.path(), &weak).await;
    let second = start("two", two.path(), shared.path(), &weak).await;
    eventually("mixed", || async { !log(shared.path()).broken.is_empty() }).await;
    first.stop().await;
    second.stop().await;
}
