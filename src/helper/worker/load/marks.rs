//! Where among the writes of a disk each acknowledgement came.
//!
//! The mark is set when the acknowledgement has arrived, and before it is counted: whatever the
//! subject made durable for it was done by then. So a cut at or after the mark may lose nothing of it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::super::{
    super::HelperError,
    http::blocking,
    interpose::{self, ANSWER},
};
use crate::{
    interpose::control::{self, Answer, Ask},
    ledger::RecordId,
};

/// What a disk remembers of its past.
const REMEMBERED: u64 = 32 << 20;

/// The acknowledgements of one load in the sequence of one disk.
#[derive(Debug)]
pub(super) struct Marks {
    /// Name of the disk.
    pub(super) disk: String,
    /// Where it listens.
    pub(super) socket: PathBuf,
    at: Mutex<Vec<(RecordId, u64)>>,
}

impl Marks {
    /// Begins to record the disk that a load is to mark; none where it marks none. `dir` is that of
    /// loads' logs.
    pub(super) async fn of(
        dir: &Path,
        disk: Option<&str>,
    ) -> Result<Option<Arc<Self>>, HelperError> {
        let Some(disk) = disk else { return Ok(None) };
        let root = dir.parent().unwrap_or(dir);
        Ok(Some(Arc::new(Self::begin(root, disk).await?)))
    }

    async fn begin(dir: &Path, disk: &str) -> Result<Self, HelperError> {
        let (socket, disk) = (interpose::socket(dir, disk), disk.to_owned());
        let began = ask(socket.clone(), Ask::Record { most: REMEMBERED }, ANSWER).await?;
        match began {
            Answer::Done => Ok(Self { disk, socket, at: Mutex::default() }),
            other => Err(HelperError::Refused(format!("`{disk}` is not recorded: {other:?}"))),
        }
    }

    /// Those of a disk that remembers its past already.
    pub(super) fn known(dir: &Path, disk: &str, at: Vec<(RecordId, u64)>) -> Arc<Self> {
        let root = dir.parent().unwrap_or(dir);
        let (socket, disk) = (interpose::socket(root, disk), disk.to_owned());
        Arc::new(Self { disk, socket, at: Mutex::new(at) })
    }

    /// A record was acknowledged just now. Without an answer it has no place, and counts for nothing
    /// when states are judged.
    pub(super) async fn set(&self, id: RecordId) {
        if let Ok(Answer::At(at)) = ask(self.socket.clone(), Ask::Mark, ANSWER).await {
            self.at.lock().unwrap_or_else(PoisonError::into_inner).push((id, at));
        }
    }

    /// All of them, in the order of their places.
    pub(super) fn sorted(&self) -> Vec<(RecordId, u64)> {
        let mut all = self.at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_unstable_by_key(|(_, at)| *at);
        all
    }
}

async fn ask(socket: PathBuf, ask: Ask, within: Duration) -> Result<Answer, HelperError> {
    let failed = |error: std::io::Error| HelperError::Refused(error.to_string());
    blocking(move || control::ask(&socket, &ask, within).map_err(failed)).await
}
