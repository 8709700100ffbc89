//! `recreate`: removes a container and makes it anew, as an update or a rescheduling does.
//!
//! Mechanism: the engine's stop, remove, create and start, with the same name and configuration.
//! Blast radius: one container. Nothing to undo: the new one carries the run's label like the old.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome},
    runtime::State,
};

/// Removes a container and makes it anew with the same mounts.
///
/// What lay in the container's own layer or on a tmpfs is gone; volumes stay. This is what an
/// update, a rescheduling or `compose up --force-recreate` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recreate {
    /// The container: `service`.
    target: Target,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    id: String,
    name: String,
}

/// Between SIGTERM and SIGKILL.
const GRACE_MS: u64 = 10_000;

impl Fault for Recreate {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "recreate: { target: agent }";

    fn kind(&self) -> Kind {
        Kind::Event
    }

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

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_no_path("recreate", &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.facts().await?;
        let op = EngineOp::Recreate { container: facts.id.clone(), grace_ms: GRACE_MS };
        Ok(Prepared {
            before: Before { id: facts.id, name: facts.name },
            ops: vec![Op::Engine(op)],
            undo: Vec::new(),
        })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = cx.runtime.inspect(&before.name).await?;
        let evidence = format!("container {:.12}, before {:.12}", facts.id, before.id);
        let proven = facts.id != before.id && facts.state == State::Running;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.verify(before, &[], cx).await
    }
}
