//! What acts are given, and what they come to.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use super::{super::HelperError, detach::Kept, interposers::Interposers};
use crate::protocol::Outcome;

/// What an act may use.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// The run's directory: the mounted helper volume.
    pub(super) dir: PathBuf,
    /// The same directory on the engine's host.
    pub(super) host_dir: String,
    /// Mounts that were taken away.
    pub(super) kept: Kept,
    /// Interposers that were made here.
    pub(super) interposers: Interposers,
    /// When the act is given up.
    pub(super) deadline: Instant,
    /// Set when it is to be given up at once.
    pub(super) cancel: Arc<AtomicBool>,
}

/// What an act came to.
pub(super) type Done = Result<Outcome, HelperError>;
