//! How a container that ran out of memory is told apart from one that did not. Changes nothing.

use super::{Cx, Effect, FaultError, lifecycle, lifecycle::Before, observe::word};
use crate::{
    protocol::{Init, Outcome},
    runtime::{ContainerFacts, State},
};

/// Memory is used up only where a limit keeps the host out of it.
pub(super) fn refuse_unlimited(cx: &Cx<'_>, facts: &ContainerFacts) -> Result<(), FaultError> {
    if facts.memory.is_some() {
        return Ok(());
    }
    let hint = if cx.attached {
        "give the container a limit, as with `docker update --memory`"
    } else {
        "give the service `memory: 128MiB`"
    };
    Err(FaultError::Refused(format!(
        "`{}` has no memory limit, so it is the host's memory that would run out\n\nhint: {hint}",
        cx.site.service
    )))
}

/// Whether the kernel has killed in the container for want of memory.
///
/// The counter of its cgroup says so while the container runs; the engine's flag does not where init
/// survives. Once the container has ended its cgroup is gone: then the engine says that it ended,
/// and why says its flag, or, where it was started again and the flag is gone too, the counter as
/// the act last saw it. What the act says counts only together with the end that the engine saw.
pub(super) async fn killed(
    before: &Before,
    kills: u64,
    outcomes: &[Outcome],
    cx: &Cx<'_>,
) -> Result<Effect, FaultError> {
    if let Some(effect) = counted_now(before, kills, cx).await? {
        return Ok(effect);
    }
    let facts = lifecycle::until(cx, |facts| before.ended(facts)).await?;
    if !before.ended(&facts) {
        return Ok(Effect::unproven(format!("{}; no OOM kill since", word(facts.state))));
    }
    let counted = outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::OomKills { before, after } if after > before));
    let flagged = facts.oom_killed && facts.state != State::Running;
    let why = match (flagged, counted) {
        (true, _) => "the engine says for want of memory",
        (_, true) => "the cgroup's counter of OOM kills rose before it",
        _ => "nobody says that it was for want of memory",
    };
    let evidence = format!("{}; {why}", before.evidence(&facts));
    Ok(Effect { proven: flagged || counted, evidence, notes: Vec::new() })
}

/// Whether it was this process that was killed: a counter that rose could be another's. The kernel
/// counts before the process has gone all the way.
pub(super) async fn was_it(
    victim: Init,
    mut effect: Effect,
    cx: &Cx<'_>,
) -> Result<Effect, FaultError> {
    let lives = async || -> Result<bool, FaultError> {
        Ok(cx.processes().await?.iter().any(|one| one.process == victim))
    };
    let mut looks = 1;
    while lives().await? && looks < lifecycle::LOOKS {
        tokio::time::sleep(lifecycle::PAUSE).await;
        looks += 1;
    }
    let lives = looks == lifecycle::LOOKS;
    effect.proven = !lives;
    let what = if lives { "runs still" } else { "is gone" };
    effect.evidence = format!("{}; process {} {what}", effect.evidence, victim.pid);
    Ok(effect)
}

/// What the counter says of a container that has not ended; none where it has not risen.
async fn counted_now(
    before: &Before,
    kills: u64,
    cx: &Cx<'_>,
) -> Result<Option<Effect>, FaultError> {
    let facts = cx.facts().await?;
    if before.ended(&facts) {
        return Ok(None);
    }
    let now = match cx.memory().await {
        Ok(memory) => memory.oom_kills,
        // it ends just now, and its cgroup with it
        Err(error) if error.is_refusal() => return Ok(None),
        Err(error) => return Err(error),
    };
    let evidence = format!("{}; OOM kills {kills} before, {now} now", word(facts.state));
    Ok((now > kills).then(|| Effect::proven(evidence)))
}
