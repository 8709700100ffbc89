//! The world as a helper: entries with their undo, load, expiry, loss. What a test wants to go wrong
//! is a field of the world.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use tokio::time::{Duration, Instant};

use super::{Fake, World};
use crate::{
    helper::{Applied, HelperError, HelperLink, Result},
    protocol::{
        Backing, Entry, EntryId, ExploreReport, LoadCall, LoadReply, LoadStats, Op, Outcome, Read,
        Reading, RollbackReport, Undone,
    },
    runtime::{Runtime, fake::FakeRuntime},
};

/// What is journaled, and what goes wrong.
#[derive(Default)]
pub(crate) struct Keeper {
    /// Engine ops are done here; without it they only count as done.
    pub(crate) engine: Option<Arc<FakeRuntime>>,
    /// Ops of faults do nothing, and answer that they did.
    pub(crate) vacuous: bool,
    /// No undo works.
    pub(crate) stuck: bool,
    /// Readings, or undoing, never come back.
    pub(crate) silent_reads: bool,
    pub(crate) silent_undo: bool,
    /// Calls of loads never come back.
    pub(crate) silent_loads: bool,
    /// What was found in states that a cut would have left.
    pub(crate) explored: ExploreReport,
    /// What is kept of one of them.
    pub(crate) kept: Vec<u8>,
    /// Expired entries are kept in force.
    pub(crate) lazy: bool,
    /// Acknowledged by every load, per second.
    pub(crate) pace: u32,
    /// Why the helper is lost.
    pub(crate) lost: Option<String>,
    /// How often what is dropped from the page cache is read again before anybody looks.
    pub(crate) reread: u32,
    entries: Vec<(Instant, bool)>,
    load: Option<(Instant, f64)>,
}

impl World {
    fn drop_cache(&mut self) {
        match self.keeper.reread {
            0 => self.pages.resident = 0,
            _ => self.keeper.reread -= 1,
        }
    }
}

impl Keeper {
    fn stats(&mut self, base: &LoadStats) -> LoadStats {
        let now = Instant::now();
        let elapsed_us = |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap();
        let Some((last, count)) = self.load.as_mut() else { return base.clone() };
        *count += f64::from(self.pace) * now.duration_since(*last).as_secs_f64();
        *last = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a test's load"
        )]
        let acknowledged = *count as u64;
        // what the load's age counts from does not matter, as long as it is the same
        let age = self.entries.first().map_or(0, |(at, _)| elapsed_us(*at));
        LoadStats { elapsed_us: age, acknowledged, attempted: acknowledged, ..base.clone() }
    }
}

impl Fake {
    /// Ends the helper.
    pub(crate) fn lose(&self, why: &str) {
        self.world().keeper.lost = Some(why.to_owned());
        self.lost.cancel();
    }

    /// Entries that are not undone.
    pub(crate) fn open_entries(&self) -> Vec<String> {
        let world = self.world();
        let entries = world.applied.iter().zip(&world.keeper.entries);
        entries.filter(|(_, (_, undone))| !undone).map(|(entry, _)| entry.what.clone()).collect()
    }

    fn refuse_when_lost(&self) -> Result<()> {
        let lost = self.world().keeper.lost.clone();
        lost.map_or(Ok(()), |why| Err(HelperError::Lost(why)))
    }

    async fn perform(&self, ops: &[Op]) -> Result<()> {
        let engine = self.world().keeper.engine.clone();
        for op in ops {
            if let (Op::Engine(op), Some(engine)) = (op, &engine) {
                let done = engine.perform(op).await;
                done.map_err(|error| HelperError::Refused(error.to_string()))?;
            }
            if matches!(op, Op::DropCache { .. }) {
                self.world().drop_cache();
            }
        }
        Ok(())
    }

    async fn undo(&self, at: usize) -> Undone {
        if self.world().keeper.silent_undo {
            return future::pending().await;
        }
        let entry = self.world().applied[at].clone();
        let mut problems = Vec::new();
        let undone = self.world().keeper.entries[at].1;
        if self.world().keeper.stuck {
            problems.push("EBUSY".to_owned());
        } else if !undone {
            problems.extend(self.perform(&entry.undo).await.err().map(|error| error.to_string()));
            self.world().keeper.entries[at].1 = true;
        }
        let id = EntryId(at as u64 + 1);
        Undone { id, what: entry.what, problems, pending: Vec::new() }
    }

    fn open(&self) -> Vec<usize> {
        let world = self.world();
        let entries = world.keeper.entries.iter().enumerate();
        entries.filter(|(_, (_, undone))| !undone).map(|(at, _)| at).collect()
    }

    async fn expire(&self) -> Vec<Undone> {
        let mut told = Vec::new();
        for at in self.open() {
            let due = {
                let world = self.world();
                let expires = world.applied[at].expires_ms.map(Duration::from_millis);
                let elapsed = world.keeper.entries[at].0.elapsed();
                !world.keeper.lazy && expires.is_some_and(|after| elapsed >= after)
            };
            if due {
                told.push(self.undo(at).await);
            }
        }
        told
    }
}

impl HelperLink for Fake {
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Reading>> {
        let mut world = self.world();
        world.memory.pages_in += world.beneath.pages_per_look;
        if world.keeper.silent_reads {
            return future::pending().boxed();
        }
        let answer = || Ok(world.answer(read.itself()));
        future::ready(world.helper_error.clone().map_or_else(answer, Err)).boxed()
    }

    fn load(&self, call: LoadCall) -> BoxFuture<'_, Result<LoadReply>> {
        if let Err(lost) = self.refuse_when_lost() {
            return future::ready(Err(lost)).boxed();
        }
        let mut world = self.world();
        if world.keeper.silent_loads {
            return future::pending().boxed();
        }
        let base = world.stats.clone();
        let reply = match &call {
            LoadCall::Start { .. } => {
                world.keeper.load = Some((Instant::now(), 0.0));
                LoadReply::Nothing
            }
            LoadCall::Retarget { .. } => LoadReply::Nothing,
            LoadCall::Stats { .. } | LoadCall::Stop { .. } => {
                LoadReply::Stats(world.keeper.stats(&base))
            }
            LoadCall::Judge { .. } | LoadCall::JudgeAt { .. } | LoadCall::JudgeStanding { .. } => {
                LoadReply::Ledger(world.ledger.clone().map(Box::new))
            }
            LoadCall::Explore { .. } | LoadCall::ExploreLog { .. } => LoadReply::Nothing,
            LoadCall::Piece { from, .. } => {
                let at = usize::try_from(*from).unwrap();
                let end = world.keeper.kept.len().min(at + 64);
                LoadReply::Piece(STANDARD.encode(&world.keeper.kept[at..end]))
            }
            LoadCall::Explored { .. } => {
                let explored = world.keeper.explored.clone();
                LoadReply::Explored(Box::new(ExploreReport { done: true, ..explored }))
            }
        };
        world.load_calls.push(call);
        future::ready(Ok(reply)).boxed()
    }

    fn apply(&self, entry: Entry) -> BoxFuture<'_, Result<Applied>> {
        Box::pin(async move {
            self.refuse_when_lost()?;
            let outcome = |op: &Op| match op {
                Op::AttachLoop { .. } => Outcome::Loop { device: "/dev/loop7".into() },
                Op::CreateBind { name, .. } => {
                    Outcome::Directory { host_path: format!("/run-dir/{name}") }
                }
                Op::Interpose { interposer }
                    if matches!(interposer.backing, Backing::Disk { .. }) =>
                {
                    Outcome::Loop { device: "/dev/loop8".into() }
                }
                Op::Interpose { interposer } => {
                    Outcome::Directory { host_path: format!("/interposed/{}", interposer.name) }
                }
                _ => Outcome::Done,
            };
            let outcomes = entry.ops.iter().map(outcome).collect();
            let (ops, id) = {
                let mut world = self.world();
                let ops = if world.keeper.vacuous { Vec::new() } else { entry.ops.clone() };
                world.applied.push(entry);
                world.keeper.entries.push((Instant::now(), false));
                (ops, EntryId(world.applied.len() as u64))
            };
            if let Err(error) = self.perform(&ops).await {
                self.world().keeper.entries.last_mut().unwrap().1 = true;
                return Err(error);
            }
            Ok(Applied { id, outcomes })
        })
    }

    fn revert(&self, id: EntryId) -> BoxFuture<'_, Result<Undone>> {
        let at = usize::try_from(id.0).unwrap() - 1;
        Box::pin(async move { Ok(self.undo(at).await) })
    }

    fn rollback(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        Box::pin(async move {
            let mut report = RollbackReport::default();
            for at in self.open().into_iter().rev() {
                report.undone.push(self.undo(at).await);
            }
            Ok(report)
        })
    }

    fn rollback_faults(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        Box::pin(async move {
            let mut report = RollbackReport::default();
            for at in self.open().into_iter().rev() {
                // what sets a run up has no ops, or none of the engine
                if self.world().applied[at].ops.iter().any(|op| matches!(op, Op::Engine(_))) {
                    report.undone.push(self.undo(at).await);
                }
            }
            Ok(report)
        })
    }

    fn expired(&self) -> BoxFuture<'_, Result<Vec<Undone>>> {
        Box::pin(async move { Ok(self.expire().await) })
    }

    fn lost(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            self.lost.cancelled().await;
            self.world().keeper.lost.clone().unwrap_or_default()
        })
    }
}
