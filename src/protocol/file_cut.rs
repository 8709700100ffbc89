//! A power cut on the files of a volume: what a disk may have kept. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dev, Place};
use crate::block::Profile;

/// Which of the operations that were not durable a power cut leaves behind.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CutProfile {
    /// None: all of them are gone.
    Drop,
    /// All: a cache that outlives the cut.
    KeepAll,
    /// The first ones, as many as the seed says.
    Prefix,
    /// All but one, and what depends on it.
    #[serde(rename = "omit-1")]
    Omit1,
    /// All but two.
    #[serde(rename = "omit-2")]
    Omit2,
    /// One only, and what it depends on.
    #[serde(rename = "keep-1")]
    Keep1,
    /// Two only.
    #[serde(rename = "keep-2")]
    Keep2,
    /// Each or not, as the seed says.
    Subset,
    /// All, and of one write only a part.
    Torn,
    /// Names, and no data; with `durability: ext4` also sizes, with zeros for data.
    MetadataFirst,
    /// Data, and no names.
    DataFirst,
}

impl CutProfile {
    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::KeepAll => "keep-all",
            Self::Prefix => "prefix",
            Self::Omit1 => "omit-1",
            Self::Omit2 => "omit-2",
            Self::Keep1 => "keep-1",
            Self::Keep2 => "keep-2",
            Self::Subset => "subset",
            Self::Torn => "torn",
            Self::MetadataFirst => "metadata-first",
            Self::DataFirst => "data-first",
        }
    }

    /// What the model of a disk calls it; none for what a disk cannot tell.
    #[must_use]
    pub fn of_disk(self) -> Option<Profile> {
        Some(match self {
            Self::Drop => Profile::Drop,
            Self::KeepAll => Profile::KeepAll,
            Self::Prefix => Profile::Prefix,
            Self::Omit1 => Profile::Omit1,
            Self::Omit2 => Profile::Omit2,
            Self::Keep1 => Profile::Keep1,
            Self::Keep2 => Profile::Keep2,
            Self::Subset => Profile::Subset,
            Self::Torn => Profile::Torn,
            Self::MetadataFirst | Self::DataFirst => return None,
        })
    }
}

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
