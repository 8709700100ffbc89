//! What the engine says of its objects: data only.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RestartPolicy;

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Where it answers: `unix:///var/run/docker.sock`.
    pub address: String,
    /// `20.10.24`.
    pub version: String,
    /// `1.41`.
    pub api_version: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// `6.18.44`.
    pub kernel: String,
    /// `overlay2`.
    pub storage_driver: String,
    /// `/var/lib/docker`.
    pub data_root: String,
    /// Whether the filesystem beneath the layers tells the types of directory entries, where the
    /// storage driver says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_type: Option<bool>,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// `name=seccomp,profile=default`, `name=rootless`, `name=userns`, …
    pub security: Vec<String>,
}

/// A line that a container printed, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// When the engine read it, in Unix nanoseconds of our clock, a differing one of the engine's put
    /// right; none where it does not say.
    pub at_ns: Option<i64>,
    /// Its bytes, with the end of the line.
    pub bytes: Vec<u8>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// Full id.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// State as the engine has it.
    pub state: State,
    /// Pid of its init on the host; 0 when it does not run.
    pub pid: u32,
    /// Exit code of the last end.
    pub exit_code: i64,
    /// The engine's OOM flag. Stays false when init survives: read the cgroup's counters too.
    pub oom_killed: bool,
    /// Restarts by policy.
    pub restarts: i64,
    /// Start time as the engine prints it; changes with every start.
    pub started_at: String,
    /// Health check state.
    pub health: Health,
    /// What its health check said last; none where it never ended.
    #[serde(default)]
    pub checked: Option<Checked>,
    /// Milliseconds from the end of one health check to that of the next, at most; none where it has none.
    #[serde(default)]
    pub next_check_ms: Option<u64>,
    /// Milliseconds that it asks for between SIGTERM and SIGKILL; none where the engine decides.
    pub stop_grace_ms: Option<u64>,
    /// Its limit of memory, as the engine will apply it with every start.
    pub memory: Option<MemoryLimit>,
    /// Image id.
    pub image: String,
    /// Its mounts.
    pub mounts: Vec<ContainerMount>,
    /// The engine removes it as soon as it ends: it was started with `--rm`.
    pub goes_when_ended: bool,
    /// The networks it is on.
    pub networks: Vec<ContainerNetwork>,
    /// When the engine starts it again.
    pub restart: RestartPolicy,
    /// How often a failure starts it again; none without a limit.
    pub restart_attempts: Option<u32>,
}

/// What the runtime mounts in every container, beside what it is asked for (OCI runtime
/// specification, default filesystems).
const DEFAULTS: [&str; 3] = ["/dev", "/proc", "/sys"];

impl ContainerFacts {
    /// Whether what lies at a path of it, and nowhere on the host, is gone when it ends.
    #[must_use]
    pub fn has_in_memory(&self, path: &str) -> bool {
        let below = |dir: &str| Path::new(path).starts_with(dir);
        let mut tmpfs = self.mounts.iter().filter(|mount| mount.kind == "tmpfs");
        DEFAULTS.into_iter().any(below) || tmpfs.any(|mount| below(&mount.destination))
    }
}

/// A container's limit of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of memory and swap together; -1 for any amount of swap.
    pub with_swap: i64,
}

/// A container's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Frozen by the engine.
    Paused,
    /// Between two starts of a restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// The engine gave it up.
    Dead,
}

/// A container's health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It has none.
    None,
    /// Not yet known.
    Starting,
    /// Good.
    Healthy,
    /// Bad.
    Unhealthy,
}

/// How a health check ended once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// 0 is good; a negative number where it could not be run, or took too long.
    pub exit_code: i64,
    /// What it printed, as far as the engine keeps it.
    pub output: String,
    /// When it began, in Unix nanoseconds of our clock, a differing one of the engine's put right; none
    /// where the engine does not say.
    #[serde(default)]
    pub started_ns: Option<i64>,
}

/// A mount as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerMount {
    /// Path in the container.
    pub destination: String,
    /// `volume`, `bind`, `tmpfs`.
    pub kind: String,
    /// Path on the engine's host; empty for tmpfs.
    pub source: String,
    /// Volume name; empty for others.
    pub volume: String,
    /// Mounted writable.
    pub writable: bool,
    /// The filesystem that the engine mounts for this volume; none where nobody has asked the engine, and
    /// for a directory of the engine's or of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnFilesystem>,
}

/// A filesystem that a volume brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFilesystem {
    /// As the volume's options have it: `ext4`.
    pub fs_type: String,
    /// Names of the other running containers that have the volume.
    pub shared_with: Vec<String>,
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerNetwork {
    /// Network id.
    pub id: String,
    /// Network name.
    pub name: String,
    /// Its IPv4 address there; empty while the container does not run.
    pub address: String,
    /// IPv4 address of the network's gateway; empty where there is none.
    pub gateway: String,
    /// Names by which others find it, as they were asked for.
    pub aliases: Vec<String>,
}

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutput {
    /// Its exit code.
    pub exit_code: i64,
    /// Standard output, bounded; invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, bounded; invalid UTF-8 replaced.
    pub stderr: String,
}

/// Kinds of objects that the engine keeps for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A container.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// An image.
    Image,
}

/// An object of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// What it is.
    pub kind: ObjectKind,
    /// Id, or name for a volume.
    pub id: String,
    /// Name.
    pub name: String,
    /// Value of the run label.
    pub run: String,
    /// Value of the role label: `subject`, `helper`, `journal`, …
    pub role: String,
}
