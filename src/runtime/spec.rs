//! What we ask the engine for: data only, with everything decided.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image and how it gets here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Name as written. `keelhaul/specimen` and `keelhaul/helper` are made from our own binary.
    pub name: String,
    /// When to pull.
    pub pull: PullPolicy,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When it is not present.
    #[default]
    Missing,
    /// Never: its absence is an error.
    Never,
    /// Always.
    Always,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name, unique to the run.
    pub name: String,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name, unique to the run.
    pub name: String,
    /// Volume driver: `local` unless the user says otherwise.
    pub driver: String,
    /// Driver options: `type`, `device`, `o` for the local driver.
    pub options: BTreeMap<String, String>,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its name, unique to the run.
    pub name: String,
    /// Image id or name; present by now.
    pub image: String,
    /// Instead of the image's command.
    pub command: Option<Vec<String>>,
    /// Instead of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// `uid[:gid]` or a name known to the image.
    pub user: Option<String>,
    /// Host name; the beginning of the id without one.
    pub hostname: Option<String>,
    /// Instead of the image's directory.
    pub working_dir: Option<String>,
    /// Limits of its processes, by name.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Mounts.
    pub mounts: Vec<MountSpec>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// CPUs.
    pub cpus: Option<f64>,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// How often it is started again at most after a failure; without it, always.
    pub restart_attempts: Option<u32>,
    /// Health check.
    pub health: Option<HealthCheck>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace: Option<u64>,
    /// Network id: the run's own. Without one there is only the loopback interface.
    pub network: Option<String>,
    /// Names by which others in the network find it.
    pub aliases: Vec<String>,
    /// Capabilities to drop: `ALL`, `CHOWN`, …
    pub cap_drop: Vec<String>,
    /// Root filesystem read-only.
    pub read_only: bool,
    /// A small program of the engine's is its first process.
    pub init: bool,
    /// It holds an engine of its own, and gets what that needs of the host.
    pub inner_engine: bool,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Absolute path in the container.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
    /// Mounted read-only.
    pub read_only: bool,
    /// Labelled when the container starts; of a bind only.
    pub relabel: Option<Relabel>,
}

/// For whom the engine labels a bind where `SELinux` is in force; nothing is done elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Relabel {
    /// For every container.
    Shared,
    /// For this container alone; the next one that does so takes it away.
    Private,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A volume by name. Docker copies the image's files into an empty one unless `no_copy`.
    Volume {
        /// Its name.
        name: String,
        /// Do not copy the image's files.
        no_copy: bool,
    },
    /// A path on the engine's host.
    Bind {
        /// Its path.
        path: String,
    },
    /// Memory; gone with the container.
    Tmpfs {
        /// Bytes; none for the engine's default (no limit below half of memory).
        size: Option<u64>,
        /// Inodes. Given to the engine as a mount option where its API has none.
        inodes: Option<u64>,
        /// Permission bits of its root.
        mode: Option<u32>,
    },
}

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it ends with another code than 0.
    OnFailure,
    /// Whenever it ends.
    Always,
    /// Whenever it ends, unless it was stopped.
    UnlessStopped,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Milliseconds between checks.
    pub interval_ms: u64,
    /// Milliseconds until a check has failed.
    pub timeout_ms: u64,
    /// Failures in a row until unhealthy.
    pub retries: u32,
    /// Milliseconds from the start in which failures do not count.
    pub start_period_ms: Option<u64>,
}

/// A limit of a container's processes; -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ulimit {
    /// What applies.
    pub soft: i64,
    /// What it may be raised to.
    pub hard: i64,
}

/// What the helper may do, and no more; the rest is dropped.
pub const HELPER_CAPABILITIES: &[&str] = &[
    "SYS_ADMIN",
    "SYS_PTRACE",
    "DAC_READ_SEARCH",
    "DAC_OVERRIDE",
    "IPC_LOCK",
    "MKNOD",
    "CHOWN",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETUID",
    "SETGID",
    "SYS_CHROOT",
];

/// What an engine in a container needs beyond what the engine gives every container. Its own
/// containers get the rest from there.
pub const ENGINE_CAPABILITIES: &[&str] =
    &["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "IPC_LOCK"];

/// The helper's container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperSpec {
    /// Its name, unique to the run.
    pub name: String,
    /// Id of the image with our own executable.
    pub image: String,
    /// Arguments of our executable.
    pub command: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
    /// Name of the run's own volume.
    pub volume: String,
    /// Further mounts; a tmpfs is left out.
    pub mounts: Vec<MountSpec>,
    /// Capabilities: see [`HELPER_CAPABILITIES`].
    pub capabilities: Vec<String>,
}

/// The container of a shell. It gets what the helper gets to enter its targets, and neither the
/// run's volume nor the engine's socket nor any device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellSpec {
    /// Its name, unique to the run.
    pub name: String,
    /// Id of the image with our own executable.
    pub image: String,
    /// Arguments of our executable.
    pub command: Vec<String>,
    /// Labels; the run label is among them.
    pub labels: BTreeMap<String, String>,
}
