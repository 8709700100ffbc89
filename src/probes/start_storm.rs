//! `start-storm`: many containers started at once, and how long each start took.
//!
//! The containers are the run's: labelled like its subjects, so that whoever cleans the run up
//! removes them too. They are removed as soon as they were measured. Nothing else is changed.

use std::time::{Duration as Time, Instant};

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong},
    unexpected,
};
use crate::{
    protocol::{Capability, EngineOp, Place, Read, Reading},
    runtime::{ContainerSpec, PROGRAM, RuntimeError, labels},
    units::Duration,
};

/// Many containers start at once, none fails, and none takes too long.
///
/// They run the image of a service, with no mount and no network, and are removed afterwards. What
/// is measured is the engine's own answer: layers mounted, namespaces made, the program started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartStorm {
    /// The service whose image they run.
    service: String,
    /// How many.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1, max = 100))]
    count: u32,
    /// They are reference subjects, and start on the engine that the service is: one of the image
    /// `keelhaul/engine`.
    #[serde(default)]
    inside: bool,
    /// What each runs; the reference subject without it.
    command: Option<Vec<String>>,
    /// Half of the starts take this long at most.
    p50: Option<Duration>,
    /// 95 of 100 starts take this long at most.
    p95: Option<Duration>,
    /// So many starts may fail.
    #[serde(default)]
    failed: u32,
}

fn default_count() -> u32 {
    10
}

const MOST: u32 = 100;

/// What became of a storm.
#[derive(Debug, Clone, PartialEq)]
struct Storm {
    /// How long each start took that worked, shortest first.
    took: Vec<Time>,
    /// Why others did not.
    failures: Vec<String>,
}

impl Storm {
    fn of(starts: Vec<Result<Time, String>>) -> Self {
        let (mut took, mut failures) = (Vec::new(), Vec::new());
        for start in starts {
            match start {
                Ok(time) => took.push(time),
                Err(why) => failures.push(why),
            }
        }
        took.sort_unstable();
        Self { took, failures }
    }

    /// The smallest time that this share of all starts did not exceed; none when none worked.
    fn percentile(&self, percent: usize) -> Option<Time> {
        let rank = (self.took.len() * percent).div_ceil(100).max(1);
        self.took.get(rank - 1).copied()
    }

    fn words(&self) -> String {
        let millis = |percent| {
            let time = self.percentile(percent).map(|time| format!("{} ms", time.as_millis()));
            time.unwrap_or_else(|| "none".into())
        };
        format!(
            "{} of {} started; p50 {}, p95 {}, slowest {}",
            self.took.len(),
            self.took.len() + self.failures.len(),
            millis(50),
            millis(95),
            millis(100)
        )
    }
}

impl StartStorm {
    fn judge(&self, storm: &Storm) -> Option<String> {
        let mut wrong = Wrong::default();
        let failed = storm.failures.len();
        wrong.unless(failed <= self.failed as usize, || {
            let first = storm.failures.first().map_or("", String::as_str);
            format!("{failed} starts failed, the first with: {}", subject::brief(first))
        });
        for (name, percent, most) in [("p50", 50, self.p50), ("p95", 95, self.p95)] {
            let (Some(most), Some(time)) = (most, storm.percentile(percent)) else { continue };
            wrong.unless(time <= most.0, || {
                format!("{name} is {} ms, not at most {most}", time.as_millis())
            });
        }
        wrong.violation()
    }

    async fn storm(&self, cx: &dyn ProbeCx, image: &str) -> Storm {
        let specs = (0..self.count).map(|number| self.spec(cx.run(), image, number));
        let specs: Vec<ContainerSpec> = specs.collect();
        let created = join_all(specs.iter().map(|spec| cx.runtime().create_container(spec))).await;
        let starts = join_all(created.iter().map(|created| start(cx, created.as_ref()))).await;
        let containers = created.into_iter().filter_map(Result::ok);
        // what cannot be removed now is removed with the run
        let removed = containers.map(|container| async move {
            let _ = cx.runtime().perform(&EngineOp::Remove { container }).await;
        });
        join_all(removed).await;
        Storm::of(starts)
    }

    /// On an engine of the scenario's own.
    async fn inside(&self, cx: &dyn ProbeCx, place: &Place) -> Result<Storm, ProbeError> {
        let starts = (0..self.count).map(|_| cx.helper().read(Read::TryStart(place.clone())));
        let starts = join_all(starts).await.into_iter().map(|reading| match reading? {
            Reading::Started(trial) => Ok(trial.map(Time::from_micros)),
            other => Err(unexpected(&other)),
        });
        Ok(Storm::of(starts.collect::<Result<_, ProbeError>>()?))
    }

    fn spec(&self, run: &str, image: &str, number: u32) -> ContainerSpec {
        let command = || [PROGRAM, "specimen"].map(str::to_owned).into();
        ContainerSpec {
            name: format!("keelhaul-{run}-storm-{number}"),
            image: image.to_owned(),
            entrypoint: Some(self.command.clone().unwrap_or_else(command)),
            labels: labels::of(run, labels::ROLE_SUBJECT, ""),
            ..ContainerSpec::default()
        }
    }
}

async fn start(cx: &dyn ProbeCx, created: Result<&String, &RuntimeError>) -> Result<Time, String> {
    let container = created.map_err(ToString::to_string)?.clone();
    let started = Instant::now();
    let done = cx.runtime().perform(&EngineOp::Start { container }).await;
    done.map(|()| started.elapsed()).map_err(|error| error.to_string())
}

impl Probe for StartStorm {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "start-storm: { service: agent, count: 10, p50: 2s, p95: 5s }";

    fn needs(&self) -> &'static [Capability] {
        if self.inside { &[Capability::InnerEngine] } else { Self::NEEDS }
    }

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let bound =
            |name, most: Option<Duration>| most.map(|most| format!(", {name} at most {most}"));
        let bounds: String =
            [bound("p50", self.p50), bound("p95", self.p95)].into_iter().flatten().collect();
        let inside = if self.inside { " on its engine" } else { "" };
        let Self { service, count, failed, .. } = self;
        format!("{service}: {count} starts at once{inside}{bounds}, {failed} may fail")
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.unless((1..=MOST).contains(&self.count), || {
            format!(
                "{} containers are no storm that is started here\n\nhint: write 1 to {MOST}",
                self.count
            )
        });
        wrong.unless(self.command.as_ref().is_none_or(|command| !command.is_empty()), || {
            "nothing is run\n\nhint: write `command: [/bin/true]`".into()
        });
        wrong.unless(!self.inside || self.command.is_none(), || {
            "the engine in a service has no image but the reference subject's\n\nhint: leave \
             `command` out"
                .into()
        });
        wrong.list()
    }

    fn deadline(&self) -> Time {
        Time::from_secs(60)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let storm = if self.inside {
            self.inside(cx, &place).await?
        } else {
            let image = cx.runtime().inspect(&place.container).await?.image;
            self.storm(cx, &image).await
        };
        let sample = Sample::judged(storm.words(), self.judge(&storm));
        Ok(match storm.percentile(95) {
            Some(time) => sample.number(time.as_secs_f64() * 1e3, Unit::Milliseconds),
            None => sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> StartStorm {
        serde_saphyr::from_str(&format!("{{ service: agent{rest} }}")).unwrap()
    }

    fn storm(millis: &[u64], failed: usize) -> Storm {
        let worked = millis.iter().map(|ms| Ok(Time::from_millis(*ms)));
        let failed = std::iter::repeat_n(Err("no room".to_owned()), failed);
        Storm::of(worked.chain(failed).collect())
    }

    #[test]
    fn percentiles_and_failures_are_judged() {
        let ten = storm(&[100, 90, 80, 70, 60, 50, 40, 30, 20, 10], 0);
        assert_eq!(ten.percentile(50), Some(Time::from_millis(50)));
        assert_eq!(ten.percentile(95), Some(Time::from_millis(100)));
        assert_eq!(ten.words(), "10 of 10 started; p50 50 ms, p95 100 ms, slowest 100 ms");
        assert_eq!(probe(", p50: 50ms, p95: 100ms").judge(&ten), None);
        assert!(probe(", p50: 49ms").judge(&ten).is_some());
        assert!(probe(", p95: 99ms").judge(&ten).is_some());
        let failing = storm(&[10], 1);
        assert!(probe("").judge(&failing).unwrap().contains("no room"));
        assert_eq!(probe(", failed: 1, p50: 10ms").judge(&failing), None);
        assert!(probe(", p50: 1s").judge(&storm(&[], 2)).is_some());
    }

    #[tokio::test]
    async fn a_storm_of_which_nothing_starts_is_a_violation() {
        // this world's engine creates nothing
        let sample = probe(", count: 3").read(&World::default()).await.unwrap();
        assert!(!sample.holds() && sample.observed.starts_with("0 of 3 started"), "{sample:?}");
    }

    #[tokio::test]
    async fn inside_it_is_the_inner_engine_that_starts_them() {
        let world = World::default();
        world.set().inner.started = Ok(1500);
        let sample = probe(", inside: true, count: 3, p95: 1ms").read(&world).await.unwrap();
        assert!(sample.observed.starts_with("3 of 3 started; p50 1 ms"), "{sample:?}");
        assert!(!sample.holds());
        world.set().inner.started = Err("no space left on device".into());
        let sample = probe(", inside: true, count: 3").read(&world).await.unwrap();
        assert!(sample.violation.unwrap().contains("no space left"));
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", count: 0, command: []").check().len(), 2);
        assert_eq!(probe(", inside: true, command: [/x]").check().len(), 1);
        assert_eq!(probe("").check().len(), 0);
    }
}
