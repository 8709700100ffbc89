//! `pause`: freezes every process of a container, as the engine's `pause` does.
//!
//! Mechanism: the engine's cgroup freezer. Blast radius: one container. Undone by the engine's
//! `unpause`, which leaves a container alone that is not paused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cx, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome},
    runtime::State,
};

/// Freezes every process of a container until it is reverted.
///
/// Open connections stay open and time out; nothing is lost by itself. Use it to see who notices a
/// silent service, and how soon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The container: `service`.
    target: Target,
}

impl Fault for Pause {
    type Before = ();

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::Freezer];
    const EXAMPLE: &'static str = "pause: { target: agent }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("pause `{}`", self.target),
            undo: "unpause it".into(),
            proof: "the engine reports it paused".into(),
        }
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<()>, FaultError> {
        let container = cx.site.place.container.clone();
        Ok(Prepared {
            before: (),
            ops: vec![Op::Engine(EngineOp::Pause { container: container.clone() })],
            undo: vec![Op::Engine(EngineOp::Unpause { container })],
        })
    }

    async fn verify(&self, _: &(), _: &[Outcome], cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.runtime.inspect(&cx.site.place.container).await?;
        let evidence = format!("state {:?}", facts.state).to_lowercase();
        Ok(Effect { proven: facts.state == State::Paused, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &(), cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.runtime.inspect(&cx.site.place.container).await?;
        let evidence = format!("state {:?}", facts.state).to_lowercase();
        Ok(Effect { proven: facts.state != State::Paused, evidence, notes: Vec::new() })
    }
}
