//! Which of the writes that were not durable are there after a cut.

use serde::{Deserialize, Serialize};

/// What survives of the writes that no flush had made durable. A right application survives each, but
/// for the last five, which are beyond what a disk may do: of those it must notice what was done to it.
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
    /// The beginning or the end of each, cut at 512 bytes within a sector.
    #[serde(rename = "shorn")]
    Shorn,
    /// Nothing, and zeros where they were to go.
    #[serde(rename = "zeroed")]
    Zeroed,
    /// Nothing, and garbage where they were to go.
    #[serde(rename = "garbage")]
    Garbage,
    /// All of them, and one that a flush had made durable is not there.
    #[serde(rename = "unserializable")]
    Unserializable,
    /// All of them, but for those around one: there it is as it was at an earlier flush.
    #[serde(rename = "erase-block")]
    EraseBlock,
}
