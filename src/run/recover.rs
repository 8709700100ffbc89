//! The `recover` step: how long until the steady state was there again.

use std::{sync::Arc, time::Duration};

use futures_util::future::join;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    let awaited = wait(world, &patience, step.start).await;
    if awaited.cut_short {
        return None;
    }
    let back = Back::of(&awaited, from);
    // nobody who names no objective is kept from one by how seldom a health check looks
    let late = (elapsed > allowed).then_some(allowed);
    let limits = [objective, late].into_iter().chain(percentiles(world)).flatten();
    if let Some((back, limit)) = back.as_ref().and_then(|back| Some((back, back.untold(limits)?))) {
        return Some(back.cannot_tell(limit, elapsed));
    }
    let recovery_us = back.as_ref().map(|back| whole_micros(back.took));
    world.recovered_in(recovery_us);
    world.emit(Event::Recovered {
        case: world.id(),
        assertion: id.to_owned(),
        counted_us: whole_micros(from.elapsed()),
        recovery_us,
        objective_us: objective.map(whole_micros),
        at_first_look: back.as_ref().is_some_and(|back| back.out.is_none()),
    });
    Some(match back {
        Some(back) => back.in_time(allowed),
        None => not_recovered(&awaited, from.elapsed()),
    })
}

/// Waits for the steady state, and starts meanwhile what has ended where that is asked for.
async fn wait(world: &Arc<World>, patience: &Patience, start: bool) -> Awaited {
    let steady = steady_state(world);
    let over = CancellationToken::new();
    let waiting = async {
        let awaited = wait_until_all_hold(world, &steady, patience).await;
        over.cancel();
        awaited
    };
    let starting = async {
        if start {
            start_again::what_ended(world, &over).await;
        }
    };
    join(waiting, starting).await.0
}

/// What the percentiles of the repeats are held to.
fn percentiles(world: &World) -> [Option<Duration>; 2] {
    let objectives = &world.case.scenario.objectives;
    [objectives.rto_p50, objectives.rto_p95].map(|limit| limit.map(|time| time.0))
}

/// When the steady state was there again, from where recovery counts.
#[derive(Debug)]
struct Back {
    /// The first look at which it was.
    took: Duration,
    /// Until when it was seen to be out: `took` itself, where nothing is unknown in between; none
    /// where nobody saw it.
    out: Option<Duration>,
}

impl Back {
    fn of(awaited: &Awaited, from: Instant) -> Option<Self> {
        let took = awaited.since?.saturating_duration_since(from);
        let out = awaited.out_until.map(|out| out.saturating_duration_since(from));
        Some(Self { took, out })
    }

    /// The first of these limits that it may have kept or missed: nobody could tell.
    fn untold(&self, mut limits: impl Iterator<Item = Duration>) -> Option<Duration> {
        limits.find(|limit| self.took > *limit && self.out.is_none_or(|out| out <= *limit))
    }

    /// When it was back, in words.
    fn when(&self) -> String {
        let ms = self.took.as_millis();
        match self.out {
            None => format!("the steady state was there at the first look, after {ms} ms"),
            Some(out) if out == self.took => format!("recovered in {ms} ms"),
            Some(out) => format!(
                "recovered between {} ms and {ms} ms: no health check looked in between",
                out.as_millis()
            ),
        }
    }

    fn in_time(&self, allowed: Duration) -> Outcome {
        if self.out.is_some_and(|out| out > allowed) {
            let why = format!("{}, and {} ms were allowed", self.when(), allowed.as_millis());
            return (Verdict::Fail, why);
        }
        (Verdict::Pass, self.when())
    }

    /// Nobody looked while the limit ran out. `elapsed`: before anybody asked.
    fn cannot_tell(&self, limit: Duration, elapsed: Duration) -> Outcome {
        let hint = match elapsed > limit {
            true => "move `recover` up, before what takes so long",
            false => "let its health check look more often, or allow more time than that takes",
        };
        let why = format!(
            "{}, and {} ms were allowed: it may have been there in time\n\nhint: {hint}",
            self.when(),
            limit.as_millis()
        );
        (Verdict::Inconclusive, why)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_seen_out_after_a_limit_has_missed_it() {
        let s = Duration::from_secs;
        let back = |took, out: Option<u64>| Back { took: s(took), out: out.map(s) };
        let of = |took, out| back(took, out).untold([s(5)].into_iter());
        assert_eq!(of(6, Some(6)), None, "it is known");
        assert_eq!(of(6, Some(3)), Some(s(5)));
        assert_eq!(of(6, None), Some(s(5)));
        assert_eq!(of(5, None), None);
        assert_eq!(back(6, Some(6)).in_time(s(5)).0, Verdict::Fail);
        assert_eq!(back(9, Some(6)).in_time(s(5)).0, Verdict::Fail);
        assert_eq!(back(6, Some(3)).in_time(s(5)).0, Verdict::Pass, "no objective was named");
    }
}
