//! Assertions over time: probes that must come to hold, and go on to hold.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::world::World;
use crate::{
    probes::Sample,
    scenario::{ProbeItem, Spot},
    verdict::Verdict,
};

/// Time between readings while waiting.
const EVERY: Duration = Duration::from_millis(50);

/// A probe of an assertion, with its id.
pub(super) struct Watched<'a> {
    pub(super) id: String,
    pub(super) item: &'a ProbeItem,
}

/// What waiting for some probes came to.
#[derive(Debug)]
pub(super) struct Awaited {
    /// When the streak of good readings began that was long enough.
    pub(super) since: Option<Instant>,
    /// Until when they are known not to have held: `since` itself, where every look before it says
    /// something. None where nobody saw that they did not.
    pub(super) out_until: Option<Instant>,
    /// The case was ended meanwhile: nothing can be said.
    pub(super) cut_short: bool,
    /// Per probe, in order; empty when it was cut short.
    pub(super) judged: Vec<Judged>,
}

/// What became of one probe.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

/// How long to wait, and what for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// They must all hold by then.
    pub(super) within: Duration,
    /// And go on to hold for this long.
    pub(super) hold: Duration,
}

type Reading = Result<Sample, String>;

/// Waits until all probes hold together and have held for long enough. A streak that began in time
/// may end after it.
pub(super) async fn wait_until_all_hold(
    world: &Arc<World>,
    probes: &[Watched<'_>],
    patience: &Patience,
) -> Awaited {
    let start = Instant::now();
    let deadline = start + patience.within;
    let mut streak = Streak::default();
    let mut faults: Vec<Option<Fault>> = vec![None; probes.len()];
    for round in 0_u64.. {
        // the first look is in time, however little there is
        let began = if round == 0 { start } else { Instant::now() };
        let readings = tokio::select! {
            readings = read_all(world, probes) => readings,
            () = world.stop.cancelled() => break,
        };
        streak.add(began, &readings);
        remember(&mut faults, &readings, round);
        let in_time = streak.since.filter(|since| streak.whole.is_some() && *since <= deadline);
        let late = Instant::now() >= deadline && in_time.is_none();
        if in_time.is_some() && streak.has_lasted(patience.hold) {
            let judged = describe(probes, &readings);
            let Streak { since, out_until, .. } = streak;
            return Awaited { since, out_until, cut_short: false, judged };
        }
        if world.is_over() {
            break;
        }
        if late {
            let mut judged = describe(probes, &readings);
            blame(&mut judged, &faults, patience);
            return Awaited { since: None, out_until: None, cut_short: false, judged };
        }
        sleep(EVERY).await;
    }
    Awaited { since: None, out_until: None, cut_short: true, judged: Vec::new() }
}

/// What the rounds of readings say together, one after the other.
#[derive(Debug, Default)]
struct Streak {
    /// The first good round that nobody has spoken against since.
    since: Option<Instant>,
    /// From here on every round was good.
    whole: Option<Instant>,
    /// As in [`Awaited`].
    out_until: Option<Instant>,
    /// Some round after that said nothing.
    unsaid: bool,
}

impl Streak {
    /// A round that says nothing neither ends a streak nor makes it longer.
    fn add(&mut self, began: Instant, readings: &[Reading]) {
        if readings.iter().any(is_out) {
            *self = Self { out_until: Some(Instant::now()), ..Self::default() };
        } else if readings.iter().all(|it| it.as_ref().is_ok_and(Sample::holds)) {
            if self.since.is_none() {
                self.since = Some(began);
                self.out_until = self.out_until.map(|out| if self.unsaid { out } else { began });
            }
            self.whole = self.whole.or(Some(began));
        } else {
            (self.whole, self.unsaid) = (None, true);
        }
    }

    fn has_lasted(&self, hold: Duration) -> bool {
        self.whole.is_some_and(|from| from.elapsed() >= hold)
    }
}

/// Whether somebody saw that it does not hold: one that is not of now says nothing.
fn is_out(reading: &Reading) -> bool {
    !matches!(reading, Ok(sample) if sample.holds() || sample.outdated.is_some())
}

/// The last reading of a probe that was not good.
type Fault = (u64, Verdict, String);

fn remember(faults: &mut [Option<Fault>], readings: &[Reading], round: u64) {
    for (fault, reading) in faults.iter_mut().zip(readings) {
        let (verdict, message) = judge(reading);
        if verdict != Verdict::Pass {
            *fault = Some((round, verdict, message));
        }
    }
}

/// Too late: when every probe happens to hold at the last look, those are to blame that did not
/// hold the time before.
fn blame(judged: &mut [Judged], faults: &[Option<Fault>], patience: &Patience) {
    if judged.iter().any(|one| one.verdict != Verdict::Pass) {
        return;
    }
    let last = faults.iter().flatten().map(|(round, ..)| *round).max();
    let (within, hold) = (patience.within.as_millis(), patience.hold.as_millis());
    for (one, fault) in judged.iter_mut().zip(faults) {
        match fault {
            Some((round, verdict, message)) if Some(*round) == last => {
                one.verdict = *verdict;
                one.message = format!("not for {hold} ms from {within} ms on: {message}");
            }
            None if last.is_none() => {
                one.verdict = Verdict::Fail;
                one.message = format!("read only after {within} ms: {}", one.message);
            }
            _ => {}
        }
    }
}

async fn read_all(world: &Arc<World>, probes: &[Watched<'_>]) -> Vec<Reading> {
    join_all(probes.iter().map(|watched| world.sample(&watched.id, &watched.item.probe))).await
}

fn describe(probes: &[Watched<'_>], readings: &[Reading]) -> Vec<Judged> {
    let both = probes.iter().zip(readings);
    both.map(|(watched, reading)| {
        let (verdict, message) = judge(reading);
        let title = watched.item.probe.describe();
        Judged { id: watched.id.clone(), title, verdict, message }
    })
    .collect()
}

/// A reading's verdict: a probe that could not be read is an error, not a failed hypothesis.
pub(super) fn judge(reading: &Reading) -> (Verdict, String) {
    match reading {
        Ok(Sample { observed, violation: None, .. }) => (Verdict::Pass, observed.clone()),
        Ok(Sample { observed, violation: Some(violation), vacuous, .. }) => {
            let verdict = if *vacuous { Verdict::Inconclusive } else { Verdict::Fail };
            (verdict, format!("{violation}; observed: {observed}"))
        }
        Err(error) => (Verdict::Error, format!("could not be read: {error}")),
    }
}

/// The steady-state probes with their ids.
pub(super) fn steady_state(world: &World) -> Vec<Watched<'_>> {
    let items = world.case.scenario.steady_state.iter().enumerate();
    items
        .map(|(index, item)| Watched { id: world.assertion(Spot::SteadyState(index)), item })
        .collect()
}
