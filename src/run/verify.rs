//! The last assertions: the `verify` probes, and the recovery point objective.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    assert::{Outcome, record},
    expect::judge,
    world::{NEVER, World},
};
use crate::{
    probes::{JUDGING, ProbeSpec, Sample},
    protocol::{LoadCall, LoadReply},
    scenario::{Hypothesis, Spot},
    verdict::Verdict,
};

/// Reads every `verify` probe and judges the data loss, then asks again where a probe said nothing
/// yet; where a precondition broke, they are not evaluated. `left` is the time there is for it.
pub(super) async fn all(world: &Arc<World>, left: Duration) {
    let until = Instant::now() + left.saturating_sub(MARGIN.min(left / 4));
    let mut later = Vec::new();
    for (index, item) in world.case.scenario.verify.iter().enumerate() {
        let id = world.assertion(Spot::Verify(index));
        let asked = Asked { id, probe: &item.probe, started: Instant::now() };
        if !asked.judge(world, None).await {
            later.push(asked);
        }
    }
    if let Some(allowed) = world.case.scenario.objectives.rpo
        && !world.case.scenario.workloads.is_empty()
    {
        let started = Instant::now();
        let (verdict, message) = unless_over(world, recovery_point(world, allowed)).await;
        let title = "no more acknowledged records are lost than allowed";
        let id = world.assertion(Spot::Rpo);
        record(world, &id, Hypothesis::Objective, title, verdict, &message, started);
    }
    for asked in later {
        asked.judge(world, Some(until)).await;
    }
}

/// Between two readings while the last one is not of now.
const AGAIN: Duration = Duration::from_millis(100);

/// What is not waited out of the case's time.
const MARGIN: Duration = Duration::from_secs(5);

/// A `verify` probe.
struct Asked<'a> {
    id: String,
    probe: &'a ProbeSpec,
    started: Instant,
}

impl Asked<'_> {
    /// Records what it says; with a time to wait until, as soon as it says something. False where it
    /// says nothing, and could be waited for.
    async fn judge(&self, world: &World, until: Option<Instant>) -> bool {
        let mut settled = true;
        let outcome = unless_over(world, async {
            let read = match until {
                Some(until) => self.up_to_date(world, until).await,
                None => world.sample(&self.id, self.probe).await,
            };
            settled = until.is_some() || newer(&read).is_none();
            judge(&read)
        });
        let (verdict, message) = outcome.await;
        if settled {
            let title = self.probe.describe();
            let (id, began) = (&self.id, self.started);
            record(world, id, Hypothesis::Verify, &title, verdict, &message, began);
        }
        settled
    }

    /// Reads, again where that says nothing of what was done last, until it does or should long have.
    async fn up_to_date(&self, world: &World, until: Instant) -> Result<Sample, String> {
        loop {
            let read = world.sample(&self.id, self.probe).await;
            let waited = self.started.elapsed();
            let over = Instant::now() >= until;
            if newer(&read).is_none_or(|within| over || waited >= within) {
                return read;
            }
            sleep(AGAIN).await;
        }
    }
}

/// Within what time there is a reading that says something; none where this one does.
fn newer(read: &Result<Sample, String>) -> Option<Duration> {
    read.as_ref().ok().and_then(|sample| sample.outdated)
}

/// An assertion's judgement; none where it cannot be evaluated any more.
async fn unless_over(
    world: &World,
    judgement: impl Future<Output = Outcome>,
) -> (Option<Verdict>, String) {
    if let Some(why) = world.findings().broken() {
        return (None, why);
    }
    tokio::select! {
        biased;
        () = world.stop.cancelled() => (None, "the run was stopped".to_owned()),
        (verdict, message) = judgement => (Some(verdict), message),
    }
}

/// Acknowledged records that are lost, over all ledgers, against the objective.
async fn recovery_point(world: &World, allowed: u64) -> Outcome {
    let mut lost: u64 = 0;
    for name in world.case.scenario.workloads.keys() {
        let judge = world.helper.load(LoadCall::Judge { name: world.load_name(name) });
        match timeout(JUDGING, judge).await {
            Ok(Ok(LoadReply::Ledger(Ok(report)))) => lost += report.unreadable(),
            Ok(Ok(LoadReply::Ledger(Err(why)))) => {
                return (Verdict::Fail, format!("`{name}` cannot be read back: {why}"));
            }
            Ok(Ok(other)) => return (Verdict::Error, format!("{other:?}")),
            Ok(Err(error)) => return (Verdict::Error, error.to_string()),
            Err(_) => return (Verdict::Error, format!("`{name}` was not judged in time")),
        }
    }
    let verdict = if lost <= allowed { Verdict::Pass } else { Verdict::Fail };
    (verdict, format!("{lost} acknowledged records lost, {allowed} allowed"))
}

/// With `repeat`: recovery times of all repeats against the objectives.
pub(super) fn percentiles(world: &World, recoveries_us: &[u64]) {
    let objectives = &world.case.scenario.objectives;
    let wanted = [
        ("p50", 50, objectives.rto_p50, Spot::RtoP50),
        ("p95", 95, objectives.rto_p95, Spot::RtoP95),
    ];
    for (name, percent, allowed, spot) in wanted {
        let Some(allowed) = allowed else { continue };
        let title = format!("{name} of the recovery time is at most {allowed}");
        let (verdict, message) = match percentile(recoveries_us, percent) {
            // whatever kept every repeat from measuring is a finding of its own
            None => (None, "no recovery was measured".to_owned()),
            Some(NEVER) => (
                Some(Verdict::Fail),
                format!("no recovery in that share of {} repeats", recoveries_us.len()),
            ),
            Some(measured) => {
                let within = u128::from(measured) <= allowed.0.as_micros();
                let verdict = if within { Verdict::Pass } else { Verdict::Fail };
                let repeats = recoveries_us.len();
                (Some(verdict), format!("{} ms over {repeats} repeats", measured / 1000))
            }
        };
        let (id, started) = (world.assertion(spot), Instant::now());
        record(world, &id, Hypothesis::Objective, &title, verdict, &message, started);
    }
}

/// Nearest rank: the smallest value that at least this share of all does not exceed.
pub(crate) fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (percent * sorted.len()).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn nearest_rank() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!(percentile(&values, 50), Some(10));
        assert_eq!(percentile(&values, 95), Some(19));
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
