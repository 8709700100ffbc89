//! The trace of a fault on I/O: what its rules did to operations, one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{IoOp, Numbers, Places};

/// So many of the operations that a set of rules has struck are listed, the first ones.
pub const LISTED: u64 = 200;

/// So many of them are known by their numbers, all told: enough to strike the same again.
pub const NUMBERED: u64 = 1_000_000;

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

/// Operations of one kind on one path that a rule counted and struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Which of the set's rules, from 0.
    pub rule: u32,
    /// Which operation.
    pub op: IoOp,
    /// The file, below the volume's root.
    pub path: String,
    /// Which of those on this path.
    pub numbers: Numbers,
    /// Where all of these were.
    pub places: Places,
}

/// All that a set of rules has struck.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllStruck {
    /// Those that have a number, in the order of rule, operation and path.
    pub series: Vec<Series>,
    /// How many have none.
    pub uncounted: u64,
    /// How many came when there was no room for more numbers.
    pub left_out: u64,
}

impl AllStruck {
    /// Of what is listed one by one.
    #[must_use]
    pub fn of(struck: &[Struck]) -> Self {
        let mut found = BTreeMap::<(u32, IoOp, &str), (Numbers, Places)>::new();
        for one in struck {
            let Some(number) = one.number else { continue };
            let of = found.entry((one.rule, one.op, &one.path)).or_default();
            if of.0.insert(number) {
                of.1.add(number, one.offset.zip(one.bytes));
            }
        }
        let series = found.into_iter().map(|((rule, op, path), (numbers, places))| Series {
            rule,
            op,
            path: path.to_owned(),
            numbers,
            places,
        });
        let uncounted = struck.iter().filter(|one| one.number.is_none()).count() as u64;
        Self { series: series.collect(), uncounted, left_out: 0 }
    }

    /// How many of them have a number.
    #[must_use]
    pub fn numbered(&self) -> u64 {
        self.series.iter().map(|series| series.numbers.count()).sum()
    }
}

impl Series {
    /// The one of this number.
    #[must_use]
    pub fn one(&self, number: u64) -> Counted {
        Counted { rule: self.rule, op: self.op, path: self.path.clone(), number }
    }
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
