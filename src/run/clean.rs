//! The end of a case: logs collected, everything undone, nothing left behind.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    attached,
    event::{Event, Phase},
    interrupt::{LOGS, ROLLBACK},
    printed::lines,
    world::World,
};
use crate::{
    protocol::{EntryId, LoadCall, Read, Reading, RollbackReport, Undone},
    runtime::{State, labels},
};

/// Output kept per container.
const LOG_LIMIT: usize = 64 * 1024;

/// Collecting logs must not delay the rollback.
const LOG_DEADLINE: Duration = Duration::from_secs(3);

/// A rollback that takes longer is finished by `recover`.
const ROLLBACK_DEADLINE: Duration = Duration::from_secs(60);

/// Looking for what is left asks the engine a few questions.
const AUDIT_DEADLINE: Duration = Duration::from_secs(30);

/// What the clean-up came to.
pub(super) struct Cleaned {
    pub(super) rollback_incomplete: bool,
    /// What makes the case an error.
    pub(super) problem: Option<String>,
}

/// Collects logs, undoes everything, and looks for what is left. With `keep`, containers, volumes
/// and networks stay.
pub(super) async fn up(world: &Arc<World>, keep: bool) -> Cleaned {
    collect_logs(world).await;
    world.enter(Phase::TearDown);
    if !world.interrupt.came() {
        // the rollback ends loads too; this only lets operations in flight come to their end
        let stops = world.case.scenario.workloads.keys().map(|name| {
            let stop = world.helper.load(LoadCall::Stop { name: world.load_name(name) });
            world.interrupt.bound(LOG_DEADLINE, LOGS, stop)
        });
        join_all(stops).await;
    }
    if keep {
        return keep_all(world).await;
    }
    roll_back(world).await
}

/// Undoes every fault, and leaves the rest to whoever looks at it.
async fn keep_all(world: &Arc<World>) -> Cleaned {
    let rollback = world.helper.rollback_faults();
    let report = match world.interrupt.bound(ROLLBACK_DEADLINE, ROLLBACK, rollback).await {
        Some(Ok(report)) => report,
        Some(Err(error)) => return lost(world, &error.to_string()),
        None => return incomplete(world, not_in_time()),
    };
    if !report.complete() {
        return incomplete(world, report);
    }
    world.emit(Event::RolledBack { case: world.id(), report, recover: None });
    let (run, looks) = (&world.run, shells(world).await);
    let text = format!("kept: look with {looks}; `keelhaul recover {run}` removes it");
    world.emit(Event::Attention { case: world.id(), text });
    Cleaned { rollback_incomplete: false, problem: None }
}

/// The commands that open a shell in the subjects; where one has ended, what it said last.
pub(super) async fn shells(world: &World) -> String {
    let run = &world.run;
    let looks = world.containers().into_iter().map(|(service, id)| async move {
        let facts = world.runtime.inspect(&id);
        let facts = world.interrupt.bound(LOG_DEADLINE, LOGS, facts).await;
        // one that nobody can tell of may run
        let ended = facts
            .and_then(Result::ok)
            .is_some_and(|facts| !matches!(facts.state, State::Running | State::Paused));
        match world.case.attached.get(&service) {
            _ if ended => format!("`docker logs {id:.12}` (`{service}` does not run)"),
            Some(_) => format!("`docker exec -it {id:.12} sh`"),
            None => format!("`keelhaul shell {run} {service}`"),
        }
    });
    join_all(looks).await.join(" or ")
}

/// All containers at once: one that hangs keeps only its own log.
async fn collect_logs(world: &World) {
    let as_found = &world.as_found();
    let logs = world.containers().into_iter().map(|(service, container)| async move {
        // what somebody else's container said before is nothing of ours
        let since = if as_found.contains_key(&service) { world.begun() } else { 0 };
        let read = world.runtime.printed(&container, since, LOG_LIMIT);
        match world.interrupt.bound(LOG_DEADLINE, LOGS, read).await {
            Some(Ok(pieces)) => {
                let (text, lines_us) = lines(&pieces, world.now());
                world.emit(Event::LogCollected { case: world.id(), service, text, lines_us });
            }
            Some(Err(error)) => world.note(format!("no log of `{service}`: {error}")),
            None => world.note(format!("no log of `{service}`: it did not come in time")),
        }
    });
    join_all(logs).await;
}

async fn roll_back(world: &Arc<World>) -> Cleaned {
    let rollback = world.helper.rollback();
    match world.interrupt.bound(ROLLBACK_DEADLINE, ROLLBACK, rollback).await {
        Some(Ok(report)) if report.complete() => {
            world.emit(Event::RolledBack { case: world.id(), report, recover: None });
            let audit = world.interrupt.bound(AUDIT_DEADLINE, ROLLBACK, audit(world));
            audit.await.unwrap_or_else(|| {
                let problem = "error: what is left could not be looked for in time".to_owned();
                Cleaned { rollback_incomplete: false, problem: Some(problem) }
            })
        }
        Some(Ok(report)) => incomplete(world, report),
        Some(Err(error)) => lost(world, &error.to_string()),
        None => incomplete(world, not_in_time()),
    }
}

fn not_in_time() -> RollbackReport {
    let problems = vec!["it did not end in time".into()];
    let (id, what) = (EntryId(0), "rollback".into());
    RollbackReport { undone: vec![Undone { id, what, problems, pending: Vec::new() }] }
}

/// Something is still to be undone: the command that does it is part of the verdict.
fn incomplete(world: &World, report: RollbackReport) -> Cleaned {
    let command = format!("keelhaul recover {}", world.run);
    let problem = Some(format!("error: rollback incomplete: `{command}` finishes it"));
    world.emit(Event::RolledBack { case: world.id(), report, recover: Some(command) });
    Cleaned { rollback_incomplete: true, problem }
}

/// The helper cannot say whether everything is undone: whoever closes it finds out.
fn lost(world: &World, why: &str) -> Cleaned {
    world.note(format!("rollback through the helper failed: {why}"));
    Cleaned { rollback_incomplete: false, problem: Some(format!("error: rollback: {why}")) }
}

/// Looks for every object of this run that should be gone.
async fn audit(world: &World) -> Cleaned {
    let mut left = Vec::new();
    match world.runtime.objects(&world.run).await {
        Ok(objects) => {
            let ours = [labels::ROLE_HELPER, labels::ROLE_JOURNAL];
            let remaining =
                objects.into_iter().filter(|object| !ours.contains(&object.role.as_str()));
            left.extend(
                remaining.map(|object| format!("{:?} {}", object.kind, object.name).to_lowercase()),
            );
        }
        Err(error) => left.push(format!("unknown: {error}")),
    }
    match world.helper.read(Read::Loops).await {
        Ok(Reading::Loops(loops)) => {
            left.extend(
                loops
                    .into_iter()
                    .map(|found| format!("{} on {}", found.device, found.backing_file)),
            );
        }
        Ok(other) => left.push(format!("unknown: {other:?}")),
        Err(error) => left.push(format!("unknown: {error}")),
    }
    left.extend(attached::changed(world).await);
    let problem = (!left.is_empty()).then(|| format!("error: left behind: {}", left.join(", ")));
    world.emit(Event::ResidueChecked { case: world.id(), left });
    Cleaned { rollback_incomplete: false, problem }
}
