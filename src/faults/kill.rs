//! `kill`: the engine sends a signal to a container's init.
//!
//! Mechanism: the engine's `kill`. Blast radius: one container. Nothing to undo; rollback starts
//! what was running. The engine takes this for the user's wish, so no restart policy applies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Described, FaultError, Target,
    lifecycle::{self, Before, Lifecycle},
};
use crate::{
    protocol::{EngineOp, Op},
    runtime::ContainerFacts,
};

/// Ends a container with a signal, as `docker kill` does.
///
/// The engine takes this for your wish and does not apply the restart policy, so the container
/// stays down until `restart` starts it; `crash` is what the engine does not expect. Whoever
/// depends on it finds it gone; what it had not synced to a volume is still in the host's page
/// cache, so this is not a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// The container: `service`.
    pub(super) target: Target,
    /// The signal. One that init handles must still end it within ten seconds, or nothing is proven.
    #[serde(default)]
    signal: Signal,
}

/// Signals that end a process unless it handles them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::enum_variant_names, reason = "these are their names")]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Signal {
    /// Aborted, with a core dump.
    SigAbrt,
    /// The terminal is gone.
    SigHup,
    /// Interrupted from the keyboard.
    SigInt,
    /// Killed; cannot be handled.
    #[default]
    SigKill,
    /// Quit from the keyboard, with a core dump.
    SigQuit,
    /// Asked to end.
    SigTerm,
}

impl Signal {
    fn name(self) -> String {
        format!("{self:?}").to_uppercase()
    }
}

impl Lifecycle for Kill {
    const NAME: &'static str = "kill";
    const EXAMPLE: &'static str = "kill: { target: agent, signal: SIGKILL }";

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("send {} to `{}`", self.signal.name(), self.target),
            undo: "nothing; rollback starts it if it was running".into(),
            proof: "the engine reports that it has ended".into(),
        }
    }

    async fn acts(
        &self,
        facts: &ContainerFacts,
        cx: &Cx<'_>,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let kill = EngineOp::Kill { container: facts.id.clone(), signal: self.signal.name() };
        Ok((vec![Op::Engine(kill)], lifecycle::start_again(cx)))
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
            Declared, Fault as _,
            testing::{self, Fake},
        },
        runtime::State,
    };

    fn fault(yaml: &str) -> Kill {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_the_container_has_ended() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent, signal: SIGTERM }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let kill = EngineOp::Kill { container: "c1".into(), signal: "SIGTERM".into() };
        assert_eq!(prepared.ops, [Op::Engine(kill)]);
        assert_eq!(prepared.undo, lifecycle::start_again(&cx));
        assert!(!fault.verify(&prepared.before, &[], &cx).await.unwrap().proven);
        {
            let mut world = fake.world();
            let facts = world.container.as_mut().unwrap();
            (facts.state, facts.exit_code) = (State::Exited, 143);
        }
        let effect = fault.verify(&prepared.before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.evidence.contains("143"), "{effect:?}");
        assert!(!fault.verify_reverted(&prepared.before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn a_container_that_does_not_run_cannot_be_killed() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        for state in [State::Exited, State::Paused, State::Created] {
            fake.world().container.as_mut().unwrap().state = state;
            let prepared = fault("{ target: agent }").prepare(&fake.cx(&site)).await;
            assert!(matches!(prepared, Err(FaultError::Refused(_))), "{state:?}");
        }
    }

    #[test]
    fn signals_are_named_and_a_path_is_refused() {
        assert_eq!(fault("{ target: agent }").signal.name(), "SIGKILL");
        assert!(serde_saphyr::from_str::<Kill>("{ target: agent, signal: SIGSTOP }").is_err());
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert_eq!(fault("{ target: agent:/data }").check(&none).len(), 1);
    }
}
