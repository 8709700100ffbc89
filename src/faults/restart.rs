//! `restart`: the engine stops a container and starts it again.
//!
//! Mechanism: the engine's `restart`. Blast radius: one container. Nothing to undo; rollback starts
//! what was running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    lifecycle, observe::word,
};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome},
    runtime::State,
    units::Duration,
};

/// Stops a container in order, and starts it again.
///
/// Processes get SIGTERM, and SIGKILL when the grace is over. What lies in a tmpfs is gone; volumes
/// and the container's own layer stay. It also starts a container that was killed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The container: `service`.
    target: Target,
    /// Between SIGTERM and SIGKILL.
    #[serde(default = "default_grace")]
    grace: Duration,
}

fn default_grace() -> Duration {
    Duration::from_secs(10)
}

/// The engine counts in seconds, and the call must end before others take it for stuck.
const MOST_GRACE: Duration = Duration::from_secs(300);

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// When the container was started.
    started_at: String,
}

impl Fault for Restart {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "restart: { target: agent }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("restart `{}` with a grace of {}", self.target, self.grace),
            undo: "nothing; rollback starts it if it was running".into(),
            proof: "the engine reports another start time".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> =
            checks::needs_no_path("restart", &self.target).into_iter().collect();
        if self.grace > MOST_GRACE {
            wrong.push(format!(
                "a grace of {} is longer than any rollback waits\n\nhint: write {MOST_GRACE} at most",
                self.grace
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.facts().await?;
        let running = match facts.state {
            State::Exited | State::Created => false,
            _ => cx.running().await.map(|_| true)?,
        };
        let container = cx.site.place.container.clone();
        let grace_ms = u64::try_from(self.grace.0.as_millis()).unwrap_or(u64::MAX);
        Ok(Prepared {
            before: Before { started_at: facts.started_at },
            ops: vec![Op::Engine(EngineOp::Restart { container, grace_ms })],
            undo: if running { lifecycle::start_again(cx) } else { Vec::new() },
        })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = lifecycle::until(cx, |facts| facts.started_at != before.started_at).await?;
        let evidence = format!(
            "started at {}, before at {}; {}",
            facts.started_at,
            before.started_at,
            word(facts.state)
        );
        let proven = facts.started_at != before.started_at;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        lifecycle::runs(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> Restart {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_by_another_start_time() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent, grace: 2s }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let restart = EngineOp::Restart { container: "c1".into(), grace_ms: 2000 };
        assert_eq!(prepared.ops, [Op::Engine(restart)]);
        assert_eq!(prepared.undo, lifecycle::start_again(&cx));
        assert!(!fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        assert!(fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn what_did_not_run_is_not_started_by_rollback_and_a_frozen_one_is_refused() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(fault.prepare(&cx).await.unwrap().undo.is_empty());
        fake.world().container.as_mut().unwrap().state = State::Paused;
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault("{ target: agent }").check(&none).is_empty());
        assert_eq!(fault("{ target: agent:/data, grace: 1h }").check(&none).len(), 2);
    }
}
