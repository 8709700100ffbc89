//! A fault that was injected: what is known of it, and a look at its effect.

use std::sync::{Mutex as Lock, PoisonError};

use tokio::{sync::Mutex, time::Instant};

use super::{assert::record, site::cx, struck::Armed, world::World};
use crate::{
    faults::{Effect, FaultError, FaultSpec, Kind, Site},
    protocol::{EntryId, Outcome},
    runtime::ContainerFacts,
    scenario::Hypothesis,
    verdict::Verdict,
};

/// One start of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    container: String,
    /// As the engine prints it.
    at: String,
}

impl Start {
    pub(super) fn of(facts: &ContainerFacts) -> Self {
        Self { container: facts.id.clone(), at: facts.started_at.clone() }
    }
}

/// A fault that was injected.
pub(super) struct Injection {
    /// Id in reports: the step's, and which of several it is.
    pub(super) id: String,
    /// Id of the step: its `as`, or `steps[i]`.
    pub(super) step: String,
    pub(super) fault: FaultSpec,
    pub(super) entry: EntryId,
    /// Rules that it put in force.
    pub(super) armed: Vec<Armed>,
    pub(super) before: serde_json::Value,
    pub(super) site: Site,
    pub(super) proven: bool,
    /// What was seen of its effect, or instead of it.
    pub(super) evidence: String,
    /// The earliest moment at which the keeper may revert it by itself.
    pub(super) expires: Option<Instant>,
    /// It was reverted, and by hand nothing speaks against that it is gone. Held by whoever reverts it, so
    /// that a step and the expiry do not meet.
    pub(super) over: Mutex<bool>,
    /// The start of its container under which the effect was last seen.
    pub(super) start: Lock<Option<Start>>,
}

impl Injection {
    /// There is something to revert before the end.
    pub(super) fn lasts(&self) -> bool {
        self.fault.kind() != Kind::Event
    }

    pub(super) fn seen_under(&self, start: &Start) -> bool {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(start)
    }

    pub(super) fn saw_under(&self, start: Start) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = Some(start);
    }
}

/// Looks whether the effect is there.
pub(super) async fn look(
    world: &World,
    injection: &Injection,
    outcomes: &[Outcome],
) -> Result<Effect, FaultError> {
    look_at(world, injection, &injection.site, outcomes).await
}

/// Likewise, at a site that is not the one that was injected at.
pub(super) async fn look_at(
    world: &World,
    injection: &Injection,
    site: &Site,
    outcomes: &[Outcome],
) -> Result<Effect, FaultError> {
    injection.fault.verify(&injection.before, outcomes, &cx(world, site)).await
}

/// Nothing that was observed under this fault proves anything.
pub(super) fn ended_early(world: &World, injection: &Injection, why: &str, started: Instant) {
    let id = format!("{}.lasting", injection.id);
    let (title, verdict) = ("the fault is still in force", Verdict::Inconclusive);
    record(world, &id, Hypothesis::Fault, title, Some(verdict), why, started);
    world.findings().break_off(why);
}
