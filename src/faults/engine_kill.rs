//! `engine-kill`: the process of an engine of the scenario's own is killed.
//!
//! Mechanism: SIGKILL to this very process, sent by the helper. Blast radius: one service with its
//! own engine; the host's engine is never touched. Nothing to undo: what manages the service starts
//! the engine again, as on a host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    inner_engine::{self, Before},
};
use crate::protocol::{Capability, Ending, Outcome};

/// Kills an engine, which its service manager starts again.
///
/// The target is a service of the image `keelhaul/engine`. Its containers lose their engine, and
/// their lives too unless the engine runs with `--live-restore`. Half a second later it is started
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineKill {
    /// The engine: `service`.
    pub(super) target: Target,
}

impl Fault for EngineKill {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::InnerEngine];
    const EXAMPLE: &'static str = "engine-kill: { target: inner }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("kill the engine of `{}`", self.target),
            undo: "nothing; its service manager starts it again".into(),
            proof: "its process is gone, and another one answers".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("engine-kill", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        inner_engine::end(cx, Ending::Killed).await
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
        protocol::{Init, Op},
    };

    #[tokio::test]
    async fn it_names_the_very_process_and_is_proven_by_another() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let cx = fake.cx(&site);
        let fault: EngineKill = serde_saphyr::from_str("{ target: agent }").unwrap();
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let process = fake.world().inner.engine.process.unwrap();
        let place = site.place.clone();
        assert_eq!(ops, [Op::EndEngine { place, process, how: Ending::Killed }]);
        assert!(undo.is_empty());
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "it lives");
        fake.world().inner.engine.process = Some(Init { start_time: 9, ..process });
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().inner.engine.running = Err("connection refused".into());
        let silent = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(silent.proven && silent.evidence.contains("no other answers"), "{silent:?}");
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        let fault: EngineKill = serde_saphyr::from_str("{ target: \"agent:/x\" }").unwrap();
        assert_eq!(fault.check(&none).len(), 1);
    }
}
