//! What the lifecycle faults share: one act on one container as a whole, which shows in what the
//! engine reports of it.
//!
//! A fault says what is done and what it looks like afterwards; to look, and to wait within bounds
//! for the engine to notice, is done here. Changes nothing itself.

use std::{future::Future, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, checks, observe::word,
};
use crate::{
    protocol::{Capability, EngineOp, Op, Outcome},
    runtime::{ContainerFacts, State},
};

/// A container that gets a signal may take a while to end; what takes longer is not seen to end.
pub(super) const LOOKS: u32 = 100;

/// Between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 100 });

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Container id.
    id: String,
    /// Its name, by which a container that was made anew is found.
    name: String,
    /// When it was started.
    started_at: String,
}

impl Before {
    /// A container as it is.
    pub(super) fn of(facts: &ContainerFacts) -> Self {
        let ContainerFacts { id, name, started_at, .. } = facts.clone();
        Self { id, name, started_at }
    }

    /// The container of that name as it is now.
    pub(super) async fn again(&self, cx: &Cx<'_>) -> Result<ContainerFacts, FaultError> {
        Ok(cx.runtime.inspect(&self.name).await?)
    }

    /// The container was started since.
    pub(super) fn started_anew(&self, now: &ContainerFacts) -> bool {
        now.started_at != self.started_at
    }

    /// The container is another one now.
    pub(super) fn made_anew(&self, now: &ContainerFacts) -> bool {
        now.id != self.id
    }

    /// It ended, and may have been started again since.
    pub(super) fn ended(&self, now: &ContainerFacts) -> bool {
        matches!(now.state, State::Exited | State::Dead | State::Restarting)
            || self.started_anew(now)
    }

    /// What became of it, in words.
    pub(super) fn evidence(&self, now: &ContainerFacts) -> String {
        let mut seen = word(now.state);
        if matches!(now.state, State::Exited | State::Dead | State::Restarting) {
            seen += &format!(", exit code {}", now.exit_code);
        }
        if self.made_anew(now) {
            seen += &format!("; container {:.12}, before {:.12}", now.id, self.id);
        }
        if self.started_anew(now) {
            seen += &format!("; started at {}, before at {}", now.started_at, self.started_at);
        }
        seen
    }
}

/// A fault that acts on one container as a whole. Implementing it makes a [`Fault`].
pub(super) trait Lifecycle:
    Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync
{
    /// The word in YAML.
    const NAME: &'static str;
    /// What the host must offer.
    const NEEDS: &'static [Capability] = &[];
    /// The `inject:` value of an example that checks and plans.
    const EXAMPLE: &'static str;
    /// How long it lasts.
    const KIND: Kind = Kind::Event;
    /// Whether it may act on a container that is not the run's, and what that means to its owner.
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Processes);

    /// Where it acts.
    fn target(&self) -> &Target;
    /// In words, with the parameters in place.
    fn describe(&self) -> Described;

    /// What is wrong with its parameters. Pure.
    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it does anything to a container in this state.
    fn admits(state: State) -> bool {
        state == State::Running
    }

    /// The acts, and what undoes them.
    fn acts(
        &self,
        facts: &ContainerFacts,
        cx: &Cx<'_>,
    ) -> impl Future<Output = Result<(Vec<Op>, Vec<Op>), FaultError>> + Send;

    /// Whether this is what it leaves: in force (state), or happened (event).
    fn shows(&self, before: &Before, now: &ContainerFacts) -> bool;

    /// Whether nothing of it is left. An event leaves nothing that could be brought back but the
    /// container itself.
    fn is_over(now: &ContainerFacts) -> bool {
        now.state == State::Running
    }
}

impl<L: Lifecycle> Fault for L {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = <L as Lifecycle>::NEEDS;
    const EXAMPLE: &'static str = <L as Lifecycle>::EXAMPLE;
    const ON_OTHERS: OnOthers = <L as Lifecycle>::ON_OTHERS;

    fn kind(&self) -> Kind {
        L::KIND
    }

    fn target(&self) -> &Target {
        Lifecycle::target(self)
    }

    fn describe(&self) -> Described {
        Lifecycle::describe(self)
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let path = checks::needs_no_path(L::NAME, Lifecycle::target(self));
        path.into_iter().chain(self.complaints()).collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let mut facts = cx.facts().await?;
        if !L::admits(facts.state) {
            facts = cx.running().await?;
        }
        let (ops, undo) = self.acts(&facts, cx).await?;
        Ok(Prepared { before: Before::of(&facts), ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let mut facts = before.again(cx).await?;
        // a state is in force as soon as its ops are done; an event may take its time to show
        if L::KIND == Kind::Event {
            facts = wait(facts, cx, &before.name, |facts| self.shows(before, facts)).await?;
        }
        let proven = self.shows(before, &facts);
        Ok(Effect { proven, evidence: before.evidence(&facts), notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = before.again(cx).await?;
        let proven = L::is_over(&facts);
        Ok(Effect { proven, evidence: before.evidence(&facts), notes: Vec::new() })
    }
}

/// Looks at the container until `seen`, for ten seconds at most; returns the last look.
pub(super) async fn until(
    cx: &Cx<'_>,
    seen: impl Fn(&ContainerFacts) -> bool,
) -> Result<ContainerFacts, FaultError> {
    wait(cx.facts().await?, cx, &cx.site.place.container, seen).await
}

async fn wait(
    mut facts: ContainerFacts,
    cx: &Cx<'_>,
    container: &str,
    seen: impl Fn(&ContainerFacts) -> bool,
) -> Result<ContainerFacts, FaultError> {
    for _ in 1..LOOKS {
        if seen(&facts) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        facts = cx.runtime.inspect(container).await?;
    }
    Ok(facts)
}

/// Whether the container runs, which is all that can be brought back after an event.
pub(super) async fn runs(cx: &Cx<'_>) -> Result<Effect, FaultError> {
    let facts = cx.facts().await?;
    let proven = facts.state == State::Running;
    Ok(Effect { proven, evidence: word(facts.state), notes: Vec::new() })
}

/// Starts what was running.
pub(super) fn start_again(cx: &Cx<'_>) -> Vec<Op> {
    vec![Op::Engine(EngineOp::Start { container: cx.site.place.container.clone() })]
}
