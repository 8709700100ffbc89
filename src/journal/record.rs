//! What a line of the journal says. Data only.

use serde::{Deserialize, Serialize};

use crate::protocol::{Entry, EntryId, Op, Outcome};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Format version, [`crate::protocol::VERSION`].
    pub version: u32,
    /// The run.
    pub run: String,
    /// Identity of the build that wrote it.
    pub build: String,
    /// The boot in which it was written: after a reboot every mount is gone by itself.
    pub boot_id: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
}

/// Every other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// Durable before the act; the act may or may not have happened.
    Pending {
        /// Its number.
        id: EntryId,
        /// Acts and undo. The bytes of images are left out, and what rules are to strike again:
        /// no undo needs them.
        entry: Entry,
        /// Milliseconds since boot, suspension included, at which it is undone by itself.
        expires_at_ms: Option<u64>,
    },
    /// The act happened.
    Applied {
        /// Its number.
        id: EntryId,
        /// One per op.
        outcomes: Vec<Outcome>,
    },
    /// The undo was tried. Complete when nothing failed and nothing waits.
    Undone {
        /// Its number.
        id: EntryId,
        /// What failed.
        problems: Vec<String>,
        /// What waits for the engine.
        pending: Vec<Op>,
    },
    /// Nothing is left to undo, and nothing will be added.
    Closed {},
}

impl Record {
    /// A pending record without what no undo needs, which may be megabytes.
    #[must_use]
    pub fn pending(id: EntryId, entry: &Entry, expires_at_ms: Option<u64>) -> Self {
        let mut entry = entry.clone();
        for op in &mut entry.ops {
            match op {
                Op::WriteImage { extents, .. } => extents.clear(),
                Op::ArmRules { again, .. } => *again = None,
                _ => {}
            }
        }
        Self::Pending { id, entry, expires_at_ms }
    }
}
