//! Past states of a disk of which nothing is left but a log: no load runs, and what was promised is in the
//! crash state that was kept with it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{super::HelperError, image},
    explore::Exploration,
    marks::Marks,
};
use crate::{
    crash_state::CrashState,
    ledger::{Log, LogWriter},
    protocol::LoggedDisk,
};

/// An exploration without a load.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) exploration: Arc<Exploration>,
    /// Where its ledger is.
    pub(super) log_path: PathBuf,
}

impl Again {
    /// Begins one. `dir` is that of loads' logs.
    pub(super) fn begin(dir: &Path, name: &str, logged: LoggedDisk) -> Result<Self, HelperError> {
        let refused = |why: String| HelperError::Refused(why);
        let state = image::own(dir.parent().unwrap_or(dir), image::IMAGES, &logged.state)?;
        let bytes = fs::read(state).map_err(|error| refused(format!("the state: {error}")))?;
        let state = CrashState::decode(&bytes).map_err(|error| refused(error.to_string()))?;
        let log_path = image::own(dir, "", &format!("{name}.log"))?;
        let written = written(&log_path, &state.ledger);
        written.map_err(|error| refused(format!("the ledger's log: {error}")))?;
        let marks = Marks::known(dir, &logged.explore.disk, logged.told);
        let ledger = (log_path.clone(), logged.seed);
        let exploration = Exploration::of(marks, ledger, logged.explore)?;
        Ok(Self { exploration, log_path })
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.exploration.cancel();
    }
}

fn written(path: &Path, log: &Log) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut writer = LogWriter::new(File::create_new(path)?, &log.run)?;
    for entry in &log.entries {
        writer.append(entry)?;
    }
    writer.write_out().map(drop)
}
