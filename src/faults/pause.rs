//! `pause`: freezes every process of a container, as the engine's `pause` does.
//!
//! Mechanism: the engine's cgroup freezer. Blast radius: one container. Undone by the engine's
//! `unpause`, which leaves a container alone that is not paused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, Kind, Target,
    lifecycle::{Before, Lifecycle},
};
use crate::{
    protocol::{Capability, EngineOp, Op},
    runtime::{ContainerFacts, State},
};

/// Freezes every process of a container until it is reverted.
///
/// Open connections stay open and time out; nothing is lost by itself. Use it to see who notices a
/// silent service, and how soon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The container: `service`.
    pub(super) target: Target,
}

impl Lifecycle for Pause {
    const NAME: &'static str = "pause";
    const NEEDS: &'static [Capability] = &[Capability::Freezer];
    const EXAMPLE: &'static str = "pause: { target: agent }";
    const KIND: Kind = Kind::State;

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

    async fn acts(
        &self,
        facts: &ContainerFacts,
        _: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let pause = EngineOp::Pause { container: facts.id.clone() };
        let unpause = EngineOp::Unpause { container: facts.id.clone() };
        Ok((vec![Op::Engine(pause)], vec![Op::Engine(unpause)]))
    }

    fn shows(&self, _: &Before, now: &ContainerFacts) -> bool {
        now.state == State::Paused
    }

    fn is_over(now: &ContainerFacts) -> bool {
        now.state != State::Paused
    }
}
