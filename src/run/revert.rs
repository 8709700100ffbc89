//! The end of a fault: reverted by a step, the rollback or the keeper, and seen to be gone.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    assert::record,
    event::{Event, Origin},
    injection::{Injection, ended_early, look},
    site::{cx, ended, site},
    starts, struck,
    world::World,
};
use crate::{
    faults::{Effect, FaultError, Kind, Site},
    helper::Result as HelperResult,
    protocol::Undone,
    scenario::Hypothesis,
    verdict::Verdict,
};

/// What the end of a fault came to.
pub(super) struct Gone {
    /// Id of the step that injected it.
    pub(super) step: String,
    /// None when there was nowhere left to look from.
    pub(super) verdict: Option<Verdict>,
    /// What was observed.
    pub(super) evidence: String,
}

impl Gone {
    /// There is nothing more to do about it. By hand, what may still be in force, because its undo failed
    /// or it was not seen to be gone, is tried again.
    pub(super) fn is_over(&self, world: &World) -> bool {
        !(world.by_hand && self.verdict == Some(Verdict::Error))
    }
}

/// Reverts a fault, and looks whether the effect is gone. Just before, a lasting effect must still
/// be there, or what was observed meanwhile proves nothing. None when it was over already.
pub(super) async fn revert(world: &Arc<World>, injection: &Injection, by: Origin) -> Option<Gone> {
    let mut over = injection.over.lock().await;
    if *over {
        if by == Origin::Step {
            world.note(format!("nothing to revert: the time of `{}` was up", injection.id));
        }
        return None;
    }
    let started = Instant::now();
    still_in_force(world, injection).await;
    leave(world, injection, by);
    let undone = world.helper.revert(injection.entry).await;
    let gone = conclude(world, injection, by, undone, started).await;
    *over = gone.is_over(world);
    Some(gone)
}

/// `during` ends when the revert is called.
pub(super) fn leave(world: &World, injection: &Injection, by: Origin) {
    world.fault_ends(&injection.id);
    world.emit(Event::Reverting { case: world.id(), fault: injection.id.clone(), by });
}

/// Records how the undo went and whether the effect is gone.
pub(super) async fn conclude(
    world: &World,
    injection: &Injection,
    by: Origin,
    undone: HelperResult<Undone>,
    started: Instant,
) -> Gone {
    let (verdict, effect) = judge(world, injection, undone).await;
    struck::tell(world, injection).await;
    world.emit(Event::Reverted {
        case: world.id(),
        fault: injection.id.clone(),
        proven: effect.proven,
        evidence: effect.evidence.clone(),
        by,
    });
    let id = format!("{}.revert", injection.id);
    let title = "the fault is gone";
    record(world, &id, Hypothesis::Fault, title, verdict, &effect.evidence, started);
    if verdict == Some(Verdict::Error) {
        world.findings().break_off(&format!("`{}` was not seen to be reverted", injection.id));
    }
    world.recovery_counts_from(Instant::now());
    world.fault_is_over();
    Gone { step: injection.step.clone(), verdict, evidence: effect.evidence }
}

async fn judge(
    world: &World,
    injection: &Injection,
    undone: HelperResult<Undone>,
) -> (Option<Verdict>, Effect) {
    let undone = match undone {
        Ok(undone) => undone,
        Err(error) => return (Some(Verdict::Error), Effect::unproven(error.to_string())),
    };
    if !undone.problems.is_empty() {
        let why = format!("undo failed: {}", undone.problems.join("; "));
        return (Some(Verdict::Error), Effect::unproven(why));
    }
    if !undone.pending.is_empty() {
        let why = "undo waits for the engine, which does not answer";
        return (Some(Verdict::Error), Effect::unproven(why));
    }
    match gone(world, injection).await {
        Ok(effect) if effect.proven => (Some(Verdict::Pass), effect),
        Ok(effect) => (Some(Verdict::Error), effect),
        Err(FaultError::ReachedNobody(why)) => (Some(Verdict::Inconclusive), Effect::proven(why)),
        // undone, and nowhere left to look from: neither seen nor a failure of the harness
        Err(error) => match ended(world, &injection.site).await {
            Some(why) => (None, Effect::unproven(format!("undone, and not looked for: {why}"))),
            None => {
                let why = format!("could not be looked for: {error}");
                (Some(Verdict::Error), Effect::unproven(why))
            }
        },
    }
}

/// Looks for the effect where it was, or, if that container has ended, in the one that the service
/// has now: what is on a volume outlives a container.
async fn gone(world: &World, injection: &Injection) -> Result<Effect, FaultError> {
    let look = async |place: &Site| {
        injection.fault.verify_reverted(&injection.before, &cx(world, place)).await
    };
    let first = look(&injection.site).await;
    if first.is_ok() || ended(world, &injection.site).await.is_none() {
        return first;
    }
    match site(world, &injection.fault).await {
        Ok(now) if now.place.container != injection.site.place.container => look(&now).await,
        _ => first,
    }
}

/// A state must last until it is reverted.
async fn still_in_force(world: &World, injection: &Injection) {
    if !injection.proven || world.is_over() {
        return;
    }
    let started = Instant::now();
    if let Err(why) = starts::outlived(world, injection).await {
        return ended_early(world, injection, &why, started);
    }
    if !is_looked_for_again(injection) {
        return;
    }
    let Err(why) = lasting(world, injection).await else { return };
    match ended(world, &injection.site).await {
        // a subject that ends takes its mounts along: what it did before that was under the fault
        Some(ended) => world.note(format!("`{}` is not looked for again: {ended}", injection.id)),
        // a look takes its time too
        None if injection.expires.is_some_and(|at| Instant::now() >= at) => {
            world.note(format!("the time of `{}` was up while it was looked for", injection.id));
        }
        None => ended_early(world, injection, &why, started),
    }
}

/// Fills may be freed by the subject; events and damage are not in force.
pub(super) fn is_looked_for_again(injection: &Injection) -> bool {
    injection.fault.kind() == Kind::State && !injection.fault.subject_may_end_it()
}

/// Looks whether the effect is still there; the error says what was seen instead.
pub(super) async fn lasting(world: &World, injection: &Injection) -> Result<(), String> {
    match look(world, injection, &[]).await {
        Ok(effect) if effect.proven => Ok(()),
        Ok(effect) => Err(format!("the effect ended before the revert: {}", effect.evidence)),
        Err(error) => Err(format!("the effect could not be looked for before the revert: {error}")),
    }
}
