//! `ledger`: what a workload was promised, and what became of it.
//!
//! Rates and counts of acknowledgements are read while the load goes on. What was lost, torn or
//! made up is known only by reading everything back, which stops the load: once in a case.

use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong},
};
use crate::{
    ledger::LedgerReport,
    protocol::{Capability, LoadCall, LoadReply, LoadStats},
    units::{Duration, Percent},
};

/// Records of a workload: acknowledged how fast, and lost or damaged.
///
/// Any of `lost` to `reordered`, and the longest gap, stop the load, read everything back and judge:
/// use those under `verify`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The workload.
    workload: String,
    /// Read back from this service instead, which got the records from the one that was loaded.
    read_from: Option<String>,
    /// With `read_from`: the records may take so long to arrive after the load has stopped.
    #[serde(default = "default_within")]
    within: Duration,
    /// Acknowledged and absent.
    lost: Option<Bounds<u64>>,
    /// Present with another checksum, key or content.
    corrupt: Option<Bounds<u64>>,
    /// Present in part.
    torn: Option<Bounds<u64>>,
    /// Present and never asked for.
    phantom: Option<Bounds<u64>>,
    /// Present more than once.
    duplicated: Option<Bounds<u64>>,
    /// Present out of order.
    reordered: Option<Bounds<u64>>,
    /// Acknowledged per second since the step began: `{ min: 20 }`.
    acked_per_second: Option<Bounds<f64>>,
    /// Acknowledged since the load started.
    acknowledged: Option<Bounds<u64>>,
    /// Share of all attempts from the first acknowledgement on that were acknowledged:
    /// `{ min: 99.8% }`.
    acknowledged_share: Option<Bounds<Percent>>,
    /// Longest time without an acknowledgement: `{ max: 850ms }`.
    longest_gap: Option<Bounds<Duration>>,
}

fn default_within() -> Duration {
    Duration::from_secs(5)
}

/// A kind of damage: its name, what is allowed of it, and how to find its count.
type Damage = (&'static str, Option<Bounds<u64>>, fn(&LedgerReport) -> u64);

/// The load is stopped, and all that it wrote is read back, by a service that may only come up again.
pub const JUDGING: time::Duration = time::Duration::from_secs(120);

/// A rate over less than this is chance.
const LEAST_MICROS: u64 = 100_000;

impl Ledger {
    /// The bounds on what only reading back can tell, by name, with how to find each.
    fn damage(&self) -> [Damage; 6] {
        [
            ("lost", self.lost, LedgerReport::unreadable),
            ("corrupt", self.corrupt, |report| report.corrupt),
            ("torn", self.torn, |report| report.torn),
            ("phantom", self.phantom, |report| report.phantom),
            ("duplicated", self.duplicated, |report| report.duplicated),
            ("reordered", self.reordered, |report| report.reordered),
        ]
    }

    fn judges(&self) -> bool {
        let damage = self.damage().iter().any(|(_, bounds, _)| bounds.is_some());
        damage || self.longest_gap.is_some()
    }

    async fn stats(&self, cx: &dyn ProbeCx) -> Result<LoadStats, ProbeError> {
        match cx.helper().load(LoadCall::Stats { name: cx.load(&self.workload) }).await? {
            LoadReply::Stats(stats) => Ok(stats),
            other => Err(ProbeError::Unexpected(format!("{other:?}"))),
        }
    }

    fn judge_stats(&self, stats: &LoadStats, baseline: &LoadStats) -> Sample {
        let rate = rate(stats, baseline);
        let mut wrong = Wrong::default();
        match (self.acked_per_second, rate) {
            (Some(bounds), Some(rate)) => {
                wrong.add(bounds.violation("acknowledged per second", rate));
            }
            (Some(_), None) => wrong.add(Some("no rate can be told yet".into())),
            (None, _) => {}
        }
        let acknowledged = stats.acknowledged;
        wrong.add(self.acknowledged.and_then(|n| n.violation("number acknowledged", acknowledged)));
        let share = share(stats);
        wrong.add(self.acknowledged_share.and_then(|it| it.violation("share acknowledged", share)));
        let rate = rate.unwrap_or_default();
        let error =
            stats.last_error.as_ref().map(|error| format!("; last {}", subject::brief(error)));
        let observed = format!(
            "{rate} acknowledged per second, {acknowledged} in all, {} refused, {} unknown{}",
            stats.failed,
            stats.indeterminate,
            error.unwrap_or_default()
        );
        Sample::judged(observed, wrong.violation()).number(rate, Unit::RecordsPerSecond)
    }

    fn judge_report(&self, report: &LedgerReport) -> Sample {
        let mut wrong = Wrong::default();
        for (name, bounds, count) in self.damage() {
            let what = format!("number {name}");
            wrong.add(bounds.and_then(|bounds| bounds.violation(&what, count(report))));
        }
        let acknowledged = report.acknowledged;
        match self.acknowledged {
            Some(bounds) => wrong.add(bounds.violation("number acknowledged", acknowledged)),
            // nothing promised is nothing lost, and that proves nothing
            None => wrong.unless(acknowledged > 0, || "nothing was acknowledged".into()),
        }
        let gap = Duration::from_millis(report.max_gap_us.div_ceil(1000));
        wrong.add(self.longest_gap.and_then(|it| it.violation("longest gap", gap)));
        let mut counts: Vec<_> = self
            .damage()
            .iter()
            .map(|(name, _, count)| format!("{} {name}", count(report)))
            .collect();
        counts.push(format!("longest gap {gap}"));
        let observed = format!(
            "of {} records {acknowledged} acknowledged, {}",
            report.attempted,
            counts.join(", ")
        );
        Sample::judged(observed, wrong.violation())
            .number(report.unreadable() as f64, Unit::LostRecords)
    }

    async fn judged(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let name = cx.load(&self.workload);
        let call = match &self.read_from {
            None => LoadCall::Judge { name },
            Some(service) => {
                let Some(place) = cx.place(service, "/") else {
                    return Ok(Sample::outside("no container", subject::NEVER));
                };
                let within_ms = u64::try_from(self.within.0.as_millis()).unwrap_or(u64::MAX);
                LoadCall::JudgeAt { name, place, within_ms }
            }
        };
        match cx.helper().load(call).await? {
            LoadReply::Ledger(Ok(report)) => Ok(self.judge_report(&report)),
            LoadReply::Ledger(Err(reason)) => Ok(Sample::outside(
                "not read back",
                format!("the records could not be read back: {reason}"),
            )),
            other => Err(ProbeError::Unexpected(format!("{other:?}"))),
        }
    }
}

/// Share of the attempts that were acknowledged, of those that have ended since the first one was,
/// to a hundredth of a percent.
fn share(stats: &LoadStats) -> Percent {
    let ended = stats.acknowledged + stats.failed + stats.indeterminate;
    let counted = ended.saturating_sub(stats.early).max(1);
    Percent((stats.acknowledged as f64 * 1e4 / counted as f64).floor() / 100.0)
}

/// Acknowledged per second since the baseline, to a tenth; none where too little time has passed.
fn rate(stats: &LoadStats, baseline: &LoadStats) -> Option<f64> {
    let micros = stats.elapsed_us.checked_sub(baseline.elapsed_us)?;
    let count = stats.acknowledged.saturating_sub(baseline.acknowledged);
    let rate = || (count as f64 * 1e7 / micros as f64).round() / 10.0;
    (micros >= LEAST_MICROS).then(rate)
}

impl Probe for Ledger {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "ledger: { workload: records, lost: 0, corrupt: 0 }";

    fn service(&self) -> Option<&str> {
        None
    }

    fn workload(&self) -> Option<&str> {
        Some(&self.workload)
    }

    fn describe(&self) -> String {
        let mut wanted: Vec<_> = self
            .damage()
            .iter()
            .filter_map(|(name, bounds, _)| bounds.map(|bounds| format!("{bounds} {name}")))
            .collect();
        let rate = self.acked_per_second;
        wanted.extend(rate.map(|bounds| format!("{bounds} acknowledged per second")));
        wanted.extend(self.acknowledged.map(|bounds| format!("{bounds} acknowledged")));
        wanted
            .extend(self.acknowledged_share.map(|bounds| format!("{bounds} of all acknowledged")));
        wanted.extend(self.longest_gap.map(|bounds| format!("gaps of {bounds}")));
        let at = self.read_from.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
        format!("{}{at}: {}", self.workload, wanted.join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        for (name, bounds, _) in self.damage() {
            wrong.add(bounds.and_then(|bounds| bounds.check(name)));
        }
        wrong.add(self.acked_per_second.and_then(|bounds| bounds.check("acked_per_second")));
        wrong.add(self.acknowledged.and_then(|bounds| bounds.check("acknowledged")));
        wrong.add(self.acknowledged_share.and_then(|it| it.check("acknowledged_share")));
        wrong.add(self.longest_gap.and_then(|bounds| bounds.check("longest_gap")));
        let stats = self.acked_per_second.is_some() || self.acknowledged_share.is_some();
        let asks = self.judges() || stats || self.acknowledged.is_some();
        wrong.unless(asks, || subject::expects_nothing("lost: 0"));
        wrong.unless(self.read_from.is_none() || self.judges(), || {
            "nothing is read back\n\nhint: add `lost: 0`, or remove `read_from`".into()
        });
        wrong.list()
    }

    fn peer(&self) -> Option<(&'static str, &str)> {
        self.read_from.as_deref().map(|service| ("read_from", service))
    }

    fn stops_its_load(&self) -> bool {
        self.judges()
    }

    fn deadline(&self) -> time::Duration {
        let arriving = self.read_from.as_ref().map_or(time::Duration::ZERO, |_| self.within.0);
        let reading = if self.judges() { JUDGING } else { time::Duration::from_secs(5) };
        reading.saturating_add(arriving)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        if !self.judges() {
            let baseline = cx.baseline(&self.workload).unwrap_or_default();
            return Ok(self.judge_stats(&self.stats(cx).await?, &baseline));
        }
        // rate and share first: judging stops the load
        let pace = if self.acked_per_second.is_some() || self.acknowledged_share.is_some() {
            let baseline = cx.baseline(&self.workload).unwrap_or_default();
            let pace_only = Self { acknowledged: None, ..self.clone() };
            pace_only.judge_stats(&self.stats(cx).await?, &baseline).violation
        } else {
            None
        };
        let mut sample = self.judged(cx).await?;
        let both: Vec<_> = sample.violation.take().into_iter().chain(pace).collect();
        sample.violation = (!both.is_empty()).then(|| both.join(", "));
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Ledger {
        serde_saphyr::from_str(&format!("{{ workload: records{rest} }}")).unwrap()
    }

    fn stats(elapsed_us: u64, acknowledged: u64) -> LoadStats {
        LoadStats { elapsed_us, acknowledged, ..LoadStats::default() }
    }

    #[tokio::test]
    async fn rates_count_from_the_baseline_and_leave_the_load_alone() {
        let mut world = World::default();
        world.baseline = Some(stats(10_000_000, 1000));
        world.set().stats = stats(12_000_000, 1050);
        let sample = probe(", acked_per_second: { min: 25 }").read(&world).await.unwrap();
        assert!(sample.holds() && sample.number == Some(25.0), "{sample:?}");
        assert!(!probe(", acked_per_second: { min: 26 }").read(&world).await.unwrap().holds());
        assert!(probe(", acknowledged: 1050").read(&world).await.unwrap().holds());
        let judged = |call: &LoadCall| matches!(call, LoadCall::Judge { .. });
        assert!(!world.set().load_calls.iter().any(judged));
        world.baseline = Some(stats(11_999_999, 1050));
        let early = probe(", acked_per_second: { min: 0 }").read(&world).await.unwrap();
        assert!(!early.holds(), "a rate over a microsecond is chance");
    }

    #[tokio::test]
    async fn damage_is_judged_by_reading_back() {
        let world = World::default();
        let report =
            LedgerReport { attempted: 12, acknowledged: 10, lost: 2, ..LedgerReport::default() };
        world.set().ledger = Ok(report);
        let sample = probe(", lost: 0, corrupt: 0").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "number lost is 2, not 0");
        assert!(probe(", corrupt: 0").read(&world).await.unwrap().holds());
        assert!(probe(", lost: { max: 2 }, acknowledged: 10").read(&world).await.unwrap().holds());
        let name = "r1-records".to_owned();
        assert_eq!(world.set().load_calls[0], LoadCall::Judge { name });
    }

    #[tokio::test]
    async fn every_kind_of_damage_has_its_own_bound() {
        let world = World::default();
        {
            let mut world = world.set();
            let report = world.ledger.as_mut().unwrap();
            (report.acknowledged, report.lost, report.corrupt, report.torn) = (9, 1, 2, 3);
            (report.phantom, report.duplicated, report.reordered) = (4, 5, 6);
        }
        for (name, count) in [
            ("lost", 1),
            ("corrupt", 2),
            ("torn", 3),
            ("phantom", 4),
            ("duplicated", 5),
            ("reordered", 6),
        ] {
            let (right, wrong) = (format!(", {name}: {count}"), format!(", {name}: 0"));
            assert!(probe(&right).read(&world).await.unwrap().holds(), "{right}");
            assert!(!probe(&wrong).read(&world).await.unwrap().holds(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_share_and_the_longest_gap_are_what_a_user_feels_of_a_takeover() {
        let world = World::default();
        // while it came up, 30 were refused: nobody had been promised anything
        let (acknowledged, failed, early) = (998, 31, 30);
        world.set().stats =
            LoadStats { acknowledged, failed, indeterminate: 1, early, ..LoadStats::default() };
        let max_gap_us = 120_000;
        world.set().ledger =
            Ok(LedgerReport { acknowledged, max_gap_us, ..LedgerReport::default() });
        for good in [", acknowledged_share: { min: 99.8% }", ", longest_gap: { max: 120ms }"] {
            assert!(probe(good).read(&world).await.unwrap().holds(), "{good}");
        }
        for wrong in [
            ", acknowledged_share: { min: 99.81% }",
            ", longest_gap: { max: 119ms }",
            ", acknowledged_share: { min: 99.81% }, longest_gap: { max: 120ms }",
        ] {
            assert!(!probe(wrong).read(&world).await.unwrap().holds(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_back_or_was_never_promised_is_a_violation() {
        let world = World::default();
        let nothing = probe(", lost: 0").read(&world).await.unwrap();
        assert_eq!(nothing.violation.unwrap(), "nothing was acknowledged");
        world.set().ledger = Err("connection refused".into());
        assert!(!probe(", lost: 0").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn a_rate_beside_damage_is_read_before_the_load_is_stopped() {
        let world = World::default();
        let report = LedgerReport { acknowledged: 10, ..LedgerReport::default() };
        world.set().ledger = Ok(report);
        world.set().stats = stats(1_000_000, 10);
        let both = probe(", lost: 0, acked_per_second: { min: 20 }").read(&world).await.unwrap();
        assert_eq!(both.violation.unwrap(), "acknowledged per second is 10, not at least 20");
        let calls = &world.set().load_calls;
        assert!(matches!(calls[..], [LoadCall::Stats { .. }, LoadCall::Judge { .. }]));
    }

    #[tokio::test]
    async fn another_service_can_be_what_is_read_back() {
        let world = World::default();
        world.set().ledger = Ok(LedgerReport { acknowledged: 10, ..LedgerReport::default() });
        let at = probe(", read_from: agent, within: 2s, lost: 0");
        assert!(at.read(&world).await.unwrap().holds());
        let calls = std::mem::take(&mut world.set().load_calls);
        assert!(matches!(calls[..], [LoadCall::JudgeAt { within_ms: 2000, .. }]), "{calls:?}");
        let nowhere = probe(", read_from: db, lost: 0").read(&world).await.unwrap();
        assert_eq!(nowhere.violation.unwrap(), subject::NEVER);
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", read_from: agent, acknowledged: 1").check().len(), 1);
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", lost: {}").check().len(), 1);
    }
}
