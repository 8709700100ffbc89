//! What was chosen when a container was made, with what its image says: data only.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{RestartPolicy, Ulimit};

/// What was chosen for one container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Choices {
    /// Full id; empty for what is not made yet.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// Image, as it was asked for.
    pub image: String,
    /// It runs.
    pub running: bool,
    /// `uid[:gid]` or names; empty for root.
    pub user: String,
    /// Host name that was chosen; none for the engine's own.
    pub hostname: Option<String>,
    /// Directory that it starts in, the image's included.
    pub working_dir: String,
    /// Limits of its processes that were chosen.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Groups beside the user's own, by name or id.
    pub groups: Vec<String>,
    /// Instead of the image's, or the image's own.
    pub entrypoint: Vec<String>,
    /// Instead of the image's, or the image's own.
    pub command: Vec<String>,
    /// `KEY=VALUE`, the image's included.
    pub env: Vec<String>,
    /// Mounts, by path.
    pub mounts: Vec<ChosenMount>,
    /// Program of the health check; none where there is no check.
    pub health: Option<Vec<String>>,
    /// Limit of memory in bytes.
    pub memory: Option<u64>,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// How often a failure starts it again; none without a limit.
    pub restart_attempts: Option<u32>,
    /// TCP ports that it says it serves.
    pub ports: Vec<u16>,
    /// They are published: an image exposes more than it serves.
    pub published: bool,
    /// The engine makes missing directories of its binds whenever it looks into the container.
    pub makes_binds: bool,
}

/// A mount that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenMount {
    /// Path in the container.
    pub destination: String,
    /// What is mounted there.
    pub source: ChosenSource,
    /// Mounted writable.
    pub writable: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenSource {
    /// A volume, by name.
    Volume(String),
    /// A path of the engine's host.
    Bind(String),
    /// Memory, and its limit as it was asked for.
    Tmpfs(Option<String>),
    /// Anything else, by the engine's word.
    Other(String),
}

/// A container among others, and what it mounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Full id.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// It runs.
    pub running: bool,
    /// Image, as it was asked for.
    pub image: String,
    /// How long it has run, or since when it has not, in the engine's words.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The Compose project that it belongs to.
    pub project: Option<String>,
    /// A run of ours made it.
    pub ours: bool,
    /// It is a run's helper.
    pub helper: bool,
    /// Names of volumes and paths of binds.
    pub mounts: Vec<String>,
    /// Those among them that it may write.
    pub writes: Vec<String>,
    /// Names of its networks.
    pub networks: Vec<String>,
}

/// What an image says of its containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFacts {
    /// `KEY=VALUE`.
    pub env: Vec<String>,
    /// It has a health check.
    pub has_health_check: bool,
    /// A registry has it, under a digest that the engine knows: it was pulled or pushed.
    pub in_registry: bool,
}

/// Owner and kind of what a path in a container leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Its user.
    pub uid: u64,
    /// Its group.
    pub gid: u64,
    /// Its permission bits.
    pub mode: u32,
    /// It is a directory.
    pub directory: bool,
}

/// Files of an image that a mount hides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hidden {
    /// How many.
    pub files: usize,
    /// The first of them.
    pub first: String,
}

impl ChosenMount {
    /// Name of the volume or path of the bind; none for what nobody else can mount.
    #[must_use]
    pub fn shared_as(&self) -> Option<&str> {
        match &self.source {
            ChosenSource::Volume(name) => Some(name),
            ChosenSource::Bind(path) => Some(path),
            ChosenSource::Tmpfs(_) | ChosenSource::Other(_) => None,
        }
    }

    /// In words: ``volume `data` ``, ``the host's `/srv` ``, `a tmpfs`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.source {
            ChosenSource::Volume(name) => format!("volume `{name}`"),
            ChosenSource::Bind(path) => format!("the host's `{path}`"),
            ChosenSource::Tmpfs(_) => "a tmpfs".into(),
            ChosenSource::Other(kind) => format!("a mount of kind `{kind}`"),
        }
    }

    /// It is an engine's socket, or a directory of the host that has one in it. Read-only or not,
    /// whoever has it may ask the engine for anything.
    #[must_use]
    pub fn reaches_engine(&self) -> bool {
        matches!(&self.source, ChosenSource::Bind(path) if reaches_engine(path))
    }
}

/// Where engines listen, below `/run`.
const SOCKETS: [&str; 4] =
    ["docker.sock", "containerd/containerd.sock", "podman/podman.sock", "crio/crio.sock"];
/// Each user's own engine listens below.
const USERS: &str = "/run/user";

/// True for the path of an engine's socket, and of any directory that has one in it.
#[must_use]
pub fn reaches_engine(path: &str) -> bool {
    // the one is a link to the other
    let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run")).unwrap_or(path);
    let path = Path::new(path);
    if !path.is_absolute() {
        return false;
    }
    let is_socket = |socket: &str| Path::new(socket).file_name() == path.file_name();
    let holds = |socket: &str| Path::new("/run").join(socket).starts_with(path);
    SOCKETS.iter().any(|socket| is_socket(socket) || holds(socket)) || path.starts_with(USERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_what_holds_them_reach_the_engine() {
        for path in [
            "/",
            "/run",
            "/var/run/",
            "/var/run/docker.sock",
            "/srv/engine/docker.sock",
            "/run/containerd",
            "/run/user/1000",
        ] {
            assert!(reaches_engine(path), "{path}");
        }
        for path in ["/var", "/srv/run", "/run/app.sock", "/runner", "/home", ""] {
            assert!(!reaches_engine(path), "{path}");
        }
    }
}
