//! `container`: what the engine says of a container. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Probe, ProbeCx, ProbeError, Sample};
use crate::{
    protocol::Capability,
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
    /// Its health check says this.
    health: Option<Health>,
    /// It ended with this code.
    exit_code: Option<i64>,
    /// It was restarted by its policy at most this often.
    max_restarts: Option<i64>,
    /// The engine's OOM flag. It stays false when init survives.
    oom_killed: Option<bool>,
}

impl Container {
    fn violation(&self, facts: &ContainerFacts) -> Option<String> {
        let mut wrong = Vec::new();
        let mut want = |ok: bool, what: String| {
            if !ok {
                wrong.push(what);
            }
        };
        if let Some(state) = self.state {
            want(facts.state == state, format!("state is not {state:?}").to_lowercase());
        }
        if let Some(health) = self.health {
            want(facts.health == health, format!("health is not {health:?}").to_lowercase());
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
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

impl Probe for Container {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "container: { service: agent, state: running }";

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
        format!("{} {}", self.service, wanted.join(", "))
    }

    fn check(&self) -> Vec<String> {
        let empty = self.state.is_none()
            && self.health.is_none()
            && self.exit_code.is_none()
            && self.max_restarts.is_none()
            && self.oom_killed.is_none();
        if empty {
            vec![
                "the probe expects nothing, so it cannot fail\n\nhint: add `state: running`".into(),
            ]
        } else {
            Vec::new()
        }
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", "it was never created"));
        };
        match cx.runtime().inspect(&place.container).await {
            Ok(facts) => {
                let observed = format!(
                    "{:?}, health {:?}, exit code {}, {} restarts",
                    facts.state, facts.health, facts.exit_code, facts.restarts
                );
                Ok(Sample::judged(observed.to_lowercase(), self.violation(&facts)))
            }
            Err(RuntimeError::Gone { .. }) => Ok(Sample::outside("gone", "it was removed")),
            Err(error) => Err(error.into()),
        }
    }
}
