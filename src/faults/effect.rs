//! What was seen of a fault's effect. Data only.

use serde::{Deserialize, Serialize};

/// What was seen of an effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// It is as it should be: in force after injection, gone after revert.
    pub proven: bool,
    /// What was observed, by which means: `open for writing: EROFS`.
    pub evidence: String,
    /// What the user should know: `2 descriptors open for writing escaped`.
    pub notes: Vec<String>,
}

impl Effect {
    /// Seen.
    pub fn proven(evidence: impl Into<String>) -> Self {
        Self { proven: true, evidence: evidence.into(), notes: Vec::new() }
    }

    /// Looked for, and not seen.
    pub fn unproven(evidence: impl Into<String>) -> Self {
        Self { proven: false, evidence: evidence.into(), notes: Vec::new() }
    }

    /// Adds something that the user should know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}
