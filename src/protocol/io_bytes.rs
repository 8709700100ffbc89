//! What rules do to the bytes that an operation moves, and trials that look at them. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IoOp, Place};
use crate::units::{Percent, Size};

/// How many of its bytes an operation moves: one at least, and never all of them. One that has no
/// more bytes than are kept is not hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// As the seed says.
    Seeded,
    /// So many.
    Bytes(Size),
    /// This share of them.
    Share(Percent),
}

/// What becomes of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// One of its bits is turned over.
    BitFlip,
    /// It is some other byte, by the seed.
    Garbage,
    /// It is zero; where it was zero already, nothing changes.
    Zero,
}

/// Known bytes to be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteAttempt {
    /// The root of the interposer's mount in a container.
    pub place: Place,
    /// What names of the interposer's own begin with.
    pub mark: String,
    /// By a read or by a write.
    pub op: IoOp,
    /// How many at a time.
    pub block: u32,
    /// This often, or until not all of them arrived as they were.
    pub most: u64,
}

/// What became of known bytes, at the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedBytes {
    /// By what they were moved.
    pub op: IoOp,
    /// How many.
    pub block: u64,
    /// Attempts until not all arrived, or all of them.
    pub attempts: u64,
    /// What the operation got; none when it worked.
    pub errno: Option<String>,
    /// Bytes that it said were moved.
    pub moved: u64,
    /// Bytes that have arrived as they were sent.
    pub arrived: u64,
    /// Bytes in whose place still is what was there before.
    pub untouched: u64,
    /// As a write to a disk: bytes that have arrived where those of a trial do that go astray.
    #[serde(default)]
    pub astray: u64,
}

impl TriedBytes {
    /// Not all of them arrived as they were, or the operation did not say so.
    #[must_use]
    pub fn hit(&self) -> bool {
        self.errno.is_some() || self.moved != self.block || self.arrived != self.block
    }
}
