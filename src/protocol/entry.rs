//! A journal entry: what was done, and the ops that undo it.

use serde::{Deserialize, Serialize};

use super::{CutFacts, LinkState, Op, PendingFacts};

/// Number of an entry within its run, in order of injection, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub u64);

/// What is written, durably, before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the entry is for, in words: `read-only agent:/data`.
    pub what: String,
    /// The acts, in order.
    pub ops: Vec<Op>,
    /// The acts that undo them, in the order in which they are to be done.
    pub undo: Vec<Op>,
    /// Revert it after this long, whoever is alive: `for:` in a scenario.
    pub expires_ms: Option<u64>,
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// The undo is durable; the act may or may not have happened.
    Pending,
    /// The act happened.
    Applied,
    /// The undo happened.
    Undone,
}

/// What an op had to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It was done.
    Done,
    /// There was nothing to do.
    Already,
    /// It was done where nobody else was seen, and not everybody could be looked at.
    Unseen {
        /// The process of the host that nobody may look at.
        pid: u32,
    },
    /// A mount was stacked.
    Mounted {
        /// Its mount id.
        id: u64,
    },
    /// A filesystem was filled.
    Filled {
        /// Files created.
        files: u64,
        /// Bytes allocated.
        bytes: u64,
        /// The error with which the kernel refused more, by name; none when enough was taken.
        #[serde(default)]
        refused: Option<String>,
    },
    /// The limits of a tmpfs, or of a quota, were changed.
    Limited {
        /// Bytes now allowed; 0 for no limit.
        size: u64,
        /// Inodes now allowed; 0 for no limit.
        inodes: u64,
    },
    /// A name was made to point elsewhere.
    Linked {
        /// What it pointed to.
        before: LinkState,
        /// What it points to.
        after: LinkState,
    },
    /// Memory was used up.
    OomKills {
        /// Processes killed for want of memory until then.
        before: u64,
        /// And afterwards, as far as it could still be read.
        after: u64,
    },
    /// A process holds what its user had left.
    Held {
        /// Instances.
        instances: u64,
        /// Watches.
        watches: u64,
    },
    /// A directory was made.
    Directory {
        /// Its path on the engine's host.
        host_path: String,
    },
    /// What was not durable when it was done.
    Pending(PendingFacts),
    /// A loop device was attached.
    Loop {
        /// Its node on the host: `/dev/loop3`.
        device: String,
    },
    /// The power of disks was cut; of each, in the order that they were named in.
    Cut(Vec<CutFacts>),
}

/// One entry's way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// The entry.
    pub id: EntryId,
    /// What it was for.
    pub what: String,
    /// Why some undo op could not be done; empty when all were.
    pub problems: Vec<String>,
    /// Engine ops that wait for an engine the keeper cannot reach.
    pub pending: Vec<Op>,
}

/// What a rollback came to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackReport {
    /// Every entry that was not undone before, in the order of undoing.
    pub undone: Vec<Undone>,
}

impl RollbackReport {
    /// True when nothing is left to undo.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.undone.iter().all(|entry| entry.problems.is_empty() && entry.pending.is_empty())
    }
}
