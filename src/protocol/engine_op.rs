//! The acts of the container engine, and their inverses: idempotent like every op.

use serde::{Deserialize, Serialize};

/// Something the container engine does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EngineOp {
    /// Start a container; one that runs is left alone.
    Start {
        /// Container id.
        container: String,
    },
    /// Stop a container with a grace period in milliseconds.
    Stop {
        /// Container id.
        container: String,
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Stop and start a container.
    Restart {
        /// Container id.
        container: String,
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Remove a container and make it anew: same name and configuration, another id.
    Recreate {
        /// Container id or name.
        container: String,
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Commit a container, remove it, and make it anew from that image with empty volumes: same
    /// name, another id.
    RunFromCommit {
        /// Container id or name.
        container: String,
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Remove a container and a volume that it alone uses, and make both anew: same names and
    /// configuration, nothing in the volume.
    ReplaceVolume {
        /// Container id.
        container: String,
        /// Name of the volume.
        volume: String,
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// Send a signal to a container's init.
    Kill {
        /// Container id.
        container: String,
        /// Signal name: `SIGKILL`.
        signal: String,
    },
    /// Freeze a container's processes.
    Pause {
        /// Container id.
        container: String,
    },
    /// Let them go on; one that is not paused is left alone.
    Unpause {
        /// Container id.
        container: String,
    },
    /// Set a container's limit of memory, running or not; it outlasts restarts. The engine cannot
    /// take one off again.
    LimitMemory {
        /// Container id.
        container: String,
        /// Bytes of memory.
        memory: u64,
        /// Bytes of memory and swap together; -1 for any amount of swap.
        with_swap: i64,
    },
    /// Take a container off a network; one that is not on it is left alone.
    Disconnect {
        /// Container name: it stays when the container is made anew.
        container: String,
        /// Network id.
        network: String,
    },
    /// Put a container on a network with these names; one that is there with all of them is left
    /// alone.
    Connect {
        /// Container name.
        container: String,
        /// Network id.
        network: String,
        /// Names by which others on the network find it.
        aliases: Vec<String>,
    },
    /// Remove every container, network, volume and image that carries this run's label, but the
    /// helper and its own volume.
    /// Remove a container; one that is gone is left alone.
    Remove {
        /// Container id.
        container: String,
    },
    /// Remove every container, network and volume that carries this run's label, but the helper and
    /// its own volume.
    RemoveRun {
        /// Run id.
        run: String,
    },
}
