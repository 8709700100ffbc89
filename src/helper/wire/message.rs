//! Requests and answers. Each travels in a [`Frame`] with the number of its request.

use serde::{Deserialize, Serialize};

use super::super::{Applied, HelperError};
use crate::protocol::{
    EngineOp, Entry, EntryId, LoadCall, LoadReply, Op, Outcome, Place, Read, Reading,
    RollbackReport, Undone,
};

/// A message with the number of the request it belongs to; 0 for what nobody asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Frame<T> {
    /// Number of the request.
    pub(crate) id: u64,
    /// What is said.
    pub(crate) body: T,
}

/// From the command line to the keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// The command line lives. → `Beat`
    Heartbeat,
    /// Observe. → `Reading`
    Read(Read),
    /// Drive load. → `Load`
    Load(LoadCall),
    /// Make the undo durable, and do nothing yet. → `Begun`
    Begin(Entry),
    /// Perform one op of an entry that was begun. → `Acted`
    Act {
        /// The entry.
        id: EntryId,
        /// Which of its ops.
        op: usize,
    },
    /// Every op of the entry is done. → `Applied`
    End {
        /// The entry.
        id: EntryId,
        /// One per op.
        outcomes: Vec<Outcome>,
    },
    /// `Begin`, every `Act` and `End` at once, for an entry without engine ops. → `Applied`
    Apply(Entry),
    /// Undo one entry. → `Undone`
    Undo {
        /// The entry.
        id: EntryId,
        /// Engine ops that the command line has done already.
        done: Vec<EngineOp>,
    },
    /// Undo everything that is not undone, last first. → `Rollback`
    Rollback {
        /// Faults alone: the run's containers, volumes and networks stay.
        faults_only: bool,
        /// Engine ops that the command line has done already.
        done: Vec<EngineOp>,
    },
    /// What was undone because its time was up, since the last such question. → `Expired`
    Expired,
    /// What the journal says so far. → `Journal`
    Journal,
    /// No fault is left: end, and leave the rest of the run and its open entries as they are, for
    /// `recover`. → `Closed`
    Leave,
    /// Nothing is left: close the journal and end. → `Closed`
    Close,
}

/// From the keeper to the command line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// So does the keeper.
    Beat,
    /// What was seen.
    Reading(Reading),
    /// What the load driver says.
    Load(LoadReply),
    /// The undo is durable.
    Begun(EntryId),
    /// One op was done.
    Acted(Outcome),
    /// All of them were.
    Applied(Applied),
    /// How the undo went.
    Undone(Undone),
    /// How the rollback went.
    Rollback(RollbackReport),
    /// Undone because their time was up.
    Expired(Vec<Undone>),
    /// Records of the journal, a JSON value a line.
    Journal(String),
    /// The journal is closed, or left to `recover`.
    Closed,
    /// It was not done.
    Failed(HelperError),
    /// Not asked for: every fault is being reverted, for this reason.
    Lost(String),
}

/// From the keeper to the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkerAsk {
    /// Are you there? → `Pong`
    Ping,
    /// Give up acts in progress. → `Pong`
    Cancel,
    /// Perform an op; never an engine op. → `Acted`
    Act {
        /// The op.
        op: Op,
        /// It is part of an undo: never made vacuous.
        undo: bool,
        /// Milliseconds until it is given up.
        deadline_ms: u64,
    },
    /// Observe. → `Reading`
    Read(Read),
    /// Drive load. → `Load`
    Load(LoadCall),
    /// Remove what interrupted trials have left in a directory. → `Pong`
    Sweep(Place),
}

/// From the worker to the keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkerAnswer {
    /// Yes; or done.
    Pong,
    /// It was done.
    Acted(Outcome),
    /// What was seen.
    Reading(Reading),
    /// What the load driver says.
    Load(LoadReply),
    /// It was not done.
    Failed(HelperError),
}
