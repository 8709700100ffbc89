//! Readings of probes: bounded in time, attributed to the faults in force, recorded in bounded
//! number.

use tokio::time::timeout;

use super::{
    event::{Event, Phase},
    world::World,
};
use crate::{
    helper::HelperLink,
    probes::{ProbeCx, ProbeSpec, Sample},
    protocol::{LoadStats, Place},
    runtime::Runtime,
};

/// What the reading of a probe counts against: rates start with the step, or slide.
struct View<'a> {
    world: &'a World,
    sliding: bool,
}

impl World {
    /// Reads a probe for a step, and records the sample. A reading that is not back in time is an
    /// error text.
    pub(super) async fn sample(
        &self,
        assertion: &str,
        probe: &ProbeSpec,
    ) -> Result<Sample, String> {
        let (phase, before) = (self.phase(), self.in_force());
        let result = read(&View { world: self, sliding: false }, probe).await;
        self.record_sample(assertion, probe, phase, self.still(before), &result);
        result
    }

    /// Reads a probe alongside the steps, without recording.
    pub(super) async fn read_alongside(&self, probe: &ProbeSpec) -> Result<Sample, String> {
        read(&View { world: self, sliding: true }, probe).await
    }

    /// Those of the faults that are in force still: a sample belongs to a fault only when its
    /// effect lasted for all of the reading.
    pub(super) fn still(&self, mut before: Vec<String>) -> Vec<String> {
        let now = self.in_force();
        before.retain(|fault| now.contains(fault));
        before
    }

    pub(super) fn record_sample(
        &self,
        assertion: &str,
        probe: &ProbeSpec,
        phase: Phase,
        during: Vec<String>,
        result: &Result<Sample, String>,
    ) {
        // it is of another time than the one it would be recorded at
        if result.as_ref().is_ok_and(|sample| sample.outdated.is_some()) {
            return;
        }
        if !self.recorded.is_due(assertion, result.as_ref().ok().map(Sample::holds)) {
            return;
        }
        self.emit(Event::Sampled {
            case: self.id(),
            assertion: assertion.to_owned(),
            probe: probe.describe(),
            phase,
            during,
            result: result.clone(),
        });
    }
}

async fn read(view: &View<'_>, probe: &ProbeSpec) -> Result<Sample, String> {
    match timeout(probe.deadline(), probe.read(view)).await {
        Ok(Ok(sample)) => Ok(sample),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no reading in time".to_owned()),
    }
}

impl ProbeCx for View<'_> {
    fn runtime(&self) -> &dyn Runtime {
        self.world.runtime.as_ref()
    }

    fn run(&self) -> &str {
        &self.world.run
    }

    fn helper(&self) -> &dyn HelperLink {
        self.world.helper.as_ref()
    }

    fn place(&self, service: &str, path: &str) -> Option<Place> {
        // the worker finds the init by the container's id
        let container = self.world.container(service)?;
        Some(Place { container, pid: 0, path: path.to_owned(), host_path: None })
    }

    fn logs_since(&self) -> i64 {
        self.world.logs_since()
    }

    fn changed_ns(&self) -> Option<i64> {
        self.world.changed_ns()
    }

    fn load(&self, workload: &str) -> String {
        self.world.load_name(workload)
    }

    fn baseline(&self, workload: &str) -> Option<LoadStats> {
        let loads = &self.world.loads;
        if self.sliding { loads.sliding(workload) } else { loads.of_step(workload) }
    }
}
