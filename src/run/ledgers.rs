//! A helper link that judges each ledger once, and records what it came to; likewise what was found in
//! states that a power cut would have left.
//!
//! Judging stops the load and reads everything back; probes and the recovery point objective share
//! the one result.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

use super::{event::Event, kept::Kept, recorder::Recorder};
use crate::{
    helper::{Applied, HelperLink, Result},
    ledger::LedgerReport,
    protocol::{Entry, EntryId, LoadCall, LoadReply, Read, Reading, RollbackReport, Undone},
};

/// Between two words of how far an exploration is.
const TELL: Duration = Duration::from_secs(1);

/// Wraps the helper for the length of one case.
pub(super) struct Ledgers {
    helper: Arc<dyn HelperLink>,
    recorder: Recorder,
    case: String,
    attempt: u32,
    /// Explorations that have ended.
    explored: AtomicUsize,
    /// When it was last told how far one is.
    told: Mutex<Option<Instant>>,
    judged: Mutex<BTreeMap<String, Box<LedgerReport>>>,
}

impl Ledgers {
    pub(super) fn new(
        helper: Arc<dyn HelperLink>,
        recorder: Recorder,
        (case, attempt): (String, u32),
    ) -> Self {
        let (explored, told) = (AtomicUsize::new(0), Mutex::default());
        Self { helper, recorder, case, attempt, explored, told, judged: Mutex::default() }
    }

    async fn judge(&self, name: String) -> Result<LoadReply> {
        let known = self.judged().get(&name).cloned();
        if let Some(report) = known {
            return Ok(LoadReply::Ledger(Ok(report)));
        }
        let reply = self.helper.load(LoadCall::Judge { name: name.clone() }).await?;
        if let LoadReply::Ledger(Ok(report)) = &reply {
            self.judged().insert(name.clone(), report.clone());
            self.recorder.emit(Event::LedgerJudged {
                case: self.case.clone(),
                workload: workload(&name),
                report: report.clone(),
            });
        }
        Ok(reply)
    }

    async fn explored(&self, name: String) -> Result<LoadReply> {
        let mut reply = self.helper.load(LoadCall::Explored { name: name.clone() }).await?;
        let LoadReply::Explored(report) = &mut reply else { return Ok(reply) };
        let (case, workload) = (self.case.clone(), workload(&name));
        // however short it was, who draws how far it is has seen it come to its end
        if report.planned > 0 && (report.done || self.is_time_to_tell()) {
            let (case, workload) = (case.clone(), workload.clone());
            self.recorder.emit(Event::Exploring { case, workload, progress: report.progress() });
        }
        if report.done {
            let number = 1 + self.explored.fetch_add(1, Ordering::Relaxed);
            let directory = self.recorder.directory();
            let kept = Kept { directory, case: (&case, self.attempt), state: (&workload, number) };
            kept.bring(self.helper.as_ref(), &name, report).await;
            let report = report.clone();
            self.recorder.emit(Event::Explored { case, workload, report });
        }
        Ok(reply)
    }

    /// Whether the last word of an exploration's progress is old enough; it is new from now on.
    fn is_time_to_tell(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = told.is_none_or(|last| last.elapsed() >= TELL);
        if is_old {
            *told = Some(Instant::now());
        }
        is_old
    }

    fn judged(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Box<LedgerReport>>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load's name is `NUMBER-WORKLOAD`.
fn workload(load: &str) -> String {
    load.split_once('-').map_or(load, |(_, workload)| workload).to_owned()
}

impl HelperLink for Ledgers {
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Reading>> {
        self.helper.read(read)
    }

    fn load(&self, call: LoadCall) -> BoxFuture<'_, Result<LoadReply>> {
        match call {
            LoadCall::Judge { name } => Box::pin(self.judge(name)),
            LoadCall::Explored { name } => Box::pin(self.explored(name)),
            other => self.helper.load(other),
        }
    }

    fn apply(&self, entry: Entry) -> BoxFuture<'_, Result<Applied>> {
        self.helper.apply(entry)
    }

    fn revert(&self, id: EntryId) -> BoxFuture<'_, Result<Undone>> {
        self.helper.revert(id)
    }

    fn rollback(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        self.helper.rollback()
    }

    fn rollback_faults(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        self.helper.rollback_faults()
    }

    fn expired(&self) -> BoxFuture<'_, Result<Vec<Undone>>> {
        self.helper.expired()
    }

    fn lost(&self) -> BoxFuture<'_, String> {
        self.helper.lost()
    }
}
