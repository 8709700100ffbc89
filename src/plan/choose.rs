//! Which of the objects that a fault's target matches are hit: by the seed, before anything runs.

use super::{Case, hash::hash};
use crate::{
    faults::{FaultSpec, Target},
    scenario::{Action, Scenario, Step},
};

impl Case {
    /// The faults of a step that injects, one for each object that is hit; none of other steps.
    #[must_use]
    pub fn faults(&self, step: usize) -> Vec<FaultSpec> {
        let Some(Step { action: Action::Inject(inject), name, .. }) = self.scenario.steps.get(step)
        else {
            return Vec::new();
        };
        let of = name.clone().unwrap_or_else(|| format!("steps[{step}]"));
        self.hits(&inject.fault, &of)
    }

    /// A fault on each of the objects that are hit in a step of this id.
    #[must_use]
    pub fn hits(&self, fault: &FaultSpec, step: &str) -> Vec<FaultSpec> {
        let chosen = choose(&self.scenario, fault, step, self.seed);
        chosen.iter().map(|target| fault.on(target)).collect()
    }
}

/// Those with the smallest hashes of seed, step and object, in the order of their names: another
/// object more or less changes little, and nothing depends on how often anybody asks.
fn choose(scenario: &Scenario, fault: &FaultSpec, step: &str, seed: u64) -> Vec<Target> {
    let mut objects = scenario.objects(fault);
    let Some(select) = &fault.target().select else { return objects };
    let rank = |target: &Target| {
        hash(&[&seed.to_le_bytes(), step.as_bytes(), target.to_string().as_bytes()])
    };
    let mut ranks: Vec<u64> = objects.iter().map(rank).collect();
    ranks.sort_unstable();
    ranks.truncate(select.pick.of(objects.len()));
    objects.retain(|target| ranks.contains(&rank(target)));
    objects
}
