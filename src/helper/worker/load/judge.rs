//! What the ledger came to: read everything back, and have the checker compare.

use std::{fs::File, io::BufReader, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    super::{super::HelperError, http::blocking},
    driver::{Load, Target},
    explore::promised,
    way::Way,
};
use crate::{
    ledger::{LedgerReport, Log, Promise, ReadBack, check, whole_records},
    protocol::{Place, Via},
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
/// then. The inner error says why it could not be read back within that time; the outer one says nothing of the
/// service.
pub(super) async fn judge_standing(
    load: &Load,
    acknowledged: u64,
    within: Duration,
) -> Result<Result<LedgerReport, String>, HelperError> {
    let end = Instant::now() + within;
    let refused = |why: String| HelperError::Refused(why);
    let marks = load.marks.clone().ok_or_else(|| refused("this load marks no disk".into()))?;
    let path = load.log_path.clone();
    let log = blocking(move || promised(&path, &marks, acknowledged).map_err(refused)).await?;
    let (log, comes_up_unseen) = (Arc::new(log), comes_up_unseen(&load.spec.via));
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let found = match read_back(load, &load.target, left).await {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let log = Arc::clone(&log);
        let report = blocking(move || Ok(standing(&log, &found, comes_up_unseen))).await?;
        if report.is_sound() || !comes_up_unseen || Instant::now() >= end {
            return Ok(Ok(report));
        }
        sleep(PAUSE).await;
    }
}

/// What is read back is there whether or not the service has come up, and has recovered it.
fn comes_up_unseen(via: &Via) -> bool {
    matches!(via, Via::File { .. } | Via::Command { .. })
}

/// A torn tail is what the service cuts off once it comes to it, where it does not hand the records out itself.
fn standing(log: &Log, found: &[u8], comes_up_unseen: bool) -> LedgerReport {
    let whole = || whole_records(found).last().map_or(0, |(_, end)| end);
    let end = if comes_up_unseen { whole() } else { found.len() };
    check(log, ReadBack::stream(&found[..end]), Promise::Ordered)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Entry, Event, Intent, Record, RecordId};

    #[test]
    fn a_torn_tail_is_cut_off_where_no_service_hands_the_records_out() {
        let id = |sequence| RecordId { writer: 0, sequence };
        let record =
            |sequence, previous| Record::new("r1", id(sequence), "x", 8, previous).unwrap();
        let first = record(0, 0);
        let second = record(1, first.link());
        let event = |event| Entry { at_us: 5, event };
        let entries = vec![
            event(Event::Intent(Intent::from(&first))),
            event(Event::Acknowledged(first.id)),
            event(Event::Intent(Intent::from(&second))),
        ];
        let log = Log { run: "r1".into(), entries, torn: false };
        let (whole, torn) = (format!("{}\n", first.encode()), second.encode());
        let found = format!("{whole}{}", &torn[..torn.len() - 9]);
        assert!(standing(&log, found.as_bytes(), true).is_sound());
        assert!(!standing(&log, found.as_bytes(), false).is_sound());
        assert!(!standing(&log, torn.as_bytes(), true).is_sound(), "the first one is lost");
        let file = Via::File { path: "/data/log".into() };
        let http = Via::Http { port: 80, path: "/".into() };
        assert!(comes_up_unseen(&file) && !comes_up_unseen(&http));
    }
}
