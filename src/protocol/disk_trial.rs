//! What a filesystem asks of a disk of ours, and where on the disk it is tried. Data only.
//!
//! The device ends later than the filesystem on it. What lies behind is for trials: a chunk for each
//! set of rules, round and kind of request. So a trial is a request like any other, on the very
//! device that the filesystem uses, and touches nothing of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IoOp, mark_of_set};
use crate::block::CHUNK;

/// What a filesystem asks of its disk.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DiskOp {
    /// Give a range back, or make zeros of it.
    Discard,
    /// Make durable what was written, as every `fsync` ends.
    Flush,
    /// Read a range: what is in the page cache is not read again.
    Read,
    /// Write a range: what nobody syncs is written when the kernel gets round to it.
    Write,
}

impl DiskOp {
    /// Every kind, in the order of their chunks.
    pub const ALL: [Self; 4] = [Self::Discard, Self::Flush, Self::Read, Self::Write];

    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Flush => "flush",
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// What it is to the file that the disk is: rules know it as that.
    #[must_use]
    pub fn as_io(self) -> IoOp {
        match self {
            Self::Discard => IoOp::Truncate,
            Self::Flush => IoOp::Fsync,
            Self::Read => IoOp::Read,
            Self::Write => IoOp::Write,
        }
    }
}

/// Sets of rules that have chunks of their own.
const SETS: u64 = 256;
/// Trials of each of them that do.
const ROUNDS: u64 = 64;

/// Bytes behind the filesystem's end.
pub const MARGIN: u64 = SETS * ROUNDS * DiskOp::ALL.len() as u64 * CHUNK as u64;

/// The chunk of one trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialChunk {
    set: u64,
    round: u64,
    op: DiskOp,
}

impl TrialChunk {
    /// A write that goes astray lands so many bytes before its own chunk, where its set has a chunk for
    /// reads and nobody else has one.
    pub const ASTRAY: u64 = CHUNK as u64;

    /// For a set of rules, the n-th trial of it, and a kind of request.
    #[must_use]
    pub fn of(set: &str, round: u64, op: DiskOp) -> Self {
        Self { set: number(set), round: round % ROUNDS, op }
    }

    /// Where it begins, in bytes from the margin's beginning.
    #[must_use]
    pub fn offset(self) -> u64 {
        let kinds = DiskOp::ALL.len() as u64;
        ((self.set * ROUNDS + self.round) * kinds + self.op as u64) * CHUNK as u64
    }

    /// The chunk that begins there; none where none does.
    #[must_use]
    pub fn at(offset: u64) -> Option<Self> {
        let (number, kinds) = (offset / CHUNK as u64, DiskOp::ALL.len() as u64);
        let op = DiskOp::ALL.into_iter().find(|op| *op as u64 == number % kinds)?;
        let (set, round) = (number / kinds / ROUNDS, number / kinds % ROUNDS);
        (offset.is_multiple_of(CHUNK as u64) && set < SETS).then_some(Self { set, round, op })
    }

    /// The kind of request that is tried.
    #[must_use]
    pub fn op(self) -> DiskOp {
        self.op
    }

    /// Whether it is this set's.
    #[must_use]
    pub fn is_of(self, set: &str) -> bool {
        self.set == number(set)
    }

    /// What that set knows the trial by: so what is counted for it begins anew.
    #[must_use]
    pub fn name(self, set: &str) -> String {
        format!("{}{}", mark_of_set("", set), self.round)
    }
}

/// The number that a set's name ends with, as far as there are chunks.
fn number(set: &str) -> u64 {
    let digits = set.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<u64>().unwrap_or_default() % SETS
}

/// Requests to a disk to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskAttempt {
    /// Name of the disk.
    pub disk: String,
    /// The set of rules whose effect is tried.
    pub set: String,
    /// Which trial of it this is.
    pub round: u64,
    /// The requests.
    pub ops: Vec<DiskOp>,
    /// Each is tried this often, or until it was hit.
    pub most: u64,
    /// It counts as hit when it takes this many microseconds, or fails.
    pub slow_us: u64,
    /// One that is not back after this many milliseconds is given up, and counts as hit.
    pub within_ms: u64,
}

/// A write and a flush to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlushAttempt {
    /// Name of the disk.
    pub disk: String,
    /// The set of rules whose effect is tried.
    pub set: String,
    /// Which trial of it this is.
    pub round: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::is_of_set;

    #[test]
    fn every_trial_has_a_chunk_of_its_own_and_is_known_by_it() {
        let one = TrialChunk::of("block-error-7", 3, DiskOp::Write);
        assert_eq!(TrialChunk::at(one.offset()), Some(one));
        assert!(one.is_of("block-error-7") && !one.is_of("block-error-8"));
        assert!(is_of_set(&one.name("block-error-7"), "block-error-7"));
        let others = [
            TrialChunk::of("block-error-8", 3, DiskOp::Write),
            TrialChunk::of("block-error-7", 4, DiskOp::Write),
            TrialChunk::of("block-error-7", 3, DiskOp::Read),
        ];
        assert!(others.iter().all(|other| other.offset() != one.offset()));
        let last = TrialChunk::of("x-255", ROUNDS - 1, DiskOp::Write);
        assert_eq!(last.offset() + CHUNK as u64, MARGIN);
        assert_eq!(TrialChunk::at(MARGIN), None);
        assert_eq!(TrialChunk::at(1), None);
    }
}
