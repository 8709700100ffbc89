//! `restart`: the engine stops a container and starts it again.
//!
//! Mechanism: the engine's `restart`. Blast radius: one container. Nothing to undo; rollback starts
//! what was running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, Target, grace,
    lifecycle::{self, Before, Lifecycle},
};
use crate::{
    protocol::{EngineOp, Op},
    runtime::{ContainerFacts, State},
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
    pub(super) target: Target,
    /// Between SIGTERM and SIGKILL; the service's `stop_grace` without it.
    grace: Option<Duration>,
}

impl Lifecycle for Restart {
    const NAME: &'static str = "restart";
    const EXAMPLE: &'static str = "restart: { target: agent }";

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("restart `{}` with {}", self.target, grace::words(self.grace)),
            undo: "nothing; rollback starts it if it was running".into(),
            proof: "the engine reports another start time".into(),
        }
    }

    fn complaints(&self) -> Vec<String> {
        grace::complaint(self.grace).into_iter().collect()
    }

    fn admits(state: State) -> bool {
        matches!(state, State::Running | State::Exited | State::Created)
    }

    async fn acts(
        &self,
        facts: &ContainerFacts,
        cx: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let grace_ms = grace::milliseconds(self.grace, facts);
        let restart = EngineOp::Restart { container: facts.id.clone(), grace_ms };
        let ran = facts.state == State::Running;
        let undo = if ran { lifecycle::start_again(cx) } else { Vec::new() };
        Ok((vec![Op::Engine(restart)], undo))
    }

    fn shows(&self, before: &Before, now: &ContainerFacts) -> bool {
        before.started_anew(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{
        Declared, Fault as _,
        testing::{self, Fake},
    };

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
