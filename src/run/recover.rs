//! The `recover` step: how long until the steady state was there again.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    assert::{Outcome, whole_micros},
    event::Event,
    expect::{Awaited, Judged, Patience, steady_state, wait_until_all_hold},
    start_again,
    world::World,
};
use crate::{scenario::RecoverStep, verdict::Verdict};

/// Recovery is waited for without an objective for this long.
const DEFAULT_RTO: Duration = Duration::from_secs(30);

/// The steady-state probes must hold for this long before recovery counts.
const DEFAULT_HOLD: Duration = Duration::from_secs(1);

/// Recovery is measured up to this multiple of its objective, so that the true figure is reported.
const MEASURE: u32 = 3;

pub(super) const TITLE: &str = "the steady state is reached again";

/// Waits, measures and judges; none when the case was ended meanwhile.
pub(super) async fn recover(world: &Arc<World>, id: &str, step: &RecoverStep) -> Option<Outcome> {
    let objective = step.within.or(world.case.scenario.objectives.rto).map(|time| time.0);
    let allowed = objective.unwrap_or(DEFAULT_RTO);
    let from = world.recovery_from().unwrap_or_else(Instant::now);
    let elapsed = from.elapsed();
    // a control is over when the objective is missed: its figure is of no interest
    let measured = if world.case.control.is_some() { allowed } else { allowed * MEASURE };
    let hold = step.hold.map_or(DEFAULT_HOLD, |hold| hold.0);
    let patience = Patience { within: measured.saturating_sub(elapsed), hold };
    let steady = steady_state(world);
    let awaited = tokio::select! {
        awaited = wait_until_all_hold(world, &steady, &patience) => awaited,
        never = start_again::what_ended(world), if step.start => match never {},
    };
    if awaited.cut_short {
        return None;
    }
    let recovery = awaited.since.map(|since| since.saturating_duration_since(from));
    let late = elapsed > allowed;
    let unseen = recovery.filter(|took| awaited.at_once && *took > allowed);
    // nobody who names no objective is kept from one by how seldom a health check looks
    if let Some(took) = unseen.filter(|_| late || objective.is_some()) {
        return Some(too_late_to_tell(took, allowed, late));
    }
    let recovery_us = recovery.map(whole_micros);
    world.recovered_in(recovery_us);
    world.emit(Event::Recovered {
        case: world.id(),
        assertion: id.to_owned(),
        counted_us: whole_micros(from.elapsed()),
        recovery_us,
        objective_us: objective.map(whole_micros),
        at_first_look: awaited.at_once,
    });
    Some(match recovery {
        Some(time) => in_time(time, allowed, awaited.at_once),
        None => not_recovered(&awaited, from.elapsed()),
    })
}

fn in_time(took: Duration, allowed: Duration, at_once: bool) -> Outcome {
    let (ms, allowed_ms) = (took.as_millis(), allowed.as_millis());
    if took > allowed && !at_once {
        let why = format!("recovered in {ms} ms, and {allowed_ms} ms were allowed");
        return (Verdict::Fail, why);
    }
    let how = match at_once {
        true => format!("the steady state was there at the first look, after {ms} ms"),
        false => format!("recovered in {ms} ms"),
    };
    (Verdict::Pass, how)
}

/// Nobody looked while the objective ran out: it may have been met or missed. `late`: because nobody
/// asked.
fn too_late_to_tell(took: Duration, allowed: Duration, late: bool) -> Outcome {
    let hint = match late {
        true => "move `recover` up, before what takes so long",
        false => "let its health check look more often, or allow more time than that takes",
    };
    let why = format!(
        "the steady state was there at the first look, but that was {} ms after the clock started, \
         and {} ms were allowed\n\nhint: {hint}",
        took.as_millis(),
        allowed.as_millis()
    );
    (Verdict::Inconclusive, why)
}

fn not_recovered(awaited: &Awaited, waited: Duration) -> Outcome {
    let bad = |one: &&Judged| one.verdict != Verdict::Pass;
    let wrong: Vec<_> = awaited
        .judged
        .iter()
        .filter(bad)
        .map(|one| format!("{}: {}", one.title, one.message))
        .collect();
    // one probe that is known to be violated is proof; only those that say nothing are none
    let any = |verdict| awaited.judged.iter().any(|one| one.verdict == verdict);
    let verdict = match () {
        () if any(Verdict::Fail) || wrong.is_empty() => Verdict::Fail,
        () if any(Verdict::Error) => Verdict::Error,
        () => Verdict::Inconclusive,
    };
    (verdict, format!("not recovered after {} ms: {}", waited.as_millis(), wrong.join("; ")))
}
