//! Probes that are read alongside the steps, and judged at the end.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{assert::record, event::Phase, world::World};
use crate::{
    probes::Sample,
    scenario::{Hypothesis, Observe, Require, Spot, When},
    verdict::Verdict,
};

/// More missing samples than this share prove nothing.
const MISSING_ALLOWED: f64 = 0.05;

/// The look that is owed at the end waits for this long at most for a reading that says something.
const OWED: Duration = Duration::from_secs(65);

/// Between two readings meanwhile.
const AGAIN: Duration = Duration::from_millis(100);

/// The observers of a case, running.
pub(super) struct Observers {
    end: CancellationToken,
    tasks: Vec<(String, Observe, JoinHandle<Tally>)>,
}

/// What an observer has counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    held: usize,
    violated: usize,
    missing: usize,
    /// They were of another time: neither read nor missing where others of the same stretch count.
    outdated: usize,
    /// Of those, the ones in stretches of which no reading says anything, but for the last stretch.
    untold: usize,
    stretch: Stretch,
    first_violation: Option<String>,
}

/// The time between two acts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Stretch {
    /// The act that it began with.
    since_ns: Option<i64>,
    /// Some reading says something of it.
    told: bool,
    outdated: usize,
    /// The last reading does not, and within this time there is one that does.
    newer: Option<Duration>,
}

impl Observers {
    /// Starts one task per observed probe.
    pub(super) fn start(world: &Arc<World>) -> Self {
        let end = CancellationToken::new();
        let observed = world.case.scenario.observe.iter().enumerate();
        let tasks = observed
            .map(|(index, item)| {
                let id = world.assertion(Spot::Observe(index));
                let task =
                    tokio::spawn(watch(Arc::clone(world), id.clone(), item.clone(), end.clone()));
                (id, item.clone(), task)
            })
            .collect();
        Self { end, tasks }
    }

    /// Ends them, and judges what they saw.
    pub(super) async fn judge(self, world: &World) {
        self.end.cancel();
        for (id, item, mut task) in self.tasks {
            let started = Instant::now();
            let patience = item.probe.deadline() + OWED + Duration::from_secs(1);
            let tally = match timeout(patience, &mut task).await {
                Ok(tally) => tally.unwrap_or_default(),
                Err(_) => {
                    task.abort();
                    Tally { missing: 1, ..Tally::default() }
                }
            };
            let (verdict, message) = match world.findings().broken() {
                Some(why) => (None, why),
                None => {
                    let (verdict, message) = tally.judge(item.require);
                    (Some(verdict), message)
                }
            };
            let title = item.probe.describe();
            record(world, &id, Hypothesis::Observe, &title, verdict, &message, started);
        }
    }
}

async fn watch(world: Arc<World>, id: String, item: Observe, end: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut ticks = interval(item.every.0.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            // a reading that is not over when observing is belongs to no phase
            () = end.cancelled() => break,
            () = once(&world, &id, &item, &mut tally) => {}
        }
    }
    owed(&world, &id, &item, &mut tally).await;
    tally
}

/// The last act may be the rollback's, just before observing ends: one look is owed, and one that says
/// something of it.
async fn owed(world: &World, id: &str, item: &Observe, tally: &mut Tally) {
    let never = item.when == When::After && tally.all() == 0;
    if world.is_over() || !(never || tally.stretch.untold() > 0) {
        return;
    }
    let began = Instant::now();
    loop {
        once(world, id, item, tally).await;
        let newer = tally.stretch.newer.filter(|_| due(world, item.when) && !world.is_over());
        if newer.is_none_or(|within| began.elapsed() >= within.min(OWED)) {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// Reads once, if the phase is there for all of the reading.
async fn once(world: &World, id: &str, item: &Observe, tally: &mut Tally) {
    if !due(world, item.when) {
        return;
    }
    let (phase, before) = (world.phase(), world.in_force());
    tally.stretch_of(world.changed_ns());
    let result = world.read_alongside(&item.probe).await;
    let during = world.still(before.clone());
    let same_faults = during == before && during == world.in_force();
    if due(world, item.when) && (same_faults || item.when == When::Throughout) {
        tally.count(&result);
        world.record_sample(id, &item.probe, phase, during, &result);
    }
}

fn due(world: &World, when: When) -> bool {
    if !matches!(world.phase(), Phase::Steps | Phase::Rollback) {
        return false;
    }
    match when {
        When::Before => !world.injected(),
        When::During => !world.in_force().is_empty(),
        When::After => world.faults_are_over(),
        When::Throughout => true,
    }
}

impl Stretch {
    /// Readings of it, where none says anything.
    fn untold(&self) -> usize {
        if self.told { 0 } else { self.outdated }
    }
}

impl Tally {
    fn all(&self) -> usize {
        self.held + self.violated + self.missing
    }

    /// What is read now belongs to the stretch that began then.
    fn stretch_of(&mut self, since_ns: Option<i64>) {
        if self.stretch.since_ns != since_ns {
            self.untold += self.stretch.untold();
            self.stretch = Stretch { since_ns, ..Stretch::default() };
        }
    }

    fn count(&mut self, result: &Result<Sample, String>) {
        self.stretch.newer = result.as_ref().ok().and_then(|sample| sample.outdated);
        self.stretch.told |= result.is_ok() && self.stretch.newer.is_none();
        match result {
            Ok(sample) => match &sample.violation {
                None => self.held += 1,
                Some(_) if sample.outdated.is_some() => {
                    self.outdated += 1;
                    self.stretch.outdated += 1;
                }
                // neither the one nor the other was shown
                Some(_) if sample.vacuous => self.missing += 1,
                Some(violation) => {
                    self.violated += 1;
                    self.first_violation.get_or_insert_with(|| {
                        format!("{violation}; observed: {}", sample.observed)
                    });
                }
            },
            Err(_) => self.missing += 1,
        }
    }

    fn says_too_little(&self, untold: usize) -> (Verdict, String) {
        let (held, read) = (self.held, self.held + self.violated);
        let why = format!(
            "held in {held} of {read} samples, and {untold} say nothing: no health check looked between \
             one injection or revert and the next\n\nhint: let it look more often"
        );
        (Verdict::Inconclusive, why)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn judge(&self, require: Require) -> (Verdict, String) {
        let read = self.held + self.violated;
        let all = self.all();
        if all == 0 && self.outdated > 0 {
            let why =
                "nothing was found out in its phase: the health check looks too seldom for that";
            return (Verdict::Inconclusive, why.into());
        }
        if all == 0 {
            return (
                Verdict::Inconclusive,
                "never read: its phase did not come, or was too short".into(),
            );
        }
        if self.missing as f64 > MISSING_ALLOWED * all as f64 {
            let why = format!("{} of {all} samples are missing", self.missing);
            return (Verdict::Inconclusive, why);
        }
        let untold = self.untold + self.stretch.untold();
        let is_settled = match require {
            Require::Always => self.violated > 0,
            Require::Never | Require::Eventually => self.held > 0,
            Require::AtLeast(_) => false,
        };
        if !is_settled && untold as f64 > MISSING_ALLOWED * (all + untold) as f64 {
            return self.says_too_little(untold);
        }
        let share = 100.0 * self.held as f64 / read as f64;
        let good = match require {
            Require::Always => self.violated == 0,
            Require::Never => self.held == 0,
            Require::Eventually => self.held > 0,
            Require::AtLeast(percent) => share >= percent.0,
        };
        let mut message = format!("held in {} of {read} samples", self.held);
        if let (false, Some(violation)) = (good, &self.first_violation) {
            message = format!("{message}; first: {violation}");
        }
        (if good { Verdict::Pass } else { Verdict::Fail }, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Percent;

    #[test]
    fn requirements() {
        let tally = Tally { held: 19, violated: 1, missing: 1, ..Tally::default() };
        assert_eq!(tally.judge(Require::Always).0, Verdict::Fail);
        assert_eq!(tally.judge(Require::AtLeast(Percent(95.0))).0, Verdict::Pass);
        assert_eq!(tally.judge(Require::Eventually).0, Verdict::Pass);
        assert_eq!(tally.judge(Require::Never).0, Verdict::Fail);
    }

    #[test]
    fn missing_samples_prove_nothing() {
        assert_eq!(Tally::default().judge(Require::Always).0, Verdict::Inconclusive);
        let gaps = Tally { held: 9, missing: 1, ..Tally::default() };
        assert_eq!(gaps.judge(Require::Always).0, Verdict::Inconclusive);
        let mut vacuous = Tally::default();
        vacuous.count(&Ok(Sample::proves_nothing("0 bytes", "they wait to be written")));
        let mut outdated = Tally::default();
        outdated.count(&Ok(Sample::outdated("healthy", "as of before", Duration::from_secs(1))));
        for require in [Require::Always, Require::Never, Require::Eventually] {
            assert_eq!(vacuous.judge(require).0, Verdict::Inconclusive);
            assert_eq!(outdated.judge(require).0, Verdict::Inconclusive);
        }
        outdated.count(&Ok(Sample::within("healthy")));
        assert_eq!(outdated.judge(Require::Always).0, Verdict::Pass, "it is not missing");
    }

    /// The check looked before the fault, and neither under it nor after it.
    #[test]
    fn what_held_before_says_nothing_of_what_came_after() {
        let mut tally = Tally::default();
        let held = Ok(Sample::within("healthy"));
        let outdated = Ok(Sample::outdated("healthy", "as of before", Duration::from_secs(1)));
        (0..20).for_each(|_| tally.count(&held));
        tally.stretch_of(Some(1));
        (0..5).for_each(|_| tally.count(&outdated));
        assert_eq!(tally.judge(Require::Always).0, Verdict::Inconclusive);
        assert_eq!(tally.judge(Require::AtLeast(Percent(50.0))).0, Verdict::Inconclusive);
        assert_eq!(tally.judge(Require::Eventually).0, Verdict::Pass);
        assert_eq!(tally.judge(Require::Never).0, Verdict::Fail);
        tally.stretch_of(Some(2));
        tally.count(&held);
        assert_eq!(tally.judge(Require::Always).0, Verdict::Inconclusive, "of the one before");
        tally.stretch_of(Some(3));
        (0..5).for_each(|_| tally.count(&outdated));
        tally.count(&held);
        assert_eq!(tally.untold, 5, "that stretch is told");
    }
}
