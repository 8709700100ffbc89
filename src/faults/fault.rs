//! What a fault is: one trait, and what its parts hand to each other.

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Cx, Effect, FaultError, Kind, OnOthers, Scope, Target};
use crate::{
    protocol::{Capability, IoAction, IoRule, Op, Outcome},
    units::Duration,
    volumes::{Layer, VolumeSpec},
};

/// What a fault has seen, and what it wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared<B> {
    /// The state before, for verification.
    pub before: B,
    /// The acts.
    pub ops: Vec<Op>,
    /// What undoes them; must work without the outcome.
    pub undo: Vec<Op>,
}

/// A fault in words, for `plan` and `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// What is done.
    pub act: String,
    /// What undoes it.
    pub undo: String,
    /// How the effect is proven.
    pub proof: String,
}

/// What a scenario declares about a target, before anything runs.
#[derive(Debug, Clone)]
pub struct Declared<'a> {
    /// The volume mounted at, or above, the target's path.
    pub volume: Option<&'a VolumeSpec>,
    /// The path is itself a mount point.
    pub is_mount_point: bool,
    /// The scenario says `allow: [host-wide]`.
    pub host_wide: bool,
}

/// One fault.
pub trait Fault: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync {
    /// The state before injection, as far as verification needs it.
    type Before: Serialize + DeserializeOwned + Send + Sync;

    /// The widest thing it can touch.
    const SCOPE: Scope;
    /// What the host must offer.
    const NEEDS: &'static [Capability];
    /// The `inject:` value of an example that checks and plans.
    const EXAMPLE: &'static str;
    /// Its amount can grow in stages: `prepare` takes the context's share of it, and may be called
    /// again on top of an earlier stage.
    const RAMPS: bool = false;
    /// Whether it may act on a container that is not the run's, and what that means to its owner.
    const ON_OTHERS: OnOthers = OnOthers::UNKNOWN;

    /// How long it lasts.
    fn kind(&self) -> Kind;
    /// The widest thing it can touch, with these parameters.
    fn scope(&self) -> Scope {
        Self::SCOPE
    }
    /// What the host must offer, with these parameters.
    fn needs(&self) -> &'static [Capability] {
        Self::NEEDS
    }
    /// Where it acts.
    fn target(&self) -> &Target;
    /// The other service that it acts on, and the key that names it.
    fn peer(&self) -> Option<(&'static str, &str)> {
        None
    }
    /// Further places of the same service that it acts on, each as on its target, and the key that
    /// names them.
    fn along(&self) -> (&'static str, &[Target]) {
        ("", &[])
    }
    /// In words, with the parameters in place.
    fn describe(&self) -> Described;
    /// Its undo in words, where that depends on the volume that the target lies on.
    fn undo_on(&self, _volume: Option<&VolumeSpec>) -> Option<String> {
        None
    }

    /// The keeper reverts it after this long, whatever the scenario says.
    fn lasts_at_most(&self) -> Option<Duration> {
        None
    }

    /// The subject may end the effect by itself, as by freeing files, or its own time may end it: then
    /// it is not looked for again before the revert, and after a start only where it ends with the container.
    /// An event of which nothing is seen any more is done again, a few times.
    fn subject_may_end_it(&self) -> bool {
        false
    }

    /// Rules that it may bring to the volume's interposer, where the target lies at this path below
    /// the volume's root. Pure.
    fn io_rules(&self, _below: &str) -> Vec<IoRule> {
        Vec::new()
    }

    /// Where it strikes operations one by one, if it does: between a service and its files, or
    /// between a filesystem and its disk. Pure.
    fn strikes(&self) -> Option<Layer> {
        let strikes = |rule: &IoRule| rule.action != IoAction::Remember;
        self.io_rules("").iter().any(strikes).then_some(Layer::File)
    }

    /// What is wrong with it on this target; each one sentence, with a hint. Pure.
    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Observes and decides. Changes nothing.
    fn prepare(
        &self,
        cx: &Cx<'_>,
    ) -> impl Future<Output = Result<Prepared<Self::Before>, FaultError>> + Send;

    /// Looks, from the target's own view and by other means than the injection, whether the effect
    /// is in force (state, damage) or has happened (event).
    fn verify(
        &self,
        before: &Self::Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> impl Future<Output = Result<Effect, FaultError>> + Send;

    /// Looks whether the effect is gone. Not asked of events.
    fn verify_reverted(
        &self,
        before: &Self::Before,
        cx: &Cx<'_>,
    ) -> impl Future<Output = Result<Effect, FaultError>> + Send;
}
