//! What the runner gives a probe, on the world of the faults' unit tests.

use std::sync::MutexGuard;

use super::ProbeCx;
use crate::{
    faults::testing::{self, Fake},
    helper::HelperLink,
    protocol::{LoadStats, Place},
    runtime::Runtime,
};

/// A service `agent` in a world, with a baseline for every workload.
#[derive(Default)]
pub(super) struct World {
    fake: Fake,
    /// How every load stood when the step began.
    pub(super) baseline: Option<LoadStats>,
    /// When a fault was last injected, or seen to be over.
    pub(super) changed_ns: Option<i64>,
}

impl World {
    /// The world, to look at or to change.
    pub(super) fn set(&self) -> MutexGuard<'_, testing::World> {
        self.fake.world()
    }
}

impl ProbeCx for World {
    fn runtime(&self) -> &dyn Runtime {
        &self.fake
    }

    fn run(&self) -> &str {
        "r1"
    }

    fn helper(&self) -> &dyn HelperLink {
        &self.fake
    }

    fn place(&self, service: &str, path: &str) -> Option<Place> {
        (service == "agent").then(|| testing::place(path))
    }

    fn logs_since(&self) -> i64 {
        0
    }

    fn changed_ns(&self) -> Option<i64> {
        self.changed_ns
    }

    fn load(&self, workload: &str) -> String {
        format!("r1-{workload}")
    }

    fn baseline(&self, _: &str) -> Option<LoadStats> {
        self.baseline.clone()
    }
}
