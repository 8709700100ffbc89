//! What a fault may use.

use std::collections::BTreeMap;

use super::Site;
use crate::{
    helper::HelperLink,
    runtime::{ContainerFacts, Runtime},
};

/// What a fault may use.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    /// The engine.
    pub runtime: &'a dyn Runtime,
    /// The helper.
    pub helper: &'a dyn HelperLink,
    /// Where it acts.
    pub site: &'a Site,
    /// The run's id.
    pub run: &'a str,
    /// The scenario says `allow: [host-wide]`.
    pub host_wide: bool,
    /// The container is not the run's: it was there before, and goes on afterwards.
    pub attached: bool,
    /// Every container that is not the run's and that it acts on, by service.
    pub all_attached: &'a BTreeMap<String, ContainerFacts>,
    /// Share of the way from what is now to the fault's amount: 1 for all of it, less in the stages
    /// of a ramp.
    pub share: f64,
    /// In a later stage of a ramp, what was there before the first one. What the earlier stages have
    /// done is there, and is undone with it.
    pub first: Option<&'a serde_json::Value>,
    /// Decides what a probability hits.
    pub seed: u64,
    /// What is done through an interposer is traced, operation by operation.
    pub traced: bool,
    /// The container has ended since the act: what its mounts were then is looked at.
    pub kept: bool,
}

impl Cx<'_> {
    /// Name of the filler directory and of our marks: `.keelhaul-<run>`.
    #[must_use]
    pub fn marker(&self) -> String {
        format!(".keelhaul-{}", self.run)
    }
}
