//! `latency`: how long a workload waits for its acknowledgements, by percentiles. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bounds, Probe, ProbeCx, ProbeError, Sample, Unit, subject::Wrong};
use crate::{
    protocol::{Capability, Histogram, LoadCall, LoadReply},
    units::Duration,
};

/// Percentiles of how long a workload waits to be acknowledged.
///
/// Over what was acknowledged since the step began, or in the last 600 ms where that is less. Right
/// to a sixteenth. Operations that were refused, or that nobody knows of, have no latency: bound
/// those with `ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The workload.
    workload: String,
    /// The median.
    p50: Option<Bounds<Duration>>,
    /// The 95th percentile.
    p95: Option<Bounds<Duration>>,
    /// The 99th percentile.
    p99: Option<Bounds<Duration>>,
    /// The longest.
    max: Option<Bounds<Duration>>,
    /// Fewer acknowledgements prove nothing, and are a violation.
    #[serde(default = "default_least")]
    #[schemars(range(min = 1))]
    least: u64,
}

fn default_least() -> u64 {
    20
}

fn micros(value: u64) -> Duration {
    Duration(std::time::Duration::from_micros(value))
}

impl Latency {
    /// The bounds by name, each with its percentile.
    fn bounds(&self) -> [(&'static str, u64, Option<Bounds<Duration>>); 4] {
        [
            ("p50", 50, self.p50),
            ("p95", 95, self.p95),
            ("p99", 99, self.p99),
            ("max", 100, self.max),
        ]
    }

    fn judge(&self, window: &Histogram) -> Sample {
        let (mut wrong, count) = (Wrong::default(), window.count());
        wrong.unless(count >= self.least, || {
            format!("only {count} acknowledgements, fewer than {}", self.least)
        });
        let found = self.bounds().map(|(name, percent, bounds)| {
            let value = micros(window.at(percent));
            wrong.add(bounds.and_then(|bounds| bounds.violation(name, value)));
            format!("{name} {value}")
        });
        let observed = format!("{} of {count} acknowledgements", found.join(", "));
        Sample::judged(observed, wrong.violation())
            .number(window.at(99) as f64 / 1e3, Unit::Milliseconds)
    }
}

impl Probe for Latency {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "latency: { workload: records, p99: { max: 50ms } }";

    fn service(&self) -> Option<&str> {
        None
    }

    fn workload(&self) -> Option<&str> {
        Some(&self.workload)
    }

    fn describe(&self) -> String {
        let wanted = self.bounds();
        let wanted = wanted
            .iter()
            .filter_map(|(name, _, bounds)| bounds.map(|bounds| format!("{name} {bounds}")));
        format!("{}: {}", self.workload, wanted.collect::<Vec<_>>().join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        for (name, _, bounds) in self.bounds() {
            wrong.add(bounds.and_then(|bounds| bounds.check(name)));
        }
        wrong.unless(self.bounds().iter().any(|(.., bounds)| bounds.is_some()), || {
            "`latency` bounds nothing, so it cannot fail\n\nhint: add `p99: { max: 50ms }`".into()
        });
        wrong.unless(self.least > 0, || {
            "`least: 0` lets nothing at all be judged\n\nhint: leave it out, or write `least: 20`"
                .into()
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let call = LoadCall::Stats { name: cx.load(&self.workload) };
        let stats = match cx.helper().load(call).await? {
            LoadReply::Stats(stats) => stats,
            other => return Err(ProbeError::Unexpected(format!("{other:?}"))),
        };
        let start = cx.baseline(&self.workload).unwrap_or_default();
        Ok(self.judge(&stats.latencies.since(&start.latencies)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, protocol::LoadStats};

    fn probe(rest: &str) -> Latency {
        serde_saphyr::from_str(&format!("{{ workload: records{rest} }}")).unwrap()
    }

    fn stats(fast: u64, slow: u64) -> LoadStats {
        let mut latencies = Histogram::default();
        (0..fast).for_each(|_| latencies.add(1024));
        (0..slow).for_each(|_| latencies.add(65_536));
        LoadStats { latencies, ..LoadStats::default() }
    }

    #[tokio::test]
    async fn the_window_alone_is_judged_by_its_percentiles() {
        // what was slow before the step began does not count
        let mut world = World::default();
        world.baseline = Some(stats(0, 900));
        world.set().stats = stats(98, 902);
        let holds =
            async |world: &World, rest: &str| probe(rest).read(world).await.unwrap().holds();
        assert!(holds(&world, ", p50: { max: 2ms }, p95: { max: 2ms }").await);
        assert!(!holds(&world, ", p99: { max: 50ms }").await);
        assert!(holds(&world, ", p99: { min: 50ms }, max: { max: 100ms }").await);
        assert!(!holds(&world, ", p50: { max: 2ms }, least: 101").await, "too few");
        world.baseline = Some(stats(98, 902));
        assert!(!holds(&world, ", p50: { max: 2ms }").await, "none at all");
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", p99: { min: 5ms, max: 1ms }, least: 0").check().len(), 2);
        assert_eq!(probe(", p99: { max: 1ms }").check().len(), 0);
    }
}
