//! `stop`: the engine stops a container in order, and it stays down.
//!
//! Mechanism: the engine's `stop`. Blast radius: one container. Undone by starting it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, Kind, Target, grace,
    lifecycle::{self, Before, Lifecycle},
};
use crate::{
    protocol::{EngineOp, Op},
    runtime::{ContainerFacts, State},
    units::Duration,
};

/// Stops a container in order, until it is reverted.
///
/// Processes get SIGTERM, and SIGKILL when the grace is over; an exit code of 137 says that it came
/// to that. No restart policy applies. Use it to see whether a service ends with everything on its
/// volume, and who notices that it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The container: `service`.
    pub(super) target: Target,
    /// Between SIGTERM and SIGKILL; the service's `stop_grace` without it.
    grace: Option<Duration>,
}

impl Lifecycle for Stop {
    const NAME: &'static str = "stop";
    const EXAMPLE: &'static str = "stop: { target: agent }";
    const KIND: Kind = Kind::State;

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("stop `{}` with {}", self.target, grace::words(self.grace)),
            undo: "start it again".into(),
            proof: "the engine reports that it has ended".into(),
        }
    }

    fn complaints(&self) -> Vec<String> {
        grace::complaint(self.grace).into_iter().collect()
    }

    async fn acts(
        &self,
        facts: &ContainerFacts,
        cx: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let grace_ms = grace::milliseconds(self.grace, facts);
        let stop = EngineOp::Stop { container: facts.id.clone(), grace_ms };
        Ok((vec![Op::Engine(stop)], lifecycle::start_again(cx)))
    }

    fn shows(&self, _: &Before, now: &ContainerFacts) -> bool {
        now.state == State::Exited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{
        Declared, Fault as _,
        testing::{self, Fake},
    };

    fn fault(yaml: &str) -> Stop {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn it_lasts_while_the_container_is_down_and_takes_the_services_own_grace() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        fake.world().container.as_mut().unwrap().stop_grace_ms = Some(3000);
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let stop = EngineOp::Stop { container: "c1".into(), grace_ms: 3000 };
        assert_eq!(prepared.ops, [Op::Engine(stop)]);
        assert_eq!(prepared.undo, lifecycle::start_again(&cx));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Running;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault("{ target: agent, grace: 5m }").check(&none).is_empty());
        assert_eq!(fault("{ target: agent:/data, grace: 1h }").check(&none).len(), 2);
    }
}
