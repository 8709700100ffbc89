//! Stages opened and ended, each within its time; what may be left is named with the command that
//! removes it. What runs on them is not known here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    case::Stage,
    event::Event,
    interrupt::{CLOSE, Interrupt, REVERTS},
    recorder::Recorder,
    suite::{OpenStage, Stages, Unopened},
};

/// Starting a helper makes an image, a volume and a container.
const OPENING: Duration = Duration::from_secs(120);

/// Ending one removes them.
pub(super) const CLOSING: Duration = Duration::from_secs(60);

/// Opens stages, and remembers whether any of them left something.
pub(super) struct Staging {
    recorder: Recorder,
    interrupt: Interrupt,
    left: AtomicBool,
}

impl Staging {
    pub(super) fn new(recorder: &Recorder, interrupt: &Interrupt) -> Self {
        let (recorder, interrupt) = (recorder.clone(), interrupt.clone());
        Self { recorder, interrupt, left: AtomicBool::new(false) }
    }

    /// A stage for a slot; none, where it cannot be had, with the reason in the events.
    pub(super) async fn open(&self, slot: usize, stages: &dyn Stages) -> Option<OpenStage> {
        // the rest of the time is for the end of what came of it
        let opened = match self.interrupt.bound(OPENING, REVERTS, stages.open(slot)).await {
            Some(opened) => opened,
            None => Err("the helper did not start in time".to_owned()),
        };
        let error = match opened {
            Ok(stage) => return Some(stage),
            Err(error) => error,
        };
        self.recorder.emit(Event::Noted { case: None, text: error });
        if let Some(Unopened { run, end }) = stages.unopened(slot) {
            self.ended(&run, end).await;
        }
        None
    }

    /// Ends a stage; with `keep`, what carries its label stays.
    pub(super) async fn close(&self, stage: OpenStage, keep: bool) {
        self.ended(&stage.run, (stage.close)(keep)).await;
    }

    /// What a case is given to run on.
    pub(super) fn stage(&self, open: &OpenStage) -> Stage {
        Stage {
            run: open.run.clone(),
            runtime: Arc::clone(&open.runtime),
            helper: Arc::clone(&open.helper),
            recorder: self.recorder.clone(),
            interrupt: self.interrupt.clone(),
            keep: false,
            hold: false,
            trace_io: false,
            again: None,
            by_hand: false,
        }
    }

    /// Something may be left of a case.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether something may be left.
    pub(super) fn left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Waits for the end of a helper; where something may be left, the command that removes it is
    /// named.
    async fn ended(&self, run: &str, end: BoxFuture<'static, Result<(), String>>) {
        let problem = match self.interrupt.bound(CLOSING, CLOSE, end).await {
            Some(Ok(())) => return,
            Some(Err(error)) => error,
            None => "the helper did not end in time".to_owned(),
        };
        let text = format!("{problem}; `keelhaul recover {run}` finishes it");
        self.recorder.emit(Event::Noted { case: None, text });
        self.leave();
    }
}
