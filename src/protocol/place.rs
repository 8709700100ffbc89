//! Where an op acts: a path as the processes of one container see it, and what is found there.

use serde::{Deserialize, Serialize};

/// An absolute path inside a container.
///
/// The worker resolves it: `pid` is a hint that is checked against the container's id, and searched
/// for anew when it no longer holds (a restarted container has another init).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Full container id.
    pub container: String,
    /// The container's init as the engine last reported it; 0 where unknown.
    pub pid: u32,
    /// Absolute path in the container's mount namespace.
    pub path: String,
    /// The same directory in the engine's own mount namespace, where there is one: the way to the
    /// data after the container is gone.
    pub host_path: Option<String>,
}

/// Identity of a process: a recycled pid has another start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// Pid in the host's namespace.
    pub pid: u32,
    /// Clock ticks since boot, field 22 of `/proc/PID/stat` (proc(5)).
    pub start_time: u64,
}

/// Tells one superblock apart from every other one: `st_dev`, or, where that is made up at each
/// mount, the file system's own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dev {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl std::fmt::Display for Dev {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// A process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessFacts {
    /// Which one, as the host counts.
    pub process: Init,
    /// Its command line, with blanks between the arguments; invalid UTF-8 replaced.
    pub command: String,
    /// How much the kernel prefers it as a victim, from -1000 to 1000.
    pub oom_score: i32,
}
