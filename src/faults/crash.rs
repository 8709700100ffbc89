//! `crash`: a container's init is killed behind the engine's back.
//!
//! Mechanism: SIGKILL to the pid on the host, sent by the helper. Blast radius: one container, whose
//! processes all end with their init. Nothing to undo; rollback starts what was running. The engine
//! sees a process that ended by itself, so the restart policy applies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, Target,
    lifecycle::{self, Before, Lifecycle},
};
use crate::{protocol::Op, runtime::ContainerFacts};

/// Kills a container's main process, so that its restart policy applies.
///
/// To the engine the process ended by itself, as by a bug or for want of memory: with `restart:
/// on-failure` it is started again. `kill` is the engine's own act, after which it starts nothing.
/// What was not synced to a volume is still in the host's page cache: this is not a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// The container: `service`.
    pub(super) target: Target,
}

impl Lifecycle for Crash {
    const NAME: &'static str = "crash";
    const EXAMPLE: &'static str = "crash: { target: agent }";

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("kill the main process of `{}` from the host", self.target),
            undo: "nothing; rollback starts it if it is not running by then".into(),
            proof: "the engine reports that it has ended, or was started since".into(),
        }
    }

    async fn acts(
        &self,
        _: &ContainerFacts,
        cx: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let kill = Op::KillInit { place: cx.site.place.clone(), init: cx.init().await? };
        Ok((vec![kill], lifecycle::start_again(cx)))
    }

    fn shows(&self, before: &Before, now: &ContainerFacts) -> bool {
        before.ended(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Fault as _,
            testing::{self, Fake},
        },
        protocol::Init,
        runtime::State,
    };

    #[tokio::test]
    async fn it_names_the_very_process_and_is_proven_by_its_end_or_another_start() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let fault: Crash = serde_saphyr::from_str("{ target: agent }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        let init = Init { pid: 100, start_time: 5000 };
        assert_eq!(prepared.ops, [Op::KillInit { place: site.place.clone(), init }]);
        assert_eq!(prepared.undo, lifecycle::start_again(&cx));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Restarting;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        {
            let mut world = fake.world();
            let facts = world.container.as_mut().unwrap();
            (facts.state, facts.started_at) = (State::Running, "later".into());
        }
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven, "restarted by its policy");
    }
}
