//! An engine in memory, for the runner's own unit tests. It never stands in for proof that a fault
//! works: nothing in it runs.

mod engine;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    ContainerFacts, ContainerSpec, ExecOutput, NetworkSpec, Printed, Result, RuntimeError,
    VolumeSpec,
};

/// The engine. What it is asked for is recorded; what it answers can be scripted.
#[derive(Debug, Default)]
pub(crate) struct FakeRuntime {
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    containers: Vec<FakeContainer>,
    networks: Vec<NetworkSpec>,
    volumes: Vec<VolumeSpec>,
    /// One line per call: `create-container web`.
    calls: Vec<String>,
    /// Start of a call, and how often it still fails with what.
    failures: Vec<(String, usize, RuntimeError)>,
    /// Container name, program, what it leaves.
    programs: Vec<(String, String, ExecOutput)>,
    starts: u32,
}

#[derive(Debug)]
struct FakeContainer {
    spec: ContainerSpec,
    facts: ContainerFacts,
    log: Vec<Printed>,
}

impl FakeRuntime {
    /// The next `times` calls that begin with `call` (`start web`, `create-volume`) fail.
    pub(crate) fn fail(&self, call: &str, times: usize, error: RuntimeError) {
        self.world().failures.push((call.to_owned(), times, error));
    }

    /// What `program` leaves in a container; without this it ends with 0 and says nothing.
    pub(crate) fn answer(&self, container: &str, program: &str, output: ExecOutput) {
        self.world().programs.push((container.to_owned(), program.to_owned(), output));
    }

    /// Lets a container print.
    ///
    /// # Panics
    /// When there is no such container.
    pub(crate) fn print(&self, container: &str, bytes: &[u8]) {
        let mut world = self.world();
        let found = world.find(container).expect("a test prints from a container that it made");
        let at_ns = i64::try_from(jiff::Timestamp::now().as_nanosecond()).ok();
        found.log.push(Printed { at_ns, bytes: bytes.to_vec() });
    }

    /// Changes what a container is: it crashes, it gets sick, it is killed by the kernel.
    ///
    /// # Panics
    /// When there is no such container.
    pub(crate) fn change(&self, container: &str, change: impl FnOnce(&mut ContainerFacts)) {
        let mut world = self.world();
        let found = world.find(container).expect("a test changes a container that it made");
        change(&mut found.facts);
    }

    /// Removes a container behind everybody's back.
    pub(crate) fn lose(&self, container: &str) {
        self.world().containers.retain(|one| !one.is(container));
    }

    /// Every call so far, one line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// What a container was made from.
    pub(crate) fn spec(&self, container: &str) -> Option<ContainerSpec> {
        self.world().find(container).ok().map(|found| found.spec.clone())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeContainer {
    fn is(&self, container: &str) -> bool {
        self.facts.id == container || self.facts.name == container
    }
}

impl World {
    /// Records a call; fails where the script says so. An id is recorded as its name.
    fn called(&mut self, verb: &str, object: &str) -> Result<()> {
        let name = object.strip_prefix("id-").unwrap_or(object);
        let call = format!("{verb} {name}").trim_end().to_owned();
        let failure = self
            .failures
            .iter_mut()
            .find(|(start, times, _)| *times > 0 && call.starts_with(start));
        self.calls.push(call);
        match failure {
            Some((_, times, error)) => {
                *times -= 1;
                Err(error.clone())
            }
            None => Ok(()),
        }
    }

    fn find(&mut self, container: &str) -> Result<&mut FakeContainer> {
        self.containers
            .iter_mut()
            .find(|one| one.is(container))
            .ok_or_else(|| RuntimeError::Gone { what: "container", name: container.to_owned() })
    }
}
