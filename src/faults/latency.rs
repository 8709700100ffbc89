//! What faults share that make I/O take longer: how much, how it lies and grows, and what is wrong
//! with that.

use std::time;

use super::{Cx, FaultError, io::Before};
use crate::{
    protocol::{Delay, Distribution, IoAction, Trigger},
    units::Duration,
};

/// Less is lost among what a busy machine takes by itself.
const LEAST: Duration = Duration::from_millis(1);
/// More, and the proof would keep the steps waiting.
const MOST: Duration = Duration::from_secs(2);
/// The step lasts until all of it is there.
const LONGEST_RAMP: Duration = Duration::from_secs(10);
/// A look at what ends by itself takes its time.
const SHORTEST: Duration = Duration::from_millis(500);

/// Parameters that all of them have.
pub(super) struct Latency {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) distribution: Distribution,
    pub(super) ramp: Duration,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.0.as_micros()).unwrap_or(u64::MAX)
}

impl Latency {
    /// What every operation that is struck takes at least, when it has grown.
    pub(super) fn least_us(&self) -> u64 {
        micros(self.latency)
    }

    pub(super) fn action(&self) -> IoAction {
        IoAction::Delay(Delay {
            us: micros(self.latency),
            jitter_us: micros(self.jitter),
            distribution: self.distribution,
            ramp_us: micros(self.ramp),
        })
    }

    /// How much longer, in words.
    pub(super) fn words(&self) -> String {
        let Self { latency, jitter, distribution, ramp } = self;
        let distributed = match distribution {
            Distribution::Uniform => String::new(),
            other => format!(" ({})", other.name()),
        };
        let jitter = match micros(*jitter) {
            0 => String::new(),
            _ => format!(" and up to {jitter}{distributed} more"),
        };
        let ramp = match micros(*ramp) {
            0 => String::new(),
            _ => format!(", which grows over {ramp}"),
        };
        format!("{latency}{jitter} longer{ramp}")
    }

    /// What is wrong with it, for operations that are struck then; `example` is better.
    pub(super) fn check(&self, when: &Trigger, example: &str) -> Vec<String> {
        let Self { latency, jitter, distribution, ramp } = self;
        let mut wrong = Vec::new();
        if *latency < LEAST || latency.0.saturating_add(jitter.0) > MOST.0 {
            wrong.push(format!(
                "a latency must be from {LEAST} to {MOST}, its jitter included\n\nhint: write \
                 `latency: {example}`"
            ));
        }
        if *distribution != Distribution::default() && micros(*jitter) == 0 {
            let name = distribution.name();
            wrong.push(format!(
                "`distribution: {name}` says how the jitter lies, and there is none\n\nhint: write \
                 `latency: {example}, jitter: {example}, distribution: {name}`"
            ));
        }
        if *ramp > LONGEST_RAMP {
            wrong.push(format!(
                "`ramp: {ramp}` is too long: the step lasts until all of it is there\n\nhint: write \
                 {LONGEST_RAMP} at most; several steps for more"
            ));
        }
        let ends = when.until.filter(|_| micros(*ramp) > 0);
        if let Some(until) = ends.filter(|until| until.0 < ramp.0.saturating_add(SHORTEST.0)) {
            wrong.push(format!(
                "it strikes `until: {until}` and has not grown to all of it by then\n\nhint: write \
                 {SHORTEST} more than `ramp` at least"
            ));
        }
        wrong
    }

    /// Waits until it has grown to all of it, while it is in force.
    pub(super) async fn await_grown(&self, before: &Before, cx: &Cx<'_>) -> Result<(), FaultError> {
        if micros(self.ramp) == 0 {
            return Ok(());
        }
        if let Some(facts) = cx.rule_facts(before).await?.filter(|facts| facts.armed) {
            let passed = time::Duration::from_millis(facts.since_ms);
            tokio::time::sleep(self.ramp.0.saturating_sub(passed)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Fault as _, Prepared,
            io_latency::IoLatency,
            testing::{self, Fake},
        },
        protocol::RuleFacts,
    };

    fn wrong(latency: u64, jitter: u64, distribution: Distribution, ramp: u64) -> usize {
        let [latency, jitter, ramp] = [latency, jitter, ramp].map(Duration::from_millis);
        let until = Trigger { until: Some(Duration::from_secs(5)), ..Trigger::default() };
        Latency { latency, jitter, distribution, ramp }.check(&until, "50ms").len()
    }

    #[test]
    fn what_nobody_would_notice_or_wait_for_is_refused() {
        let (even, tail) = (Distribution::Uniform, Distribution::Pareto);
        assert_eq!(wrong(10, 0, even, 0), 0);
        assert_eq!(wrong(0, 5, even, 0), 1);
        assert_eq!(wrong(2000, 1, even, 0), 1);
        assert_eq!(wrong(10, 1, tail, 4500), 0);
        assert_eq!(wrong(10, 0, tail, 0), 1, "a distribution of nothing");
        assert_eq!(wrong(10, 0, even, 4600), 1, "it ends before it has grown");
        assert_eq!(wrong(10, 0, even, 10_001), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_when_it_has_grown() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: { interpose: file }"));
        let yaml = "{ target: 'agent:/data', latency: 50ms, ramp: 4s }";
        let (cx, fault) = (fake.cx(&site), serde_saphyr::from_str::<IoLatency>(yaml).unwrap());
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        let facts = RuleFacts { armed: true, since_ms: 1000, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        fake.world().beneath.interposed.struck = Some((None, 51_000));
        let began = tokio::time::Instant::now();
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert_eq!(began.elapsed().as_secs(), 3);
    }
}
