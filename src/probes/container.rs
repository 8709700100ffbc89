//! `container`: what the engine says of a container. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample,
    health::{self, Healthy},
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, Read, Reading},
    runtime::{ContainerFacts, Health, RuntimeError, State},
};

/// State, health, exit code and restarts, as the engine reports them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The service.
    service: String,
    /// It is in this state.
    state: Option<State>,
    /// Its health check says this. For `healthy`, the last one must have begun after the last
    /// injection or revert, and ended well.
    health: Option<Health>,
    /// It ended with this code.
    exit_code: Option<i64>,
    /// It was restarted by its policy at most this often.
    max_restarts: Option<i64>,
    /// The engine's OOM flag. It stays false when init survives.
    oom_killed: Option<bool>,
    /// Processes that the kernel has killed in it for want of memory, since its latest start.
    oom_kills: Option<Bounds<u64>>,
}

impl Container {
    fn violation(&self, facts: &ContainerFacts, oom_kills: Option<u64>) -> Option<String> {
        let mut wrong = Vec::new();
        let mut want = |ok: bool, what: String| {
            if !ok {
                wrong.push(what);
            }
        };
        if let Some(state) = self.state {
            let text = format!("state is {:?}, not {state:?}", facts.state).to_lowercase();
            want(facts.state == state, text);
        }
        if let Some(health) = self.health {
            let text = format!("health is {:?}, not {health:?}", facts.health).to_lowercase();
            want(facts.health == health, text);
        }
        if let Some(code) = self.exit_code {
            want(facts.exit_code == code, format!("exit code is not {code}"));
        }
        if let Some(max) = self.max_restarts {
            want(facts.restarts <= max, format!("more than {max} restarts"));
        }
        if let Some(oom) = self.oom_killed {
            want(facts.oom_killed == oom, format!("OOM flag is not {oom}"));
        }
        if let (Some(bounds), Some(kills)) = (self.oom_kills, oom_kills) {
            wrong.extend(bounds.violation("OOM kills", kills));
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }

    /// What the engine says of the health is what its last check said, whenever that was.
    fn as_of_now(&self, sample: Sample, facts: &ContainerFacts, since: Option<i64>) -> Sample {
        if self.health != Some(Health::Healthy) || !sample.holds() {
            return sample;
        }
        match health::of(facts, since) {
            Healthy::Yes => sample,
            Healthy::NoMore(why) => Sample::outside(sample.observed, why),
            Healthy::NotAsked(within) => {
                let why = "no health check began since the last injection or revert";
                Sample::outdated(sample.observed, why, within)
            }
        }
    }
}

impl Probe for Container {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "container: { service: agent, state: running }";

    fn needs(&self) -> &'static [Capability] {
        if self.oom_kills.is_some() { &[Capability::MemoryCgroup] } else { Self::NEEDS }
    }

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let mut wanted = Vec::new();
        if let Some(state) = self.state {
            wanted.push(format!("is {state:?}").to_lowercase());
        }
        if let Some(health) = self.health {
            wanted.push(format!("is {health:?}").to_lowercase());
        }
        if let Some(code) = self.exit_code {
            wanted.push(format!("ended with code {code}"));
        }
        if let Some(max) = self.max_restarts {
            wanted.push(format!("was restarted at most {max} times"));
        }
        if let Some(oom) = self.oom_killed {
            wanted.push(format!("has OOM flag {oom}"));
        }
        if let Some(kills) = self.oom_kills {
            wanted.push(format!("has {kills} OOM kills"));
        }
        format!("{} {}", self.service, wanted.join(", "))
    }

    fn check(&self) -> Vec<String> {
        let empty = self.state.is_none()
            && self.health.is_none()
            && self.exit_code.is_none()
            && self.max_restarts.is_none()
            && self.oom_killed.is_none()
            && self.oom_kills.is_none();
        let mut wrong = Wrong::default();
        wrong.unless(!empty, || subject::expects_nothing("state: running"));
        wrong.add(self.oom_kills.and_then(|kills| kills.check("oom_kills")));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", "it was never created"));
        };
        let mut oom_kills = None;
        if self.oom_kills.is_some() {
            let reading = subject::read(cx, &place, Read::Memory(place.clone())).await?;
            oom_kills = Some(expect_reading!(reading, Reading::Memory).oom_kills);
        }
        match cx.runtime().inspect(&place.container).await {
            Ok(facts) => {
                let mut observed = format!(
                    "{:?}, health {:?}, exit code {}, {} restarts",
                    facts.state, facts.health, facts.exit_code, facts.restarts
                )
                .to_lowercase();
                if let Some(kills) = oom_kills {
                    observed += &format!(", {kills} OOM kills");
                }
                let sample = Sample::judged(observed, self.violation(&facts, oom_kills));
                Ok(self.as_of_now(sample, &facts, cx.changed_ns()))
            }
            Err(RuntimeError::Gone { .. }) => Ok(Sample::outside("gone", "it was removed")),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, runtime::Checked};

    fn probe(yaml: &str) -> Container {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn oom_kills_are_the_kernels_count_and_not_the_engines_flag() {
        let world = World::default();
        let wanted = probe("{ service: agent, state: running, oom_kills: { min: 1 } }");
        assert!(!wanted.read(&world).await.unwrap().holds());
        world.set().memory.oom_kills = 2;
        let sample = wanted.read(&world).await.unwrap();
        assert!(sample.holds() && sample.observed.contains("2 OOM kills"), "{sample:?}");
        assert!(!world.set().container.as_ref().unwrap().oom_killed);
    }

    #[tokio::test]
    async fn what_it_is_instead_is_said() {
        let world = World::default();
        world.set().container.as_mut().unwrap().health = Health::Unhealthy;
        let wanted = probe("{ service: agent, health: healthy }");
        let violation = wanted.read(&world).await.unwrap().violation;
        assert_eq!(violation.as_deref(), Some("health is unhealthy, not healthy"));
    }

    #[tokio::test]
    async fn healthy_is_what_a_check_said_that_began_after_the_last_act() {
        let mut world = World::default();
        world.changed_ns = Some(100);
        let wanted = probe("{ service: agent, health: healthy }");
        let checked = |exit_code, started_ns| {
            let started_ns = Some(started_ns);
            Some(Checked { exit_code, output: String::new(), started_ns })
        };
        let set = |world: &World, health, checked| {
            let mut world = world.set();
            let facts = world.container.as_mut().unwrap();
            (facts.health, facts.checked, facts.next_check_ms) = (health, checked, Some(1000));
        };
        set(&world, Health::Healthy, checked(0, 99));
        let sample = wanted.read(&world).await.unwrap();
        assert!(!sample.holds() && sample.vacuous && sample.outdated.is_some(), "{sample:?}");
        let runs = probe("{ service: agent, state: running }");
        assert!(runs.read(&world).await.unwrap().holds(), "it is not asked for its health");
        set(&world, Health::Healthy, checked(1, 101));
        let sample = wanted.read(&world).await.unwrap();
        assert!(!sample.holds() && !sample.vacuous, "{sample:?}");
        set(&world, Health::Unhealthy, checked(1, 99));
        let sample = wanted.read(&world).await.unwrap();
        assert_eq!(sample.violation.as_deref(), Some("health is unhealthy, not healthy"));
        set(&world, Health::Healthy, checked(0, 101));
        assert!(wanted.read(&world).await.unwrap().holds());
        world.changed_ns = None;
        set(&world, Health::Healthy, checked(0, 99));
        assert!(wanted.read(&world).await.unwrap().holds(), "nothing was done yet");
    }

    #[test]
    fn only_a_count_of_the_kernel_needs_its_cgroups() {
        assert!(probe("{ service: agent, state: running }").needs().is_empty());
        assert_eq!(probe("{ service: agent, oom_kills: 0 }").needs(), [Capability::MemoryCgroup]);
        assert_eq!(probe("{ service: agent }").check().len(), 1);
        assert_eq!(probe("{ service: agent, oom_kills: {} }").check().len(), 1);
    }
}
