//! `write-amplification`: how many bytes reach a device for each byte that was acknowledged. Changes
//! nothing.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong},
};
use crate::{
    protocol::{Capability, LoadCall, LoadReply, LoadStats, Place, Read, Reading},
    units::Duration,
};

/// Bytes that reach a device for each byte that was acknowledged.
///
/// Of the records of a workload. Looks twice, `over` apart. Whatever else is written to that device
/// counts as well: journals, logs, other services. So it says something of a volume with a filesystem
/// of its own. Where less was written than was acknowledged, it waits in memory, and nothing is
/// proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteAmplification {
    /// The workload whose records are written.
    workload: String,
    /// The service.
    service: String,
    /// Absolute path in the container, on the device.
    path: String,
    /// Bytes written for each that was acknowledged: `{ max: 2 }`.
    ratio: Bounds<f64>,
    /// How long it is looked at.
    #[serde(default = "default_over")]
    over: Duration,
    /// Fewer acknowledgements meanwhile prove nothing, and are a violation.
    #[serde(default = "default_least")]
    #[schemars(range(min = 1))]
    least: u64,
}

fn default_over() -> Duration {
    Duration::from_secs(2)
}

fn default_least() -> u64 {
    20
}

/// A longer look would outlast every step.
const LONGEST: Duration = Duration::from_secs(60);

/// One look.
struct Look {
    load: LoadStats,
    written: u64,
}

impl WriteAmplification {
    async fn look(
        &self,
        place: &Place,
        cx: &dyn ProbeCx,
    ) -> Result<Result<Look, Sample>, ProbeError> {
        let call = LoadCall::Stats { name: cx.load(&self.workload) };
        let load = match cx.helper().load(call).await? {
            LoadReply::Stats(load) => load,
            other => return Err(ProbeError::Unexpected(format!("{other:?}"))),
        };
        match subject::read(cx, place, Read::Written(place.clone())).await? {
            Ok(Reading::Written(Some(written))) => Ok(Ok(Look { load, written })),
            Ok(Reading::Written(None)) => Err(ProbeError::Unusable(format!(
                "no single device lies beneath `{}`\n\nhint: give the volume a filesystem of its own: \
                 `ext4: {{ size: 64MiB }}`",
                self.path
            ))),
            Ok(other) => Err(super::unexpected(&other)),
            Err(sample) => Ok(Err(sample)),
        }
    }

    fn judge(&self, from: &Look, to: &Look) -> Sample {
        let acknowledged = to.load.acknowledged.saturating_sub(from.load.acknowledged);
        let bytes = to.load.bytes.saturating_sub(from.load.bytes);
        let written = to.written.saturating_sub(from.written);
        // to a hundredth
        let ratio = (written as f64 / bytes.max(1) as f64 * 1e2).round() / 1e2;
        let mut wrong = Wrong::default();
        wrong.unless(acknowledged >= self.least, || {
            format!("only {acknowledged} acknowledgements, fewer than {}", self.least)
        });
        wrong.add(self.ratio.violation("write amplification", ratio));
        let observed =
            format!("{written} bytes written for {bytes} in {acknowledged} records: {ratio} ×");
        if acknowledged >= self.least && written < bytes {
            let why = "less reached the device than was acknowledged: it waits in memory, or another \
                       device has come";
            return Sample::proves_nothing(observed, why).number(ratio, Unit::Times);
        }
        Sample::judged(observed, wrong.violation()).number(ratio, Unit::Times)
    }
}

impl Probe for WriteAmplification {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "write-amplification: { workload: records, service: agent, path: /data, ratio: { max: 2 } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn workload(&self) -> Option<&str> {
        Some(&self.workload)
    }

    fn describe(&self) -> String {
        let Self { workload, service, path, ratio, .. } = self;
        format!("{service}: write amplification of {workload} at `{path}` {ratio}")
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.ratio.check("ratio"));
        let long_enough = self.over >= Duration::from_millis(100) && self.over <= LONGEST;
        wrong.unless(long_enough, || {
            format!("`over: {}` tells nothing\n\nhint: write `100ms` to {LONGEST}", self.over)
        });
        wrong.unless(self.least > 0, || {
            "`least: 0` lets nothing at all be judged\n\nhint: leave it out, or write `least: 20`"
                .into()
        });
        wrong.list()
    }

    fn deadline(&self) -> Time {
        self.over.0 + Time::from_secs(5)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let from = match self.look(&place, cx).await? {
            Ok(look) => look,
            Err(sample) => return Ok(sample),
        };
        sleep(self.over.0).await;
        Ok(match self.look(&place, cx).await? {
            Ok(to) => self.judge(&from, &to),
            Err(sample) => sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> WriteAmplification {
        let yaml = format!("{{ workload: records, service: agent, path: /data, {rest} }}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    fn look(acknowledged: u64, bytes: u64, written: u64) -> Look {
        Look { load: LoadStats { acknowledged, bytes, ..LoadStats::default() }, written }
    }

    #[test]
    fn what_was_written_meanwhile_is_set_against_what_was_acknowledged_meanwhile() {
        let (from, to) = (look(100, 1000, 9000), look(200, 5000, 14_000));
        let sample = probe("ratio: { max: 2 }").judge(&from, &to);
        assert_eq!(sample.observed, "5000 bytes written for 4000 in 100 records: 1.25 ×");
        assert!(sample.holds());
        assert!(!probe("ratio: { max: 1.2 }").judge(&from, &to).holds());
        assert!(!probe("ratio: { max: 2 }, least: 101").judge(&from, &to).holds(), "too few");
        assert!(!probe("ratio: { max: 2 }").judge(&from, &from).holds(), "nothing at all");
        for written in [9100, 10] {
            let sample = probe("ratio: { max: 2 }").judge(&from, &look(200, 5000, written));
            assert!(sample.vacuous, "what waits in memory, and another device: {sample:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_device_there_is_nothing_to_count() {
        let world = World::default();
        let error = probe("ratio: { max: 2 }").read(&world).await.unwrap_err().to_string();
        assert!(error.contains("ext4: { size: 64MiB }"), "{error}");
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("ratio: { max: 2 }").check(), Vec::<String>::new());
        assert_eq!(probe("ratio: { min: 3, max: 2 }, over: 1ms, least: 0").check().len(), 3);
    }
}
