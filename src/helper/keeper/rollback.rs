//! The way back: one entry, or all of them in reverse.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::{
    super::{HelperError, wire::WorkerAsk},
    class::{
        Class, Scope, chains, class, goes_with_a_volume, lets_go, letting_go, undo_of, within,
    },
    engine::Engine,
    late::MAY_COME,
    state::{Keeper, locked},
};
use crate::{
    failpoint,
    journal::{self, Record},
    protocol::{EngineOp, EntryId, EntryState, FileCutOp, Op, RollbackReport, Undone},
};

/// How long acts in progress get to end by themselves.
const QUIESCE: Duration = Duration::from_millis(400);
/// The journal's file in the run's directory.
pub(super) const JOURNAL: &str = "journal.log";
/// Bytes of the journal that fit into one answer with room to spare, quoted twice over.
const COPY: usize = 2 << 20;
/// How long an absent or hanging engine is asked again, every second, before its ops are left to
/// `recover`: more than one op may hang.
const ENGINE_WAIT: Duration = Duration::from_secs(75);

/// An entry that is to be undone: what it was for, and what undoes it.
type Open = (EntryId, String, Vec<Op>);

/// What became of one undo op.
enum End {
    Done,
    Waits,
    Failed(String),
    /// It failed, and did not take long over it.
    Refused(String),
}

impl From<HelperError> for End {
    fn from(error: HelperError) -> Self {
        match error {
            HelperError::Lost(_) | HelperError::Timeout { .. } => Self::Failed(error.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// How the undo of one entry goes.
#[derive(Default)]
struct Progress {
    problems: Vec<String>,
    pending: Vec<Op>,
    /// Ops that are not part of the scope stay.
    left: bool,
    /// A volume still takes no changes, and may still be settling what a power cut has left.
    fenced: bool,
    /// An act of the entry may still come, and everything is undone once more then.
    may_come: bool,
}

impl Progress {
    fn fail(&mut self, op: &Op, problem: String) {
        self.fenced |= matches!(op, Op::CutFiles(FileCutOp::Lift { .. }));
        self.problems.push(problem);
    }

    /// Whether this op is not to be done now: nothing starts on a volume that is still being settled,
    /// whichever entry has fenced it. That is said, or the entry would be closed without it. And what is
    /// another thing each time it is done waits for the last time.
    fn is_kept_from(&mut self, op: &Op, fenced: &BTreeSet<String>) -> bool {
        let Some(container) = started_by(op).filter(|it| fenced.contains(*it)) else {
            return self.may_come && matches!(op, Op::Engine(EngineOp::Restart { .. }));
        };
        if !self.fenced {
            let short = container.get(..12).unwrap_or(container);
            let why = "a volume of it takes no changes yet";
            self.problems.push(format!("container `{short}` is not started: {why}"));
        }
        true
    }
}

/// The container that an op starts.
fn started_by(op: &Op) -> Option<&str> {
    match op {
        Op::Engine(EngineOp::Start { container } | EngineOp::Restart { container, .. }) => {
            Some(container)
        }
        _ => None,
    }
}

impl Keeper {
    /// Undoes one entry, in the order its ops are written. Idempotent. Waits for whoever undoes
    /// something else only where it is not to let others go on. Where an act of it is still under way or was
    /// given up, and comes soon, it is undone once more.
    pub(super) async fn undo(&self, id: EntryId, done: &[EngineOp]) -> Undone {
        let undone = self.undo_once(id, done).await;
        if !self.late().contains(&id) || self.await_over(&[id]).await.is_empty() {
            return undone;
        }
        self.undo_once(id, done).await
    }

    async fn undo_once(&self, id: EntryId, done: &[EngineOp]) -> Undone {
        let Some((what, ops)) = self.undo_of(id) else { return nothing_to_undo(id) };
        let may_come = !self.no_more_acts(slice::from_ref(&id)).is_empty();
        let mut progress = Progress { may_come, ..Progress::default() };
        let (mut blocked, mut alone) = (false, None);
        for op in ops {
            if alone.is_none() && !lets_go(&op) {
                alone = Some(self.undoing.lock().await);
                // whoever was waited for may have done it
                if self.undo_of(id).is_none() {
                    return nothing_to_undo(id);
                }
            }
            self.step((id, op), done, &mut blocked, &mut progress).await;
        }
        self.close_entry(id, what, progress)
    }

    /// Undoes everything in a scope: kernel ops first, in reverse, side by side where they concern
    /// different containers; then engine ops, and then what lies under containers, each in reverse.
    pub(super) async fn roll_back(&self, scope: Scope, done: &[EngineOp]) -> RollbackReport {
        self.no_more_acts(&concerned(&self.open(), scope));
        self.let_go().await;
        let _alone = self.undoing.lock().await;
        let entries = self.open();
        let mut progress: BTreeMap<EntryId, Progress> = BTreeMap::new();
        let late = self.no_more_acts(&concerned(&entries, scope));
        if !late.is_empty() {
            // what is under way of what is undone ends early where it can
            let _ = self.worker().call(WorkerAsk::Cancel, QUIESCE, "a cancellation").await;
        }
        let refused = self.kernel_passes(&entries, late, &mut progress).await;
        self.engine_passes(&entries, (scope, done), &mut progress).await;
        // what could not be reached may have gone with its volume
        for (id, op) in refused {
            if let End::Failed(why) | End::Refused(why) = self.undo_op(id, &op, &[]).await {
                progress.entry(id).or_default().fail(&op, why);
            }
        }
        let undone = entries.into_iter().filter_map(|(id, what, ops)| {
            let progress = progress.remove(&id).unwrap_or_default();
            let untouched = progress.left && ops.iter().all(|op| !within(op, scope));
            (!untouched).then(|| self.close_entry(id, what, progress))
        });
        let report = RollbackReport { undone: undone.collect() };
        if let Err(error) = self.book.sync().await {
            tracing::error!(%error, "the journal cannot be synced");
        }
        report
    }

    /// Every op of the engine and then what lies under containers: a device is journaled after the promise
    /// to remove those, and must outlive them.
    async fn engine_passes(
        &self,
        entries: &[Open],
        (scope, done): (Scope, &[EngineOp]),
        progress: &mut BTreeMap<EntryId, Progress>,
    ) {
        let mut blocked = false;
        for pass in [Class::Engine, Class::After] {
            for (id, _, ops) in entries {
                let progress = progress.entry(*id).or_default();
                for op in ops.iter().filter(|op| class(op) == pass) {
                    if within(op, scope) {
                        self.step((*id, op.clone()), done, &mut blocked, progress).await;
                    } else {
                        progress.left = true;
                    }
                }
            }
        }
    }

    /// Every kernel op, once, and once more those of entries with a late act that has come since. Back what
    /// was refused and may go with a volume.
    async fn kernel_passes(
        &self,
        entries: &[Open],
        late: Vec<EntryId>,
        progress: &mut BTreeMap<EntryId, Progress>,
    ) -> Vec<(EntryId, Op)> {
        let mut refused = self.kernel_pass(entries, progress).await;
        let over = self.await_over(&late).await;
        if !over.is_empty() {
            let again: Vec<Open> =
                entries.iter().filter(|(id, ..)| over.contains(id)).cloned().collect();
            progress.retain(|id, _| !over.contains(id));
            refused.retain(|(id, _)| !over.contains(id));
            refused.extend(self.kernel_pass(&again, progress).await);
        }
        for id in late.into_iter().filter(|id| !over.contains(id)) {
            progress.entry(id).or_default().may_come = true;
        }
        refused
    }

    /// Lets go on whoever waits for a fault, another undo among them. How that went counts when it is
    /// done again in its turn.
    async fn let_go(&self) {
        let of_entry = |(id, _, ops): Open| ops.into_iter().map(move |op| (id, op));
        let ops = self.open().into_iter().flat_map(of_entry).filter(|(_, op)| lets_go(op));
        let ops = ops.map(|(id, op)| (id, letting_go(op)));
        join_all(ops.map(|(id, op)| async move { self.undo_op(id, &op, &[]).await })).await;
    }

    /// What is not undone, last first.
    fn open(&self) -> Vec<Open> {
        let open = self.book.view().open_entries();
        let undo = |id| self.undo_of(id).map(|(what, ops)| (id, what, ops));
        open.into_iter().filter_map(undo).collect()
    }

    /// Every kernel op, once; back what was refused and may go with a volume.
    async fn kernel_pass(
        &self,
        entries: &[Open],
        progress: &mut BTreeMap<EntryId, Progress>,
    ) -> Vec<(EntryId, Op)> {
        let ops: Vec<(EntryId, Vec<Op>)> =
            entries.iter().map(|(id, _, ops)| (*id, ops.clone())).collect();
        let passes = chains(&ops).into_iter().map(|chain| async move {
            let mut ends = Vec::with_capacity(chain.len());
            for (id, op) in chain {
                let end = self.undo_op(id, &op, &[]).await;
                ends.push((id, op, end));
            }
            ends
        });
        let mut refused = Vec::new();
        for (id, op, end) in join_all(passes).await.into_iter().flatten() {
            match end {
                End::Done | End::Waits => {}
                End::Refused(_) if goes_with_a_volume(&op) => refused.push((id, op)),
                End::Failed(problem) | End::Refused(problem) => {
                    progress.entry(id).or_default().fail(&op, problem);
                }
            }
        }
        refused
    }

    /// One op; what must wait for an engine op that waits is put back too.
    async fn step(
        &self,
        (id, op): (EntryId, Op),
        done: &[EngineOp],
        blocked: &mut bool,
        progress: &mut Progress,
    ) {
        if progress.is_kept_from(&op, &self.fenced()) {
            return;
        }
        let end = if *blocked && class(&op) == Class::After {
            End::Waits
        } else {
            self.undo_op(id, &op, done).await
        };
        match end {
            End::Done => {}
            End::Waits => {
                *blocked = true;
                progress.pending.push(op);
            }
            End::Failed(problem) | End::Refused(problem) => {
                *blocked |= class(&op) == Class::Engine;
                progress.fail(&op, problem);
            }
        }
    }

    async fn undo_op(&self, id: EntryId, op: &Op, done: &[EngineOp]) -> End {
        let fence = self.fence(id, op);
        let withdraws = matches!(op, Op::DisarmRules { .. } | Op::Power(_) | Op::Insertion(_));
        let _in_turn = if withdraws { Some(self.withdrawing.lock().await) } else { None };
        let end = match op {
            Op::Engine(op) if done.contains(op) => End::Done,
            Op::Engine(op) => self.engine_op(op).await,
            op => match self.act_back(op).await {
                Ok(_) => End::Done,
                // the worker died of it, or beside it: once more with another one
                Err(HelperError::Lost(_)) => match self.act_back(op).await {
                    Ok(_) => End::Done,
                    Err(error) => error.into(),
                },
                Err(error) => error.into(),
            },
        };
        failpoint::undone();
        if let (Some(fence), End::Done) = (fence, &end) {
            locked(&self.fenced).remove(&fence);
        }
        end
    }

    /// Until this op is done, if it lifts a fence, nobody starts the containers that its entry starts after
    /// it: under what name that is kept.
    fn fence(&self, id: EntryId, op: &Op) -> Option<(EntryId, String)> {
        let Op::CutFiles(FileCutOp::Lift { interposer }) = op else { return None };
        let (_, ops) = self.undo_of(id)?;
        let containers = ops.iter().filter_map(started_by).map(str::to_owned).collect();
        let fence = (id, interposer.clone());
        locked(&self.fenced).insert(fence.clone(), containers);
        Some(fence)
    }

    /// Containers with a volume that is still being settled.
    fn fenced(&self) -> BTreeSet<String> {
        locked(&self.fenced).values().flatten().cloned().collect()
    }

    async fn engine_op(&self, op: &EngineOp) -> End {
        match self.engine.perform(op).await {
            Engine::Done => End::Done,
            Engine::Waits => End::Waits,
            Engine::Failed(problem) => End::Failed(problem),
        }
    }

    fn undo_of(&self, id: EntryId) -> Option<(String, Vec<Op>)> {
        let view = self.book.view();
        let slot = view.slots.get(&id)?;
        let open = slot.state != EntryState::Undone;
        open.then(|| (slot.entry.what.clone(), undo_of(slot)))
    }

    /// Records what became of it. It is not undone where an act of it could still come when its undo began.
    fn close_entry(&self, id: EntryId, what: String, progress: Progress) -> Undone {
        let Progress { mut problems, pending, left, may_come, .. } = progress;
        if may_come {
            problems.push(MAY_COME.to_owned());
        }
        if !left {
            if problems.is_empty() && pending.is_empty() {
                self.is_undone(id);
            }
            locked(&self.begun).remove(&id);
            self.book.note(Record::Undone {
                id,
                problems: problems.clone(),
                pending: pending.clone(),
            });
        }
        Undone { id, what, problems, pending }
    }

    /// Lets nothing new begin, and waits until nothing is in progress; what does not end by itself
    /// ends with its worker.
    pub(super) async fn quiesce(&self, reason: &str) {
        self.lose(reason);
        if self.gate.try_write().is_ok() {
            return;
        }
        let worker = self.worker();
        let _ = worker.call(WorkerAsk::Cancel, QUIESCE, "a cancellation").await;
        if timeout(QUIESCE, self.gate.write()).await.is_err() {
            tracing::warn!("an act does not end: its worker is killed");
            worker.kill();
            worker.died().await;
            // whoever waited for an act says first that it was given up
            let _ = timeout(QUIESCE, self.gate.write()).await;
        }
    }

    /// Nobody is left who could want anything: undoes everything, and closes the journal if that
    /// worked. Returns whether it did.
    pub(super) async fn revert_all(&self, reason: &str) -> bool {
        self.quiesce(reason).await;
        let end = Instant::now() + ENGINE_WAIT;
        loop {
            let report = self.roll_back(Scope::All, &[]).await;
            let waits = report.undone.iter().any(|undone| !undone.pending.is_empty());
            let late = report.undone.iter().flat_map(|undone| &undone.problems);
            let late = late.into_iter().any(|problem| problem == MAY_COME);
            let waits = late || waits && self.engine.possible();
            let again = waits && Instant::now() < end;
            for undone in &report.undone {
                tracing::info!(id = undone.id.0, what = %undone.what, problems = ?undone.problems, "undone");
            }
            if !again {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        self.close().await.is_ok()
    }

    /// Makes sure that nothing but the run's own objects is left to undo, and that the journal says
    /// so on disk: what is open then waits for `recover`.
    pub(super) async fn leave(&self) -> Result<(), HelperError> {
        let open = self.book.view().open_entries();
        let faults = open.into_iter().filter_map(|id| self.undo_of(id));
        let faults = faults.filter(|(_, ops)| ops.iter().any(|op| within(op, Scope::Faults)));
        let names: Vec<String> = faults.map(|(what, _)| what).collect();
        if !names.is_empty() {
            return Err(HelperError::Refused(format!("not undone: {}", names.join(", "))));
        }
        self.book.sync().await
    }

    /// What the journal says on disk, a record a line.
    pub(super) async fn journal(&self) -> Result<String, HelperError> {
        self.book.sync().await?;
        let path = self.options.dir.join(JOURNAL);
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(|error| {
            HelperError::Refused(format!("cannot read `{}`: {error}", path.display()))
        })?;
        Ok(journal::lines(&bytes, COPY))
    }

    /// Closes the journal, when nothing is left to undo.
    pub(super) async fn close(&self) -> Result<(), HelperError> {
        let open = self.book.view().open_entries().len();
        if open > 0 {
            return Err(HelperError::Refused(format!("{open} entries are not undone")));
        }
        if self.late().into_iter().any(|id| !self.is_over(id)) {
            return Err(HelperError::Refused(MAY_COME.to_owned()));
        }
        if !self.book.view().closed {
            self.book.note(Record::Closed {});
        }
        self.book.sync().await
    }
}

/// Entries that a rollback undoes anything of.
fn concerned(entries: &[Open], scope: Scope) -> Vec<EntryId> {
    let any = |ops: &[Op]| ops.iter().any(|op| within(op, scope));
    entries.iter().filter(|(_, _, ops)| any(ops)).map(|(id, ..)| *id).collect()
}

fn nothing_to_undo(id: EntryId) -> Undone {
    let what = format!("entry {}", id.0);
    Undone { id, what, problems: Vec::new(), pending: Vec::new() }
}
