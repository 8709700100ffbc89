//! What the ledger came to: read everything back, and have the checker compare.

use std::{fs::File, io::BufReader, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    driver::{Load, Target},
    explore::promised,
    way::Way,
};
use crate::{
    ledger::{LedgerReport, Log, Promise, ReadBack, check},
    protocol::Place,
};

/// How long reading back may take.
const READING: Duration = Duration::from_secs(60);
/// A subject that has just come back gets so long to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Judges a load that has stopped. The error says why it could not be read back.
pub(super) async fn judge(load: &Load) -> Result<LedgerReport, String> {
    compare(load, &load.target).await
}

/// Judges it by what has arrived at another place, which gets some time until nothing is missing.
pub(super) async fn judge_at(
    load: &Load,
    place: Place,
    within: Duration,
) -> Result<LedgerReport, String> {
    let target = Arc::new(Target::new(place));
    let end = Instant::now() + within;
    loop {
        let report = compare(load, &target).await?;
        if report.unreadable() == 0 || Instant::now() >= end {
            return Ok(report);
        }
        sleep(PAUSE).await;
    }
}

/// Judges what the service gives back that was started on a state of the past, by what was acknowledged
/// then. The error says why it could not be read back within that time.
pub(super) async fn judge_standing(
    load: &Load,
    acknowledged: u64,
    within: Duration,
) -> Result<LedgerReport, String> {
    let found = read_back(load, &load.target, within).await?;
    let marks = load.marks.clone().ok_or("this load marks no disk")?;
    let path = load.log_path.clone();
    let compare = move || -> Result<LedgerReport, String> {
        let log = promised(&path, &marks, acknowledged)?;
        Ok(check(&log, ReadBack::stream(&found), Promise::Ordered))
    };
    tokio::task::spawn_blocking(compare).await.map_err(|error| error.to_string())?
}

async fn compare(load: &Load, target: &Arc<Target>) -> Result<LedgerReport, String> {
    let found = read_back(load, target, PATIENCE).await?;
    let path = load.log_path.clone();
    let compare = move || -> Result<LedgerReport, String> {
        let file = File::open(&path).map_err(|error| format!("the ledger's log: {error}"))?;
        let log = Log::read(BufReader::new(file)).map_err(|error| error.to_string())?;
        Ok(check(&log, ReadBack::stream(&found), Promise::Ordered))
    };
    tokio::task::spawn_blocking(compare).await.map_err(|error| error.to_string())?
}

async fn read_back(load: &Load, target: &Arc<Target>, within: Duration) -> Result<Vec<u8>, String> {
    let end = Instant::now() + within;
    loop {
        let mut way = Way::new(&load.spec.via, Arc::clone(target));
        match timeout(READING, way.read_back()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) if Instant::now() >= end => return Err(reason),
            Ok(Err(_)) => sleep(PAUSE).await,
            Err(_) => return Err(format!("not read back within {} s", READING.as_secs())),
        }
    }
}
