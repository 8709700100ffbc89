//! The power of a disk of ours: cut, and given back. Data only.

use serde::{Deserialize, Serialize};

use super::Place;
use crate::block::{Kept, Profile};

/// What the bytes begin with that are written to the disk, and not flushed, just before a cut: by
/// them that write is told from the subject's.
pub const CUT_CANARY: &str = "keelhaul canary: written, not synced";

/// What is in the canary that nobody syncs; its writeback is no reason to cut.
pub const UNSYNCED_CANARY: &str = "keelhaul canary: never synced";

/// A disk, and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountedDisk {
    /// The volume's root in a container.
    pub place: Place,
    /// Name of the disk.
    pub disk: String,
}

/// Something done to the power of disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PowerOp {
    /// Put canaries on the volumes, void what the container acknowledges from now on, and cut the
    /// power of all their disks at one instant. → `Cut`
    Cut {
        /// The disks, all of one container. Of several, the first stops answering a moment before
        /// the others.
        disks: Vec<MountedDisk>,
        /// What survives of the writes that were not durable.
        profile: Profile,
        /// Decides which.
        seed: u64,
        /// What the names of the canaries begin with.
        mark: String,
    },
    /// Wait until nobody has the disk mounted, and give the power back, with what the cut has left
    /// on it.
    Restore {
        /// The volume's root in a container.
        place: Place,
        /// Name of the disk.
        disk: String,
    },
    /// Wait until nobody has the disk mounted, and put a state of its past on it. What it had is kept.
    Stand {
        /// Name of the disk, whose past is open.
        disk: String,
        /// The moment.
        cut: u64,
        /// What survives of each write that was not durable.
        kept: Vec<Kept>,
    },
    /// Wait likewise, and give back what it had.
    Unstand {
        /// Name of the disk.
        disk: String,
    },
    /// Give the power back as if it had never been cut. Nothing to do when it has power, or is gone.
    Undo {
        /// Name of the disk.
        disk: String,
    },
}

impl PowerOp {
    /// The container whose namespace it enters.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Cut { disks, .. } => disks.first().map(|disk| &disk.place),
            Self::Restore { place, .. } => Some(place),
            Self::Stand { .. } | Self::Unstand { .. } | Self::Undo { .. } => None,
        }
    }
}

/// What a cut has left, without the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutFacts {
    /// Writes that no flush had made durable.
    pub volatile: u64,
    /// Those of them that are gone, or torn.
    pub dropped: u64,
    /// How often the disk has taken back what a flush had made durable, so that it shows.
    #[serde(default)]
    pub taken_back: u64,
    /// Whether the canary that was written, and not flushed, is still there; none where it never
    /// came to the disk.
    pub canary: Option<bool>,
    /// The disk had said of flushes that they were done, and they were not: what was synced may be
    /// gone too.
    pub lied: bool,
}

/// The names of the canaries, which begin with this: one that is synced and then written to, and one
/// that is not.
#[must_use]
pub fn canaries(mark: &str) -> (String, String) {
    (format!("{mark}-canary-synced"), format!("{mark}-canary"))
}
