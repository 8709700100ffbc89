//! What the host offers.

use serde::{Deserialize, Serialize};

/// Whether something can be used here, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// It can.
    Yes,
    /// It cannot, for this reason.
    No(String),
}

/// What the host's kernel offers, as seen by the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// `uname -r`.
    pub kernel: String,
    /// Names in `/proc/filesystems`.
    pub filesystems: Vec<String>,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Effective capabilities of the worker, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Loop devices can be attached.
    pub loop_devices: Ready,
    /// `mount_setattr` works (kernel ≥ 5.12).
    pub mount_setattr: Ready,
    /// The memory cgroups of containers can be looked at.
    pub memory_cgroup: Ready,
    /// The I/O of a container can be limited: there is a controller of block I/O.
    pub io_limits: Ready,
    /// An interposer can be mounted.
    pub fuse: Ready,
    /// The wall clock of a process can be shifted.
    pub wall_clock: Ready,
    /// `SELinux` is enforcing.
    pub selinux: Ready,
    /// The engine's local socket answers in the helper.
    pub engine_socket: Ready,
    /// The program of a process that serves a disk or a filesystem can be locked into memory.
    pub locked_memory: Ready,
    /// Such a process is made to wait for nobody's writeback, which may be its own.
    pub io_flusher: Ready,
    /// Another engine can be started in a container.
    pub inner_engine: Ready,
    /// This boot.
    pub boot_id: String,
}
