//! The trace of a fault on I/O: what its rules did to operations, one by one.

use serde::{Deserialize, Serialize};

use super::IoOp;

/// So many of the operations that a set of rules has struck are listed, the first ones.
pub const LISTED: u64 = 200;

/// An operation that was struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Struck {
    /// Microseconds since the rules came into force.
    pub at_us: u64,
    /// Which of the set's rules struck it first, from 0.
    #[serde(default)]
    pub rule: u32,
    /// Which operation.
    pub op: IoOp,
    /// The file, below the volume's root.
    pub path: String,
    /// Where it reads or writes, in bytes from the file's beginning.
    pub offset: Option<u64>,
    /// Bytes that it asks for.
    pub bytes: Option<u64>,
    /// Which one it was of those that the rule matched of this kind on this path, from 1; none where
    /// the rule does not count, or not for each path.
    pub number: Option<u64>,
    /// Pid of the caller, as the host counts.
    pub pid: u32,
    /// What became of it.
    pub what: String,
}

/// What an operation is known by that a rule counted: the same in every run of a service that does
/// the same to each of its files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Which of the set's rules, from 0.
    pub rule: u32,
    /// Which operation.
    pub op: IoOp,
    /// The file, below the volume's root.
    pub path: String,
    /// Which of those on this path, from 1.
    pub number: u64,
}

impl Struck {
    /// What it is known by; none where the rule did not count it.
    #[must_use]
    pub fn counted(&self) -> Option<Counted> {
        let Self { rule, op, path, .. } = self;
        Some(Counted { rule: *rule, op: *op, path: path.clone(), number: self.number? })
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} of `{}`", self.op.name(), self.number, self.path)
    }
}

impl std::fmt::Display for Struck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { op, path, what, .. } = self;
        write!(f, "{} of `{path}`", op.name())?;
        if let (Some(offset), Some(bytes)) = (self.offset, self.bytes) {
            write!(f, ", {bytes} bytes at {offset}")?;
        }
        write!(f, ": {what}")
    }
}
