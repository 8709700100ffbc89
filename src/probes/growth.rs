//! `growth`: how fast a filesystem, or a directory, fills up, and when it would be full. Changes
//! nothing.
//!
//! A reading looks several times and fits a line, since what is swept from time to time goes up and
//! down.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong},
};
use crate::{
    protocol::{Capability, Place, Read, Reading},
    units::{Duration, Size},
};

/// How fast a path fills up, and how long until it is full.
///
/// Looks several times within `over` and fits a line. Counted is the filesystem under the path, or
/// with `tree` the files below it alone. What shrinks or stands still is never full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// Count the files below the path, not the whole filesystem.
    #[serde(default)]
    tree: bool,
    /// Growth in bytes per second; 0 when it shrinks: `{ max: 64KiB }`.
    bytes_per_second: Option<Bounds<Size>>,
    /// Growth in inodes per second; negative when it shrinks.
    inodes_per_second: Option<Bounds<f64>>,
    /// Time until bytes or inodes run out at this pace: `{ min: 10m }`.
    time_to_full: Option<Bounds<Duration>>,
    /// How long it is looked at.
    #[serde(default = "default_over")]
    over: Duration,
}

fn default_over() -> Duration {
    Duration::from_secs(2)
}

/// Looks per reading.
const LOOKS: u32 = 9;
/// A longer look would outlast every step.
const LONGEST: Duration = Duration::from_secs(60);
/// What never fills up is said to take this long.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One look.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Seconds since the first.
    at: f64,
    bytes: f64,
    inodes: f64,
    /// Free now; none where there is no limit.
    bytes_free: f64,
    inodes_free: Option<f64>,
}

/// What a reading came to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trend {
    bytes: f64,
    inodes: f64,
    full: Duration,
}

/// Least squares: the slope of the line through the points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / n, y / n);
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        let dx = point.0 - x;
        (above + dx * (point.1 - y), below + dx * dx)
    });
    if below == 0.0 { 0.0 } else { above / below }
}

fn time_until(free: f64, pace: f64) -> Duration {
    let seconds = if pace > 0.0 { free / pace } else { f64::INFINITY };
    if seconds < NEVER.0.as_secs_f64() {
        Duration(Time::from_secs(Time::from_secs_f64(seconds).as_secs()))
    } else {
        NEVER
    }
}

fn trend(looks: &[Look]) -> Trend {
    let points = |of: fn(&Look) -> f64| looks.iter().map(|look| (look.at, of(look))).collect();
    let (bytes, inodes): (Vec<_>, Vec<_>) = (points(|l| l.bytes), points(|l| l.inodes));
    let (bytes, inodes) = (slope(&bytes), slope(&inodes));
    let full = looks.last().map_or(NEVER, |last| {
        let of_inodes = last.inodes_free.map_or(NEVER, |free| time_until(free, inodes));
        time_until(last.bytes_free, bytes).min(of_inodes)
    });
    Trend { bytes, inodes, full }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, above 0")]
fn size(bytes: f64) -> Size {
    Size(bytes.max(0.0) as u64)
}

impl Growth {
    fn judge(&self, trend: Trend) -> Option<String> {
        let mut wrong = Wrong::default();
        let bytes = size(trend.bytes);
        wrong.add(self.bytes_per_second.and_then(|n| n.violation("growth per second", bytes)));
        let inodes = (trend.inodes * 10.0).round() / 10.0;
        wrong.add(
            self.inodes_per_second.and_then(|n| n.violation("growth in inodes per second", inodes)),
        );
        wrong.add(self.time_to_full.and_then(|n| n.violation("time to full", trend.full)));
        wrong.violation()
    }

    fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.bytes_per_second.map(|n| format!("grows by {n} per second")));
        details.extend(self.inodes_per_second.map(|n| format!("grows by {n} inodes per second")));
        details.extend(self.time_to_full.map(|n| format!("is full in {n}")));
        details
    }

    async fn look(
        &self,
        place: &Place,
        started: Instant,
        cx: &dyn ProbeCx,
    ) -> Result<Result<Look, Sample>, ProbeError> {
        let fs = match subject::read(cx, place, Read::Fs(place.clone())).await? {
            Ok(Reading::Fs(fs)) => fs,
            Ok(other) => return Err(super::unexpected(&other)),
            Err(sample) => return Ok(Err(sample)),
        };
        let (mut bytes, mut inodes) = (
            fs.bytes_total.saturating_sub(fs.bytes_free),
            fs.inodes_total.saturating_sub(fs.inodes_free),
        );
        if self.tree {
            let tree = match subject::read(cx, place, Read::Tree(place.clone())).await? {
                Ok(Reading::Tree(tree)) => tree,
                Ok(other) => return Err(super::unexpected(&other)),
                Err(sample) => return Ok(Err(sample)),
            };
            (bytes, inodes) = (tree.bytes, tree.entries);
        }
        Ok(Ok(Look {
            at: started.elapsed().as_secs_f64(),
            bytes: bytes as f64,
            inodes: inodes as f64,
            bytes_free: fs.bytes_available as f64,
            inodes_free: (fs.inodes_total > 0).then_some(fs.inodes_free as f64),
        }))
    }
}

impl Probe for Growth {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "growth: { service: agent, path: /data, bytes_per_second: { max: 64KiB } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        format!("{}: `{}` {}", self.service, self.path, self.details().join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.bytes_per_second.and_then(|bounds| bounds.check("bytes_per_second")));
        wrong.add(self.inodes_per_second.and_then(|bounds| bounds.check("inodes_per_second")));
        wrong.add(self.time_to_full.and_then(|bounds| bounds.check("time_to_full")));
        wrong.unless(!self.details().is_empty(), || {
            subject::expects_nothing("bytes_per_second: { max: 64KiB }")
        });
        let long_enough = self.over >= Duration::from_millis(100) && self.over <= LONGEST;
        wrong.unless(long_enough, || {
            format!("`over: {}` tells no growth\n\nhint: write `100ms` to {LONGEST}", self.over)
        });
        wrong.list()
    }

    fn deadline(&self) -> Time {
        self.over.0 * 2 + Time::from_secs(5)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let (started, mut looks) = (Instant::now(), Vec::new());
        for n in 1..=LOOKS {
            match self.look(&place, started, cx).await? {
                Ok(look) => looks.push(look),
                Err(sample) => return Ok(sample),
            }
            if n < LOOKS {
                sleep(self.over.0 / (LOOKS - 1)).await;
            }
        }
        let trend = trend(&looks);
        let full = if trend.full == NEVER { "never".into() } else { trend.full.to_string() };
        let observed =
            format!("{:+.0} bytes/s, {:+.1} inodes/s, full: {full}", trend.bytes, trend.inodes);
        Ok(Sample::judged(observed, self.judge(trend)).number(trend.bytes, Unit::BytesPerSecond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Growth {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data{rest} }}")).unwrap()
    }

    fn look(at: f64, bytes: f64) -> Look {
        Look { at, bytes, inodes: 10.0 * at, bytes_free: 1000.0 - bytes, inodes_free: None }
    }

    #[test]
    fn a_line_is_fitted_and_followed_to_the_end() {
        let looks: Vec<_> = (0..9).map(|n| look(f64::from(n), 100.0 * f64::from(n))).collect();
        let trend = trend(&looks);
        assert!((trend.bytes - 100.0).abs() < 1e-9 && (trend.inodes - 10.0).abs() < 1e-9);
        assert_eq!(trend.full, Duration::from_secs(2));
    }

    #[test]
    fn a_sawtooth_grows_little_and_what_shrinks_is_never_full() {
        let saw: Vec<_> = (0..9).map(|n| look(f64::from(n), 50.0 * f64::from(n % 3))).collect();
        assert!(trend(&saw).bytes.abs() < 10.0, "{:?}", trend(&saw));
        let down: Vec<_> = (0..9).map(|n| look(f64::from(n), -f64::from(n))).collect();
        assert_eq!(trend(&down).full, NEVER);
        assert_eq!(size(trend(&down).bytes), Size(0));
    }

    #[test]
    fn bounds_are_judged() {
        let trend = Trend { bytes: 2048.0, inodes: 1.5, full: Duration::from_secs(30) };
        for good in [
            ", bytes_per_second: { max: 2KiB }",
            ", inodes_per_second: { min: 1, max: 2 }",
            ", time_to_full: { min: 30s }",
        ] {
            assert_eq!(probe(good).judge(trend), None, "{good}");
        }
        for bad in [
            ", bytes_per_second: { max: 1KiB }",
            ", inodes_per_second: { max: 1 }",
            ", time_to_full: { min: 1m }",
        ] {
            assert!(probe(bad).judge(trend).is_some(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_does_not_grow() {
        let world = World::default();
        let sample = probe(", time_to_full: { min: 24h }").read(&world).await.unwrap();
        assert!(sample.holds(), "{sample:?}");
        assert_eq!(sample.observed, "+0 bytes/s, +0.0 inodes/s, full: never");
        let sample = probe(", bytes_per_second: { min: 1B }").read(&world).await.unwrap();
        assert!(!sample.holds());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", over: 1ms, time_to_full: { min: 1s }").check().len(), 1);
    }
}
