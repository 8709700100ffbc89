//! Entries on their way in: undo durable, acts, outcomes.

use super::{
    super::{Applied, HelperError},
    late::undone_before,
    state::{Keeper, locked},
};
use crate::{
    failpoint,
    journal::Record,
    protocol::{Entry, EntryId, Op, Outcome},
};

impl Keeper {
    /// Makes the undo durable, and does nothing yet.
    pub(super) async fn begin(&self, entry: Entry) -> Result<EntryId, HelperError> {
        let _act = self.gate.read().await;
        self.refuse_when_lost()?;
        let id = self.book.pend(&entry).await?;
        locked(&self.begun).insert(id, entry);
        Ok(id)
    }

    /// Performs one op of an entry that was begun.
    pub(super) async fn act_of(&self, id: EntryId, op: usize) -> Result<Outcome, HelperError> {
        let _act = self.gate.read().await;
        self.refuse_when_lost()?;
        let op = locked(&self.begun).get(&id).and_then(|entry| entry.ops.get(op).cloned());
        let op =
            op.ok_or_else(|| HelperError::Refused(format!("entry {} has no such op", id.0)))?;
        self.perform(id, &op).await
    }

    async fn perform(&self, id: EntryId, op: &Op) -> Result<Outcome, HelperError> {
        let outcome = self.act(id, op).await?;
        failpoint::acted();
        Ok(outcome)
    }

    /// Every op of the entry is done.
    pub(super) fn end(&self, id: EntryId, outcomes: Vec<Outcome>) -> Applied {
        locked(&self.begun).remove(&id);
        self.book.note(Record::Applied { id, outcomes: outcomes.clone() });
        Applied { id, outcomes }
    }

    /// The whole of an entry without engine ops. What was done of one that fails is undone.
    pub(super) async fn apply(&self, entry: Entry) -> Result<Applied, HelperError> {
        let id = {
            let _act = self.gate.read().await;
            self.refuse_when_lost()?;
            let id = self.book.pend(&entry).await?;
            match self.perform_all(id, &entry.ops).await {
                Ok(outcomes) if !self.has_begun_to_end(id) => return Ok(self.end(id, outcomes)),
                Ok(_) => (id, undone_before(id)),
                // a lost worker: everything is being reverted, this entry included
                Err(error @ HelperError::Lost(_)) => return Err(error),
                Err(error) => (id, error),
            }
        };
        let (id, error) = id;
        let undone = self.undo(id, &[]).await;
        match undone.problems.first() {
            None => Err(error),
            Some(problem) => Err(HelperError::Refused(format!(
                "{error}; and what was done of it could not be undone: {problem}"
            ))),
        }
    }

    async fn perform_all(&self, id: EntryId, ops: &[Op]) -> Result<Vec<Outcome>, HelperError> {
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            outcomes.push(self.perform(id, op).await?);
        }
        Ok(outcomes)
    }
}
