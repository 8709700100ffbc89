//! Which of the writes that were not durable are there after a cut.

use serde::{Deserialize, Serialize};

/// What survives of the writes that no flush had made durable. A right application survives each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Nothing.
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
