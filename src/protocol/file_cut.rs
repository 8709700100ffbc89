//! A power cut on the files of a volume: what a disk may have kept. Data only.

use serde::{Deserialize, Serialize};

use super::{CutProfile, Dev, Place};

/// An act of a power cut on an interposed volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileCutOp {
    /// Leave two files under `marker`: `synced`, which is, and `unsynced`, which is not.
    PlantCanaries {
        /// The root of the volume.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of their directory.
        marker: String,
    },
    /// After so many more changes by others none is taken, and no sync is acknowledged. → `Pending`
    Fence {
        /// Name of the interposer.
        interposer: String,
        /// So many; when they do not come in time, it is done without.
        after: u64,
    },
    /// Undo what was not durable, as far as the profile says, and take changes again. → `Pending`
    Settle {
        /// Name of the interposer.
        interposer: String,
        /// What is left behind.
        profile: CutProfile,
        /// Decides where the profile leaves it open.
        seed: u64,
    },
    /// Take changes again. Nothing to do where they are taken, or once the interposer has ended.
    Lift {
        /// Name of the interposer.
        interposer: String,
    },
}

impl FileCutOp {
    /// The container whose namespace it enters, where it enters one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::PlantCanaries { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// A sync to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurableAttempt {
    /// The root of the interposer's mount in a container.
    pub place: Place,
    /// Name of the interposer.
    pub interposer: String,
    /// What names of the interposer's own begin with.
    pub mark: String,
}

/// What a sync of a file that was written said and came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedDurable {
    /// What it got; none when it said that it is done.
    pub errno: Option<String>,
    /// What was written is durable: the interposer has no way back from it any more.
    pub durable: bool,
}

/// What an interposer knows of operations that are not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingFacts {
    /// No change is taken.
    pub fenced: bool,
    /// Operations of others that are not durable; before they were undone, where some were.
    pub pending: u64,
    /// Our own likewise.
    pub own: u64,
    /// Of those of others, so many were undone.
    pub undone: u64,
    /// There were more than it can remember: none can be undone.
    pub overflowed: bool,
}
