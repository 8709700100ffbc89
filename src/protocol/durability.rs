//! Whose promises a filesystem of ours keeps of what was synced, and no more. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a sync makes durable, and what a power cut leaves of the rest.
///
/// It belongs to the volume, and not to the fault that cuts its power: what a sync has made durable is
/// settled when it returns, long before a fault, and every fault on the volume must find the same.
///
/// None of them is the weakest: a service that lasts through all of them lasts where it runs. The rules of
/// the last three were held against real ones; `interpose: block` has the real ones themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// POSIX, as strictly as it can be read: a sync of a file makes its bytes and its size durable,
    /// one of a directory its names, and neither the other. What was not synced may be there in any
    /// order.
    #[default]
    PosixStrict,
    /// ext4 as it is mounted by default: names are there in the order in which they were changed. A
    /// sync of a file or a directory brings along every name that was changed before its own last
    /// change, also those of others. Bytes that were written behind the end of a file and not synced may
    /// be zeros, also in a file that was renamed over another.
    Ext4,
    /// XFS: likewise, but a size is there only with its bytes, so that what is missing shows.
    Xfs,
    /// btrfs: a sync of a file makes its own names durable, and the directories that they need, but
    /// not the names of others; those are there in the order in which they were changed.
    Btrfs,
}

impl Durability {
    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PosixStrict => "posix-strict",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// A sync of one file may make the name of another durable.
    #[must_use]
    pub fn syncs_names_of_others(self) -> bool {
        matches!(self, Self::Ext4 | Self::Xfs)
    }
}
