//! The trace of a volume: every operation that others did to it. Data only.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Bytes that the trace of one interposer may take; what comes after that is counted.
pub const MOST_TRACED: u64 = 64 << 20;

/// Bytes that the traces of all interposers of a case may take until what is inserted is traced no more: a
/// fault that comes and goes inserts one each time, and they lie where the engine keeps everything.
pub const MOST_TRACED_IN_ALL: u64 = 4 * MOST_TRACED;

/// An operation as it came to its end: a line of the trace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracedOp {
    /// When it came, in microseconds: in the reports since the run started, before that as
    /// `CLOCK_MONOTONIC` counts.
    pub at_us: u64,
    /// Microseconds until it was answered.
    pub took_us: u64,
    /// As faults call it; `close`, which no rule is about.
    pub op: Cow<'static, str>,
    /// The file, below the volume's root, which is the empty path.
    pub path: String,
    /// Of a rename, the new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where it reads or writes, in bytes from the file's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes that it was told were moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<u64>,
    /// What it failed with: `EIO`; none when it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<Cow<'static, str>>,
    /// Pid of the caller, as the host counts; none where the kernel names nobody, as for a `close`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The caller's command name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// What struck it: in the reports ids of faults, before that names of sets of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// How much of what was done is in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFacts {
    /// Operations that are in it.
    pub kept: u64,
    /// Operations that came faster than they could be written, and are missing among those.
    pub dropped: u64,
    /// Operations after its end: it was full, or could not be written any more.
    pub after_end: u64,
    /// Why it could not be written.
    pub failed: Option<String>,
    /// Bytes of its file.
    pub bytes: u64,
    /// Bytes that it may have.
    pub most: u64,
}

/// Whole lines of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracePiece {
    /// How much is in it; none where its interposer is gone.
    pub facts: Option<TraceFacts>,
    /// Bytes of its file.
    pub bytes: u64,
    /// What `CLOCK_MONOTONIC` says now, in microseconds.
    pub now_us: u64,
    /// The lines, with their ends; none behind the last.
    pub lines: String,
}
