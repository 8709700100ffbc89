//! The scenario as a value: what one YAML file says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attach, Compose, Mount, Observe, ProbeItem, Step};
use crate::{
    protocol::Capability,
    runtime::{ENGINE_IMAGE, PullPolicy, RestartPolicy, Ulimit},
    units::{Duration, Size},
    volumes::VolumeSpec,
    workloads::WorkloadSpec,
};

/// One scenario: subjects, volumes, workloads, a steady state, steps and objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the language: 1.
    #[schemars(range(min = 1, max = 1))]
    pub keelhaul: u32,
    /// Unique name, kebab-case.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub name: String,
    /// One sentence: what goes wrong, for whom.
    pub about: Option<String>,
    /// Words to select scenarios by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The whole case must be over within this time, clean-up excepted.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Values for `${NAME}`.
    #[serde(default)]
    pub vars: BTreeMap<String, Value>,
    /// Axes whose product this scenario runs over.
    pub matrix: Option<Matrix>,
    /// Run this often; objectives by percentile then apply.
    #[schemars(range(min = 1, max = 1000))]
    pub repeat: Option<u32>,
    /// Capabilities needed beyond what the faults and volumes imply.
    #[serde(default)]
    pub requires: Vec<Capability>,
    /// What this scenario may touch outside its own objects.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// A Compose file whose services and volumes are this scenario's.
    pub compose: Option<Compose>,
    /// Volumes by name.
    #[serde(default)]
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// The containers under test, by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Load, by name.
    #[serde(default)]
    pub workloads: BTreeMap<String, WorkloadSpec>,
    /// Allowed recovery time and data loss.
    #[serde(default)]
    pub objectives: Objectives,
    /// Probes that must hold before injection and again after recovery.
    #[serde(default)]
    pub steady_state: Vec<ProbeItem>,
    /// What happens, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Probes that are read alongside.
    #[serde(default)]
    pub observe: Vec<Observe>,
    /// Probes that must hold in the end, also after a failure.
    #[serde(default)]
    pub verify: Vec<ProbeItem>,
    /// Probes that abort the run when they hold.
    #[serde(default)]
    pub stop_when: Vec<ProbeItem>,
    /// The same scenario with a known bug switched on, which must fail.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// A failure that is known, and until when it is tolerated.
    pub expect_failure: Option<ExpectFailure>,
    /// Regular expressions whose matches are hidden in every report.
    #[serde(default)]
    pub redact: Vec<String>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(120)
}

/// Product of axes, at most 64 cells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Values per variable.
    pub axes: BTreeMap<String, Vec<Value>>,
    /// Cells to leave out: each names some axes' values.
    #[serde(default)]
    pub exclude: Vec<BTreeMap<String, Value>>,
}

/// What a scenario may touch outside its own objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Allow {
    /// Containers that run already, under `attach`.
    Attach,
    /// Anything of the host.
    HostWide,
}

/// A container under test: made for the run from an `image`, with Compose's own subset of keys; or,
/// under `attach`, one that runs already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [{ "anyOf": [{ "required": ["image"] }, { "required": ["attach"] }] }]))]
pub struct Service {
    /// Image. Built in are `keelhaul/specimen`, the reference subject, and `keelhaul/engine`, the
    /// host's own engine once more, with its data root on a volume at `/var/lib/docker`.
    #[serde(default)]
    pub image: String,
    /// Instead of all other keys: a container that runs already.
    pub attach: Option<Attach>,
    /// When to pull the image.
    #[serde(default)]
    pub pull: PullPolicy,
    /// Instead of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's command.
    pub command: Option<Vec<String>>,
    /// Appended to the image's entry point, or to `command`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `uid[:gid]`, a name known to the image, or `unique` for a user that nobody else on the host
    /// is.
    pub user: Option<String>,
    /// Host name, instead of the beginning of the container's id.
    pub hostname: Option<String>,
    /// Directory that it starts in, instead of the image's.
    pub working_dir: Option<String>,
    /// Limits of its processes, by the engine's names: `nofile: { soft: 1024, hard: 4096 }`.
    #[serde(default)]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// What is mounted where: path to volume.
    #[serde(default)]
    pub mounts: BTreeMap<String, Mount>,
    /// Memory limit.
    pub memory: Option<Size>,
    /// CPU limit.
    pub cpus: Option<f64>,
    /// Restart policy.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How often `restart: on-failure` starts it again at most; without it, always.
    pub restart_attempts: Option<u32>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Services that are started first.
    #[serde(default)]
    pub depends_on: BTreeMap<String, Depends>,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Option<Duration>,
    /// Capabilities to drop.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Root filesystem read-only.
    #[serde(default)]
    pub read_only: bool,
    /// A small program of the engine's is its first process: it passes signals on, and takes up
    /// children that nobody waits for.
    #[serde(default)]
    pub init: bool,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Networks it joins, by name; all services share one unless they say otherwise.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Further names by which others on its networks find it.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl Service {
    /// It is an engine of the scenario's own.
    #[must_use]
    pub fn is_engine(&self) -> bool {
        self.image == ENGINE_IMAGE
    }
}

/// When a dependency counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Depends {
    /// It was started.
    #[default]
    ServiceStarted,
    /// Its health check says so.
    ServiceHealthy,
    /// It ended with code 0.
    ServiceCompletedSuccessfully,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Time between checks.
    #[serde(default = "default_interval")]
    pub interval: Duration,
    /// A check that takes longer has failed.
    #[serde(default = "default_interval")]
    pub timeout: Duration,
    /// Failures in a row until unhealthy.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Failures this soon after the start do not count.
    pub start_period: Option<Duration>,
}

fn default_interval() -> Duration {
    Duration::from_secs(1)
}

fn default_retries() -> u32 {
    3
}

/// Allowed recovery time and data loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Recovery time objective; with `repeat`, of every run.
    pub rto: Option<Duration>,
    /// Recovery point objective: acknowledged records that may be lost.
    pub rpo: Option<u64>,
    /// With `repeat`: median recovery time.
    pub rto_p50: Option<Duration>,
    /// With `repeat`: 95th percentile of the recovery time.
    pub rto_p95: Option<Duration>,
}

/// The same scenario with a known bug switched on, which must fail.
///
/// Overrides deep-merge maps and replace lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Unique name, kebab-case.
    pub name: String,
    /// One sentence: the bug.
    pub about: Option<String>,
    /// Ids of assertions of which one must be the first to fail: `as:` names, `recover`,
    /// `verify[0]`, …; none given: any.
    #[serde(default)]
    pub fails: Vec<String>,
    /// Only in the cells that have these values.
    pub cells: Option<BTreeMap<String, Value>>,
    /// Overrides.
    pub vars: Option<Value>,
    /// Overrides.
    pub volumes: Option<Value>,
    /// Overrides.
    pub services: Option<Value>,
    /// Overrides.
    pub workloads: Option<Value>,
    /// Overrides.
    pub objectives: Option<Value>,
    /// Overrides.
    pub steady_state: Option<Value>,
    /// Overrides.
    pub steps: Option<Value>,
    /// Overrides.
    pub observe: Option<Value>,
    /// Overrides.
    pub verify: Option<Value>,
}

/// A failure that is known, and until when it is tolerated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectFailure {
    /// Last day of tolerance: `2027-01-31`.
    pub until: String,
    /// Why.
    pub because: String,
}

/// A group of assertions, as reports name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hypothesis {
    /// Before injection.
    SteadyState,
    /// A fault's effect, and its end.
    Fault,
    /// A step.
    Step,
    /// Read alongside.
    Observe,
    /// In the end.
    Verify,
    /// Recovery time and data loss.
    Objective,
}
