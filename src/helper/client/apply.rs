//! Entries in and out, with engine ops done by whoever reaches the engine.

use super::{
    super::{
        Applied, HelperError, Result,
        wire::{Answer, Ask},
    },
    helper::{Inner, QUICK, SLOW},
};
use crate::{
    failpoint,
    protocol::{EngineOp, Entry, EntryId, Op, Outcome, RollbackReport, Undone},
    runtime::RuntimeError,
};

/// Each round does at least one engine op that the keeper could not.
const ROUNDS: usize = 64;

fn odd<T>(answer: &Answer) -> Result<T> {
    Err(HelperError::Refused(format!("the keeper answered out of turn: {answer:?}")))
}

impl Inner {
    pub(super) async fn apply(&self, entry: Entry) -> Result<Applied> {
        self.refuse_when_lost()?;
        if !entry.ops.iter().any(|op| matches!(op, Op::Engine(_))) {
            let link = self.link().await?;
            return match link.call(Ask::Apply(entry), SLOW, "apply an entry").await? {
                Answer::Applied(applied) => {
                    failpoint::journal_written();
                    failpoint::acted();
                    Ok(applied)
                }
                other => odd(&other),
            };
        }
        let ops = entry.ops.clone();
        let link = self.link().await?;
        let id = match link.call(Ask::Begin(entry), QUICK, "begin an entry").await? {
            Answer::Begun(id) => id,
            other => return odd(&other),
        };
        failpoint::journal_written();
        match self.perform(id, &ops).await {
            Ok(outcomes) => {
                match link.call(Ask::End { id, outcomes }, QUICK, "end an entry").await? {
                    Answer::Applied(applied) => Ok(applied),
                    other => odd(&other),
                }
            }
            Err(error @ HelperError::Lost(_)) => Err(error),
            Err(error) => match self.revert(id).await {
                Ok(undone) if undone.problems.is_empty() && undone.pending.is_empty() => Err(error),
                left => Err(HelperError::Refused(format!(
                    "{error}; and what was done of it could not be undone: {left:?}"
                ))),
            },
        }
    }

    async fn perform(&self, id: EntryId, ops: &[Op]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ops.len());
        for (at, op) in ops.iter().enumerate() {
            self.refuse_when_lost()?;
            let outcome = match op {
                Op::Engine(op) => {
                    if !(failpoint::vacuous() && is_fault(op)) {
                        self.engine_op(op).await?;
                    }
                    Outcome::Done
                }
                _ => {
                    let link = self.link().await?;
                    match link.call(Ask::Act { id, op: at }, SLOW, "an op").await? {
                        Answer::Acted(outcome) => outcome,
                        other => return odd(&other),
                    }
                }
            };
            failpoint::acted();
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn engine_op(&self, op: &EngineOp) -> Result<()> {
        let Some(engine) = &self.engine else {
            return Err(HelperError::Refused("there is no engine here".into()));
        };
        engine.perform(op).await.map_err(|error| HelperError::Refused(error.to_string()))
    }

    pub(super) async fn revert(&self, id: EntryId) -> Result<Undone> {
        let mut done = Vec::new();
        loop {
            let ask = Ask::Undo { id, done: done.clone() };
            let mut undone = match self.link().await?.call(ask, SLOW, "undo an entry").await? {
                Answer::Undone(undone) => undone,
                other => return odd(&other),
            };
            failpoint::undone();
            if done.len() >= ROUNDS || !self.help(&mut undone, &mut done).await {
                return Ok(undone);
            }
        }
    }

    pub(super) async fn rollback(&self, faults_only: bool) -> Result<RollbackReport> {
        let mut done = Vec::new();
        let mut earlier: Vec<Undone> = Vec::new();
        loop {
            let ask = Ask::Rollback { faults_only, done: done.clone() };
            let report = match self.link().await?.call(ask, SLOW, "roll back").await? {
                Answer::Rollback(report) => report,
                other => return odd(&other),
            };
            failpoint::undone();
            let mut again = false;
            for mut undone in report.undone {
                again |= done.len() < ROUNDS && self.help(&mut undone, &mut done).await;
                earlier.retain(|known| known.id != undone.id);
                earlier.push(undone);
            }
            if !again {
                return Ok(RollbackReport { undone: earlier });
            }
        }
    }

    /// Does the engine ops that the keeper could not; whether there is reason to ask again.
    async fn help(&self, undone: &mut Undone, done: &mut Vec<EngineOp>) -> bool {
        let mut helped = false;
        for op in undone.pending.clone() {
            let Op::Engine(op) = op else { continue };
            if done.contains(&op) {
                continue;
            }
            let Some(engine) = &self.engine else { return helped };
            match engine.perform(&op).await {
                Ok(()) | Err(RuntimeError::Gone { .. }) => {
                    done.push(op);
                    helped = true;
                }
                Err(error) => undone.problems.push(error.to_string()),
            }
        }
        helped
    }
}

/// Engine ops that are faults; what sets a run up stays real under the vacuity switch.
fn is_fault(op: &EngineOp) -> bool {
    matches!(
        op,
        EngineOp::Pause { .. }
            | EngineOp::Kill { .. }
            | EngineOp::Recreate { .. }
            | EngineOp::RunFromCommit { .. }
            | EngineOp::ReplaceVolume { .. }
            | EngineOp::Stop { .. }
            | EngineOp::Restart { .. }
            | EngineOp::LimitMemory { .. }
            | EngineOp::Disconnect { .. }
    )
}
