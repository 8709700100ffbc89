//! Acts that may still come: those under way, and those that were given up. A call that waits in the kernel
//! for a filesystem outlives whoever asked for it, and a process that was killed lasts until its last call
//! returns.
//!
//! What such an act does comes after its undo. So its entry stays open until nothing of it is left,
//! and until an undo that began after that. No act of an entry begins once it is being undone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep},
};

use super::{
    super::{HelperError, wire::WorkerAnswer},
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
pub(super) const MAY_COME: &str = "an act of it has not ended yet, and may still come after its \
     undo\n\nhint: `keelhaul recover` the run when it has come";

/// Acts that may still come, by their entry.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// How many there have been.
    count: u64,
    late: BTreeMap<EntryId, Vec<Late>>,
    /// Entries whose undo has begun.
    undone: BTreeSet<EntryId>,
}

/// An act that may still come.
#[derive(Debug)]
pub(super) enum Late {
    /// It is waited for: which one.
    UnderWay(u64),
    /// Of a worker of ours: over when it is answered, or when that has gone to the last thread.
    Asked { answer: oneshot::Receiver<WorkerAnswer>, gone: watch::Receiver<bool> },
    /// Of workers of an earlier keeper.
    Earlier(Vec<Identity>),
}

impl Late {
    fn is_over(&mut self) -> bool {
        match self {
            Self::UnderWay(_) => false,
            Self::Asked { answer, gone } => match answer.try_recv() {
                Ok(_) => {
                    // it is asked again, and there is one answer
                    *self = Self::ended();
                    true
                }
                Err(_) => *gone.borrow(),
            },
            Self::Earlier(workers) => !workers.iter().any(|worker| worker.has_threads()),
        }
    }

    /// One that has come.
    fn ended() -> Self {
        Self::Earlier(Vec::new())
    }
}

impl Acts {
    fn is_over(&mut self, id: EntryId) -> bool {
        self.late.get_mut(&id).is_none_or(|acts| acts.iter_mut().all(Late::is_over))
    }
}

impl Keeper {
    /// An act of this entry begins; by what comes back it is said to have ended.
    ///
    /// # Errors
    /// When the entry is being undone: what began now would come after that.
    pub(super) fn begins(&self, id: EntryId) -> Result<u64, HelperError> {
        let mut acts = locked(&self.acts);
        if acts.undone.contains(&id) {
            return Err(undone_before(id));
        }
        acts.count += 1;
        let act = acts.count;
        acts.late.entry(id).or_default().push(Late::UnderWay(act));
        Ok(act)
    }

    /// It has ended, or was given up. One that ended after the undo of its entry began may have come
    /// after it: it stays, until that is done once more.
    pub(super) fn ends(&self, id: EntryId, act: u64, late: Option<Late>) {
        let mut acts = locked(&self.acts);
        let undone = acts.undone.contains(&id);
        let Some(of_entry) = acts.late.get_mut(&id) else { return };
        of_entry.retain(|one| !matches!(one, Late::UnderWay(this) if *this == act));
        if late.is_some() {
            tracing::warn!(id = id.0, "an act was given up, and may still come");
        }
        of_entry.extend(late.or_else(|| undone.then(Late::ended)));
        if of_entry.is_empty() {
            acts.late.remove(&id);
        }
    }

    /// No act of these entries begins from now on; those with one that may still come.
    pub(super) fn no_more_acts(&self, entries: &[EntryId]) -> Vec<EntryId> {
        let mut acts = locked(&self.acts);
        acts.undone.extend(entries);
        entries.iter().copied().filter(|id| !acts.is_over(*id)).collect()
    }

    /// Whether the undo of this entry has begun.
    pub(super) fn has_begun_to_end(&self, id: EntryId) -> bool {
        locked(&self.acts).undone.contains(&id)
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
        let mut acts = locked(&self.acts);
        for id in open {
            acts.late.entry(id).or_default().push(Late::Earlier(workers.to_vec()));
        }
    }

    /// Whether no act of this entry can come any more.
    pub(super) fn is_over(&self, id: EntryId) -> bool {
        locked(&self.acts).is_over(id)
    }

    /// Entries with an act under way, or with one that was not seen to be undone since it has ended.
    pub(super) fn late(&self) -> Vec<EntryId> {
        locked(&self.acts).late.keys().copied().collect()
    }

    /// It was undone after its last act.
    pub(super) fn is_undone(&self, id: EntryId) {
        locked(&self.acts).late.remove(&id);
    }

    /// Waits for acts of these entries; those of which none can come any more.
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

/// Why nothing of an entry begins any more.
pub(super) fn undone_before(id: EntryId) -> HelperError {
    HelperError::Refused(format!("entry {} was undone before all of it was done", id.0))
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
