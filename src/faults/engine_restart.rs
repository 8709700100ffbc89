//! `engine-restart`: an engine of the scenario's own is stopped in order, and started again.
//!
//! Mechanism: SIGTERM to this very process, sent by the helper. Blast radius: one service with its
//! own engine; the host's engine is never touched. Nothing to undo: what manages the service starts
//! the engine again, as on a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    inner_engine::{self, Before},
};
use crate::protocol::{Capability, Ending, Outcome};

/// Restarts an engine in order, as an upgrade does.
///
/// The target is a service of the image `keelhaul/engine`. The engine stops its containers first,
/// unless it runs with `--live-restore`. Half a second after its end it is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineRestart {
    /// The engine: `service`.
    pub(super) target: Target,
}

impl Fault for EngineRestart {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::InnerEngine];
    const EXAMPLE: &'static str = "engine-restart: { target: inner }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("stop the engine of `{}` with SIGTERM", self.target),
            undo: "nothing; its service manager starts it again".into(),
            proof: "its process is gone, and another one answers".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("engine-restart", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        inner_engine::end(cx, Ending::Asked).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        inner_engine::ended(before, cx).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        inner_engine::ended(before, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Op,
    };

    #[tokio::test]
    async fn the_engine_is_asked_and_one_that_stays_is_no_restart() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let fault: EngineRestart = serde_saphyr::from_str("{ target: agent }").unwrap();
        let prepared = fault.prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::EndEngine { how: Ending::Asked, .. }]));
        assert!(!fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
        fake.world().inner.engine.process = None;
        assert!(fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
    }
}
