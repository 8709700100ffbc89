//! Acts that were given up, and may still come: a call that waits in the kernel for a filesystem outlives
//! whoever asked for it, and a process that was killed lasts until its last call returns.
//!
//! What such an act does comes after its undo. So its entry stays open until nothing of it is left,
//! and until an undo that began after that.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep},
};

use super::{
    super::wire::WorkerAnswer,
    state::{Keeper, locked},
};
use crate::{
    host::process::Identity,
    protocol::{EntryId, EntryState},
};

/// How long an undo waits for such an act: what it waited for was mostly undone just now.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Between two looks of whoever waits for nothing else.
const TICK: Duration = Duration::from_millis(100);

/// Why an entry stays open.
pub(super) const MAY_COME: &str = "it was given up while the kernel had not let go of it, and may still \
     come after its undo\n\nhint: `keelhaul recover` the run when it has come";

/// An act that was given up.
#[derive(Debug)]
pub(super) enum Late {
    /// Of a worker of ours: over when it is answered, or when that has gone to the last thread.
    Asked { answer: oneshot::Receiver<WorkerAnswer>, gone: watch::Receiver<bool> },
    /// Of workers of an earlier keeper.
    Earlier(Vec<Identity>),
}

impl Late {
    fn is_over(&mut self) -> bool {
        match self {
            Self::Asked { answer, gone } => match answer.try_recv() {
                Ok(_) => {
                    // it is asked again, and there is one answer
                    *self = Self::Earlier(Vec::new());
                    true
                }
                Err(_) => *gone.borrow(),
            },
            Self::Earlier(workers) => !workers.iter().any(|worker| worker.has_threads()),
        }
    }
}

impl Keeper {
    /// An act of this entry was given up.
    pub(super) fn give_up(&self, id: EntryId, late: Late) {
        tracing::warn!(id = id.0, "an act was given up, and may still come");
        locked(&self.late).entry(id).or_default().push(late);
    }

    /// What earlier workers may still do is any act of which no end is known.
    pub(super) fn give_up_earlier(&self, workers: &[Identity]) {
        if workers.is_empty() {
            return;
        }
        let open: Vec<EntryId> = {
            let view = self.book.view();
            let pending = view.slots.iter().filter(|(_, slot)| slot.state == EntryState::Pending);
            pending.map(|(id, _)| *id).collect()
        };
        open.into_iter().for_each(|id| self.give_up(id, Late::Earlier(workers.to_vec())));
    }

    /// Whether no act of this entry can come any more.
    pub(super) fn is_over(&self, id: EntryId) -> bool {
        let mut late = locked(&self.late);
        late.get_mut(&id).is_none_or(|acts| acts.iter_mut().all(Late::is_over))
    }

    /// Entries with an act that was given up, and was not seen to be undone since it has ended.
    pub(super) fn late(&self) -> Vec<EntryId> {
        locked(&self.late).keys().copied().collect()
    }

    /// It was undone after its last act.
    pub(super) fn is_undone(&self, id: EntryId) {
        locked(&self.late).remove(&id);
    }

    /// Waits for acts of these entries that were given up; those that can come no more.
    pub(super) async fn await_over(&self, entries: &[EntryId]) -> BTreeSet<EntryId> {
        let end = Instant::now() + PATIENCE;
        loop {
            let over = entries.iter().copied().filter(|id| self.is_over(*id));
            let over: BTreeSet<EntryId> = over.collect();
            if over.len() == entries.len() || Instant::now() >= end {
                return over;
            }
            sleep(LOOK).await;
        }
    }
}

/// Undoes once more what has come after its undo; the rollback does where that fails.
pub(super) async fn mind_the_late(keeper: Arc<Keeper>) {
    let mut tried = BTreeSet::new();
    loop {
        sleep(TICK).await;
        for id in keeper.late() {
            if keeper.is_over(id) && tried.insert(id) {
                let undone = keeper.undo(id, &[]).await;
                tracing::info!(id = id.0, problems = ?undone.problems, "what came late was undone");
            }
        }
    }
}
