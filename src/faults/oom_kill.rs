//! `oom-kill`: the kernel kills a container's main process for want of memory.
//!
//! Mechanism: the container's init is made the first victim, and a process of ours in its memory
//! cgroup allocates until the kernel kills; both end with the act. Blast radius: one container,
//! which must have a limit. What is undone is the preference; rollback starts what was running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    lifecycle::{self, Before as Container},
    want_of_memory,
};
use crate::protocol::{Capability, Op, Outcome};

/// Has the kernel kill a container's main process for want of memory.
///
/// Memory of the container's own cgroup is used up for a moment, so it must have a limit: `memory:`.
/// To the engine the process was killed by the kernel, and the restart policy applies. Use it to see
/// whether a service that is killed without warning comes back with all that it promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OomKill {
    /// The container: `service`.
    pub(super) target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// Processes killed for want of memory until then.
    kills: u64,
}

impl Fault for OomKill {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MemoryCgroup];
    const EXAMPLE: &'static str = "oom-kill: { target: agent }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("use up the memory of `{}` until the kernel kills it", self.target),
            undo: "nothing; rollback starts it if it is not running by then".into(),
            proof: "it ended, and the engine or the cgroup's counter says why".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("oom-kill", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        want_of_memory::refuse_unlimited(cx, &facts)?;
        let (memory, init) = (cx.memory().await?, cx.init().await?);
        let place = || cx.site.place.clone();
        let prefer = |score| Op::SetOomScore { place: place(), init, score };
        let back = prefer(memory.oom_score);
        let ops = vec![prefer(FIRST), Op::ExhaustMemory { place: place(), init }, back.clone()];
        let undo = [vec![back], lifecycle::start_again(cx)].concat();
        let before = Before { container: Container::of(&facts), kills: memory.oom_kills };
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        want_of_memory::killed(&before.container, before.kills, outcomes, cx).await
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        lifecycle::runs(cx).await
    }
}

/// The first of all victims: `oom_score_adj`, proc(5).
const FIRST: i32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Init,
        runtime::State,
    };

    fn fault(yaml: &str) -> OomKill {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn the_outcome_alone_proves_nothing() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let init = Init { pid: 100, start_time: 5000 };
        let score = |score| Op::SetOomScore { place: site.place.clone(), init, score };
        let exhaust = Op::ExhaustMemory { place: site.place.clone(), init };
        assert_eq!(prepared.ops, [score(1000), exhaust, score(0)]);
        assert_eq!(prepared.undo[0], score(0));
        let before = prepared.before;
        let said = [Outcome::OomKills { before: 0, after: 1 }];
        assert!(!fault.verify(&before, &said, &cx).await.unwrap().proven, "it still runs");
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nobody says why");
        assert!(fault.verify(&before, &said, &cx).await.unwrap().proven, "the counter does");
        fake.world().container.as_mut().unwrap().oom_killed = true;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven, "the engine does");
    }

    #[tokio::test]
    async fn a_kill_that_init_survives_counts() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent }"));
        let before = fault.prepare(&cx).await.unwrap().before;
        fake.world().memory.oom_kills = 1;
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.evidence.contains("running"), "{effect:?}");
    }

    #[tokio::test]
    async fn without_a_limit_it_is_the_hosts_memory_and_refused() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        fake.world().container.as_mut().unwrap().memory = None;
        let refused = fault("{ target: agent }").prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(_))));
    }
}
