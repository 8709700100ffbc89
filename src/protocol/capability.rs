//! What a host must offer for a fault, a probe or a volume.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a host must offer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// `mount_setattr` and the new mount API (kernel 5.12).
    MountApi,
    /// Loop devices.
    LoopDevices,
    /// The ext4 filesystem, and `mkfs.ext4` beside the command line.
    Ext4,
    /// The XFS filesystem, and `mkfs.xfs` beside the command line.
    Xfs,
    /// The btrfs filesystem, and `mkfs.btrfs` beside the command line.
    Btrfs,
    /// The overlay filesystem.
    Overlay,
    /// The I/O of a container can be limited.
    IoLimits,
    /// The engine can freeze containers.
    Freezer,
    /// The memory cgroups of containers can be looked at.
    MemoryCgroup,
    /// FUSE, with a device that the helper may open, and an engine whose mounts it can reach.
    Fuse,
    /// The wall clock of a process can be shifted.
    WallClock,
    /// `SELinux` is enforcing.
    Selinux,
    /// The engine's local socket answers inside the helper.
    EngineSocket,
    /// Another engine can be started in a container: the host's own, once more.
    InnerEngine,
}

impl Capability {
    /// Every capability.
    pub const ALL: &[Self] = &[
        Self::MountApi,
        Self::LoopDevices,
        Self::Ext4,
        Self::Xfs,
        Self::Btrfs,
        Self::Overlay,
        Self::IoLimits,
        Self::Freezer,
        Self::MemoryCgroup,
        Self::Fuse,
        Self::WallClock,
        Self::Selinux,
        Self::EngineSocket,
        Self::InnerEngine,
    ];

    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MountApi => "mount-api",
            Self::LoopDevices => "loop-devices",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Overlay => "overlay",
            Self::IoLimits => "io-limits",
            Self::Freezer => "freezer",
            Self::MemoryCgroup => "memory-cgroup",
            Self::Fuse => "fuse",
            Self::WallClock => "wall-clock",
            Self::Selinux => "selinux",
            Self::EngineSocket => "engine-socket",
            Self::InnerEngine => "inner-engine",
        }
    }
}
