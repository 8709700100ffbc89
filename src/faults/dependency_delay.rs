//! `dependency-delay`: holds a service stopped, so that others start or run without it.
//!
//! Mechanism: the engine's `stop`, which no restart policy overrules. Blast radius: one container.
//! Undone by the engine's `start`, which leaves alone what runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    lifecycle, observe::word,
};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome, Read},
    runtime::State,
    units::Duration,
};

/// Holds a service stopped until it is reverted, as a late dependency is.
///
/// Name the service that others need, and start or restart those meanwhile: they meet a name that
/// does not resolve, and nobody who listens. Volumes stay; what lies in a tmpfs is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyDelay {
    /// The service that others depend on: `service`.
    target: Target,
    /// Between SIGTERM and SIGKILL.
    #[serde(default = "default_grace")]
    grace: Duration,
}

fn default_grace() -> Duration {
    Duration::from_secs(2)
}

/// Longer would look like an engine that hangs.
const MOST_GRACE: Duration = Duration::from_secs(60);

impl Fault for DependencyDelay {
    type Before = ();

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "dependency-delay: { target: agent }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("stop `{}`, and hold it stopped", self.target),
            undo: "start it".into(),
            proof: "the engine reports that it has ended, and it has no process".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> =
            checks::needs_no_path("dependency-delay", &self.target).into_iter().collect();
        if self.grace > MOST_GRACE {
            wrong.push(format!(
                "a grace of {} is longer than any rollback waits\n\nhint: write {MOST_GRACE} at most",
                self.grace
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<()>, FaultError> {
        cx.running().await?;
        let container = cx.site.place.container.clone();
        let grace_ms = u64::try_from(self.grace.0.as_millis()).unwrap_or(u64::MAX);
        Ok(Prepared {
            before: (),
            ops: vec![Op::Engine(EngineOp::Stop { container, grace_ms })],
            undo: lifecycle::start_again(cx),
        })
    }

    async fn verify(&self, (): &(), _: &[Outcome], cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.facts().await?;
        let process = cx.helper.read(Read::Init(cx.site.place.clone())).await.is_ok();
        let evidence = format!(
            "{}, {}",
            word(facts.state),
            if process { "and its init runs" } else { "no init" }
        );
        Ok(Effect { proven: facts.state == State::Exited && !process, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, (): &(), cx: &Cx<'_>) -> Result<Effect, FaultError> {
        lifecycle::runs(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        helper::HelperError,
    };

    fn fault(yaml: &str) -> DependencyDelay {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_it_has_ended_and_no_process_is_left() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent, grace: 1s }"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let stop = EngineOp::Stop { container: "c1".into(), grace_ms: 1000 };
        assert_eq!(prepared.ops, [Op::Engine(stop)]);
        assert_eq!(prepared.undo, lifecycle::start_again(&cx));
        assert!(!fault.verify(&(), &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(!fault.verify(&(), &[], &cx).await.unwrap().proven, "its init is still there");
        fake.world().helper_error = Some(HelperError::Refused("no init".into()));
        assert!(fault.verify(&(), &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&(), &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn what_does_not_run_cannot_be_held_back() {
        let (fake, site) = (Fake::default(), testing::bare("/"));
        fake.world().container.as_mut().unwrap().state = State::Exited;
        let refused = fault("{ target: agent }").prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault("{ target: agent }").check(&none).is_empty());
        assert_eq!(fault("{ target: agent:/data, grace: 1h }").check(&none).len(), 2);
    }
}
