//! A record of what the subject has promised, and whether it kept it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Error, Time, session::Session};
use crate::{ledger::LedgerReport, protocol::LoadStats, run::LiveError};

/// Between two looks at a load.
const EVERY: Duration = Duration::from_millis(50);

/// Checksummed records that are being written to the subject; what it has acknowledged it must still
/// have.
#[must_use = "nothing is proven until it is judged"]
pub struct Ledger {
    session: Arc<Session>,
    name: String,
}

impl Ledger {
    pub(super) fn new(session: Arc<Session>, name: String) -> Self {
        Self { session, name }
    }

    /// Its counters as they are now.
    ///
    /// # Errors
    /// When the helper does not answer.
    pub async fn stats(&self) -> Result<LoadStats, Error> {
        let name = self.name.clone();
        self.session.on(|live| async move { live.load(&name).await }).await
    }

    /// Waits until so many more records were acknowledged than now: before a fault, so that there is
    /// something to lose; after it, so that the subject serves again.
    ///
    /// # Errors
    /// When they were not, in time.
    pub async fn acknowledged(&self, records: u64, within: impl Into<Time>) -> Result<(), Error> {
        let within = within.into().read()?;
        let (name, goal) = (self.name.clone(), self.stats().await?.acknowledged + records);
        let came = self.session.on(|live| async move {
            let end = Instant::now() + within;
            loop {
                let acknowledged = live.load(&name).await?.acknowledged;
                if acknowledged >= goal || Instant::now() >= end {
                    return Ok::<u64, LiveError>(acknowledged);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        let acknowledged = came.await?;
        if acknowledged >= goal {
            return Ok(());
        }
        let why = format!("{acknowledged} of {goal} records were acknowledged within {within:?}");
        Err(Error::Unmet(why))
    }

    /// Stops, reads everything back, and judges: nothing acknowledged may be lost, damaged or
    /// reordered, and something must have been acknowledged.
    ///
    /// # Errors
    /// When a promise was broken; when the records cannot be read back.
    pub async fn judge(self) -> Result<LedgerReport, Error> {
        let name = self.name.clone();
        let report = self.session.on(|live| async move { live.judge_load(&name).await }).await?;
        let kept = report.is_sound() && report.acknowledged > 0;
        if kept { Ok(report) } else { Err(Error::Lost(report.to_string())) }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({})", self.name)
    }
}
