//! `recreate`: removes a container and makes it anew, as an update or a rescheduling does.
//!
//! Mechanism: the engine's stop, remove, create and start, with the same name and configuration.
//! Blast radius: one container. Nothing to undo: the new one carries the run's label like the old.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, OnOthers, Target, grace,
    lifecycle::{Before, Lifecycle},
};
use crate::{
    protocol::{EngineOp, Op},
    runtime::{ContainerFacts, State},
};

/// Removes a container and makes it anew with the same mounts.
///
/// What lay in the container's own layer or on a tmpfs is gone; volumes stay. This is what an
/// update, a rescheduling or `compose up --force-recreate` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recreate {
    /// The container: `service`.
    pub(super) target: Target,
}

impl Lifecycle for Recreate {
    const NAME: &'static str = "recreate";
    const EXAMPLE: &'static str = "recreate: { target: agent }";
    const ON_OTHERS: OnOthers = OnOthers::NOT_WHAT_WAS_THERE;

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("remove the container of `{}` and make it anew", self.target),
            undo: "nothing: the new container goes with the run".into(),
            proof: "the engine has a container of the same name with another id".into(),
        }
    }

    fn admits(_: State) -> bool {
        true
    }

    async fn acts(
        &self,
        facts: &ContainerFacts,
        _: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let grace_ms = grace::milliseconds(None, facts);
        let recreate = EngineOp::Recreate { container: facts.id.clone(), grace_ms };
        Ok((vec![Op::Engine(recreate)], Vec::new()))
    }

    fn shows(&self, before: &Before, now: &ContainerFacts) -> bool {
        before.made_anew(now) && now.state == State::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{
        Fault as _,
        testing::{self, Fake},
    };

    #[tokio::test]
    async fn proven_by_another_container_that_runs() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let fault: Recreate = serde_saphyr::from_str("{ target: agent }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        assert!(prepared.undo.is_empty());
        let before = prepared.before;
        fake.world().container.as_mut().unwrap().started_at = "later".into();
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "only restarted");
        fake.world().container.as_mut().unwrap().id = "c2".into();
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "did not come up");
    }
}
