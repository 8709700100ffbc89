//! Which of the writes that were not durable are there after a cut.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What survives of the writes that no flush had made durable. A right application survives each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Nothing.
    #[default]
    #[serde(rename = "drop")]
    Drop,
    /// All of them: a cache with a battery.
    #[serde(rename = "keep-all")]
    KeepAll,
    /// One of them alone.
    #[serde(rename = "keep-1")]
    Keep1,
    /// Two of them alone.
    #[serde(rename = "keep-2")]
    Keep2,
    /// All but one.
    #[serde(rename = "omit-1")]
    Omit1,
    /// All but two.
    #[serde(rename = "omit-2")]
    Omit2,
    /// The first of them, as they were completed; how many, the seed decides.
    #[serde(rename = "prefix")]
    Prefix,
    /// Each by the toss of a coin.
    #[serde(rename = "subset")]
    Subset,
    /// Each sector of 4096 bytes by the toss of a coin.
    #[serde(rename = "torn")]
    Torn,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 9] = [
        Self::Drop,
        Self::KeepAll,
        Self::Keep1,
        Self::Keep2,
        Self::Omit1,
        Self::Omit2,
        Self::Prefix,
        Self::Subset,
        Self::Torn,
    ];

    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::KeepAll => "keep-all",
            Self::Keep1 => "keep-1",
            Self::Keep2 => "keep-2",
            Self::Omit1 => "omit-1",
            Self::Omit2 => "omit-2",
            Self::Prefix => "prefix",
            Self::Subset => "subset",
            Self::Torn => "torn",
        }
    }
}
