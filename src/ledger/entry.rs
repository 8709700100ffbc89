//! The entries of the driver's log: what was intended, and how each attempt ended.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordError, RecordId};

/// One entry: what happened, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Microseconds since the start of the run, on the monotonic clock.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A record is about to be written. Durable before the attempt.
    Intent(Intent),
    /// The subject promised to keep it.
    Acknowledged(RecordId),
    /// The subject refused it.
    Failed {
        /// The record.
        id: RecordId,
        /// What the subject or the connection said.
        reason: String,
    },
    /// No answer, or one that says nothing about the record: it may be there or not.
    Indeterminate {
        /// The record.
        id: RecordId,
        /// What happened instead of an answer.
        reason: String,
    },
    /// From here on acknowledgements are void: the subject's storage was cut.
    Fenced {},
    /// From here on they count again, but for records that were on their way before.
    Restored {},
}

/// The record that is about to be written, all but its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Writer and sequence.
    pub id: RecordId,
    /// The name it is stored under; used once per run.
    pub key: String,
    /// Payload length in bytes.
    pub length: u32,
    /// Checksum of the record's line.
    pub checksum: u32,
    /// Link to the writer's previous record.
    pub previous: u64,
}

impl Intent {
    /// The record this intent announced.
    ///
    /// # Errors
    /// As [`Record::new`], when the log was not written by a workload.
    pub fn record(&self, run: &str) -> Result<Record, RecordError> {
        Record::new(run, self.id, &self.key, self.length, self.previous)
    }

    /// Whether `record` is the one that was intended.
    pub(super) fn is(&self, record: &Record) -> bool {
        // The checksum covers every other field, the run included.
        (self.id, self.checksum, self.previous) == (record.id, record.checksum, record.previous)
            && self.key == record.key
    }
}

impl From<&Record> for Intent {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id,
            key: record.key.clone(),
            length: record.length,
            checksum: record.checksum,
            previous: record.previous,
        }
    }
}
