//! Many cases: side by side, again where they fail, and never past the time that was given.

use std::{
    any::Any,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    announce::announce,
    case::{self, Attempt, Ended, Stage},
    event::Event,
    interrupt::{Interrupt, ROLLBACK},
    recorder::Recorder,
    staging::{CLOSING, Staging},
    strikes::Strikes,
};
use crate::{
    helper::HelperLink,
    plan::{Case, needs},
    runtime::Runtime,
    verdict::{Ending, Verdict},
};

/// What a slot works with: an engine and a helper of its own.
pub struct OpenStage {
    /// Value of the run label.
    pub run: String,
    /// The engine.
    pub runtime: Arc<dyn Runtime>,
    /// The helper.
    pub helper: Arc<dyn HelperLink>,
    /// Capabilities that this host lacks, with the reason.
    pub missing: needs::Missing,
    /// Ends the helper; `true` leaves what carries the run's label. An error says what is still
    /// there, and how to finish.
    pub close: Box<dyn FnOnce(bool) -> BoxFuture<'static, Result<(), String>> + Send>,
}

/// What is left of an opening that failed, or was cut off.
pub struct Unopened {
    /// Value of the run label.
    pub run: String,
    /// Ends whatever came of it; an error says what is still there.
    pub end: BoxFuture<'static, Result<(), String>>,
}

/// Where stages come from.
pub trait Stages: Send + Sync {
    /// Opens a stage for a slot.
    fn open(&self, slot: usize) -> BoxFuture<'_, Result<OpenStage, String>>;
    /// What the last opening for a slot may have left, when it came to no stage.
    fn unopened(&self, _slot: usize) -> Option<Unopened> {
        None
    }
}

/// How a suite is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cases side by side.
    pub jobs: usize,
    /// Times a case that did not pass is run again.
    pub retries: u32,
    /// Start no case after this long.
    pub max_time: Option<Duration>,
    /// A lacking capability is a failure.
    pub require: bool,
    /// Roll back, and leave containers, volumes and networks.
    pub keep: bool,
    /// Stop at the first failing step with the faults in force.
    pub hold: bool,
    /// Trace every operation on volumes with an interposer of files.
    pub trace_io: bool,
    /// What faults of an earlier run struck is struck again.
    pub again: Option<Arc<Strikes>>,
}

struct Suite {
    queue: Mutex<VecDeque<Vec<Case>>>,
    options: Options,
    recorder: Recorder,
    interrupt: Interrupt,
    deadline: Option<Instant>,
    verdict: Mutex<Verdict>,
    staging: Staging,
    unstarted: AtomicUsize,
    /// Held by the one case that acts on containers that the run did not make.
    attached: tokio::sync::Mutex<()>,
    /// Held by the one case that starts many containers at once.
    storm: tokio::sync::Mutex<()>,
}

/// Runs every case and returns the verdict of all.
pub async fn run(
    cases: Vec<Case>,
    options: Options,
    stages: &dyn Stages,
    recorder: &Recorder,
    interrupt: &CancellationToken,
) -> (Verdict, Ending) {
    let groups = group_repeats(cases);
    let slots = options.jobs.clamp(1, groups.len().max(1));
    let interrupt_of_all = Interrupt::new(interrupt.clone());
    let suite = Suite {
        staging: Staging::new(recorder, &interrupt_of_all),
        queue: Mutex::new(groups),
        deadline: options.max_time.map(|time| Instant::now() + time),
        options,
        recorder: recorder.clone(),
        interrupt: interrupt_of_all,
        verdict: Mutex::new(Verdict::Pass),
        unstarted: AtomicUsize::new(0),
        attached: tokio::sync::Mutex::default(),
        storm: tokio::sync::Mutex::default(),
    };
    join_all((0..slots).map(|slot| suite.work(slot, stages))).await;
    suite.leave_the_rest();
    let verdict = *suite.verdict.lock().unwrap_or_else(PoisonError::into_inner);
    let ending =
        Ending { rollback_incomplete: suite.staging.left(), interrupted: interrupt.is_cancelled() };
    (verdict, ending)
}

/// Repeats of one case run one after the other: their percentiles are judged by the last.
fn group_repeats(cases: Vec<Case>) -> VecDeque<Vec<Case>> {
    let mut groups: VecDeque<Vec<Case>> = VecDeque::new();
    for case in cases {
        let control = |case: &Case| case.control.as_ref().map(|control| control.name.clone());
        match groups.back_mut() {
            Some(group) if group[0].suite == case.suite && control(&group[0]) == control(&case) => {
                group.push(case);
            }
            _ => groups.push_back(vec![case]),
        }
    }
    groups
}

impl Suite {
    /// One slot: a helper of its own, and groups until none is left.
    async fn work(&self, slot: usize, stages: &dyn Stages) {
        let mut stage: Option<OpenStage> = None;
        while let Some(group) = self.next() {
            let mut earlier = Vec::new();
            for (index, case) in group.iter().enumerate() {
                if self.no_more() {
                    self.never_started(group.len() - index);
                    break;
                }
                if stage.is_none() {
                    stage = self.open(slot, stages).await;
                }
                let Some(open) = &stage else {
                    self.never_started(1);
                    continue;
                };
                let last = index + 1 == group.len();
                if self.one(case, open, &mut earlier, last).await {
                    self.close(stage.take()).await;
                }
            }
        }
        self.close(stage).await;
    }

    /// Whether no further case is started.
    fn no_more(&self) -> bool {
        self.interrupt.came() || self.is_late()
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn next(&self) -> Option<Vec<Case>> {
        if self.no_more() {
            return None;
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn open(&self, slot: usize, stages: &dyn Stages) -> Option<OpenStage> {
        let opened = self.staging.open(slot, stages).await;
        if opened.is_none() {
            self.add(Verdict::Error);
        }
        opened
    }

    async fn close(&self, stage: Option<OpenStage>) {
        if let Some(stage) = stage {
            self.staging.close(stage, self.options.keep).await;
        }
    }

    /// Runs one case; true when the stage is spent.
    async fn one(&self, case: &Case, open: &OpenStage, earlier: &mut Vec<u64>, last: bool) -> bool {
        if let Some(why) = open.missing.of(&case.scenario) {
            let verdict = if self.options.require { Verdict::Fail } else { Verdict::Skipped };
            self.unrun(case, verdict, &why);
            return false;
        }
        // each would measure what the other starts; other cases go on beside it
        let _storm = if case.scenario.storms() { Some(self.storm.lock().await) } else { None };
        // two of them may be on the same container: neither would know what the other does to it
        let _alone = if case.attaches() { Some(self.attached.lock().await) } else { None };
        if self.no_more() {
            self.never_started(1);
            return false;
        }
        let ended = self.attempt(case, open, earlier, last).await;
        self.add(ended.verdict);
        earlier.extend(ended.recovery_us);
        if ended.rollback_incomplete {
            self.staging.leave();
        }
        // what is kept carries the stage's label: the next case needs another
        ended.helper_lost || self.options.keep
    }

    async fn attempt(&self, case: &Case, open: &OpenStage, earlier: &[u64], last: bool) -> Ended {
        let Options { keep, hold, trace_io, ref again, .. } = self.options;
        let again = again.clone();
        let stage = Stage { keep, hold, trace_io, again, ..self.staging.stage(open) };
        let mut number = 1;
        loop {
            let attempt = Attempt { number, earlier, last };
            let run = AssertUnwindSafe(case::run(case.clone(), &attempt, &stage)).catch_unwind();
            let ended = match run.await {
                Ok(ended) => ended,
                Err(panic) => self.panicked(case, open, panic.as_ref()).await,
            };
            let done = matches!(ended.verdict, Verdict::Pass | Verdict::Skipped)
                || number > self.options.retries
                || ended.helper_lost
                || self.options.keep
                || self.no_more();
            if done {
                return ended;
            }
            number += 1;
        }
    }

    /// A bug of ours ends one case, not the reports of all: it is rolled back, and its helper is
    /// not trusted further.
    async fn panicked(&self, case: &Case, open: &OpenStage, panic: &(dyn Any + Send)) -> Ended {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let rollback = self.interrupt.bound(CLOSING, ROLLBACK, open.helper.rollback()).await;
        let verdict = Verdict::Error;
        self.recorder.emit(Event::CaseEnded {
            case: case.id.clone(),
            verdict,
            reasons: vec![format!("{verdict}: keelhaul itself broke: {text}")],
            tolerated: None,
        });
        let rollback_incomplete = !matches!(rollback, Some(Ok(report)) if report.complete());
        Ended { verdict, recovery_us: None, rollback_incomplete, helper_lost: true }
    }

    /// Records a case that this host cannot run.
    fn unrun(&self, case: &Case, verdict: Verdict, why: &str) {
        announce(&self.recorder, case, 1, self.options.again.as_deref());
        self.recorder.emit(Event::CaseEnded {
            case: case.id.clone(),
            verdict,
            reasons: vec![format!("{verdict}: {why}")],
            tolerated: None,
        });
        self.add(verdict);
    }

    /// Counts what is still queued, and says why where the user's own interruption does not.
    fn leave_the_rest(&self) {
        let rest = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.never_started(rest.iter().map(Vec::len).sum());
        if self.unstarted.load(Ordering::Relaxed) > 0 && self.is_late() {
            let text = "the time given by --max-time was over".to_owned();
            self.recorder.emit(Event::Noted { case: None, text });
        }
    }

    /// Cases of which nothing is known are no pass; the reports count them.
    fn never_started(&self, cases: usize) {
        if cases > 0 {
            self.unstarted.fetch_add(cases, Ordering::Relaxed);
            self.add(Verdict::Error);
        }
    }

    fn add(&self, verdict: Verdict) {
        let mut all = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        *all = all.merge(verdict);
    }
}
