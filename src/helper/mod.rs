//! The helper: our own binary as one container in the Docker host's kernel.
//!
//! `client` is the command line's side. `keeper` holds the lease, the journal and the undo, and has
//! no data path; `worker` does the acts and the observations. The server side never imports the
//! client side.

pub mod client;
pub mod grower;
pub mod keeper;
mod local_engine;
pub mod recover;
mod wire;
pub mod worker;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::protocol::{
    Entry, EntryId, LoadCall, LoadReply, Outcome, Read, Reading, RollbackReport, Undone,
};

/// What a call to the helper came to.
pub type Result<T> = std::result::Result<T, HelperError>;

/// Why the helper did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HelperError {
    /// It is gone, or its lease is: every fault has been, or is being, reverted without us.
    #[error("the helper is lost: {0}")]
    Lost(String),
    /// The kernel refused.
    #[error("{what}: {errno} ({detail})")]
    Os {
        /// What was tried.
        what: String,
        /// Name of the error: `EROFS`.
        errno: String,
        /// Its text.
        detail: String,
    },
    /// The act was refused before it was tried: identity, blast radius, capability.
    #[error("{0}")]
    Refused(String),
    /// The kernel knows no process of this container (the beginning of its id) to enter it by.
    #[error("container `{0}` does not run")]
    NotRunning(String),
    /// No answer in time.
    #[error("the helper did not answer within {seconds} s to {what}")]
    Timeout {
        /// How long we waited.
        seconds: u64,
        /// What was asked.
        what: String,
    },
}

/// What an entry came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// Its number in the journal.
    pub id: EntryId,
    /// One per op, in order.
    pub outcomes: Vec<Outcome>,
}

/// The way to the helper. The real one is `client::Helper`; the runner's unit tests bring a fake.
pub trait HelperLink: Send + Sync {
    /// Observes.
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Reading>>;
    /// Drives load.
    fn load(&self, call: LoadCall) -> BoxFuture<'_, Result<LoadReply>>;
    /// Makes the entry's undo durable, then performs its ops in order. When an op fails, what was
    /// done of the entry is undone before the error is returned. Engine ops run through the
    /// runtime, after the same journal write.
    fn apply(&self, entry: Entry) -> BoxFuture<'_, Result<Applied>>;
    /// Undoes one entry. Idempotent.
    fn revert(&self, id: EntryId) -> BoxFuture<'_, Result<Undone>>;
    /// Undoes every entry that is not undone, last first.
    fn rollback(&self) -> BoxFuture<'_, Result<RollbackReport>>;
    /// Undoes every fault, last first, and leaves the containers, volumes and networks of the run.
    fn rollback_faults(&self) -> BoxFuture<'_, Result<RollbackReport>> {
        let refused = HelperError::Refused("this helper cannot undo faults alone".into());
        Box::pin(std::future::ready(Err(refused)))
    }
    /// Entries that the keeper has undone by itself because their time was up.
    fn expired(&self) -> BoxFuture<'_, Result<Vec<Undone>>>;
    /// Resolves when the helper or its lease is lost, with the reason. Never resolves otherwise.
    fn lost(&self) -> BoxFuture<'_, String>;
}
