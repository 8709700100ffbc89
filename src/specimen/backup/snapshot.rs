//! A snapshot as something to restore from: the data directory as it was at one moment.

use std::fs;
use std::path::Path;

use super::JobError;
use super::files::sync_all;
use super::parts::{self, Part};

/// Whether this is a data directory, and not an archive, nor a directory of them.
pub(super) fn is_one(from: &Path) -> bool {
    from.join("state.json").exists()
}

/// Copies what belongs to a backup, durably; how many files.
pub(super) fn copy(from: &Path, into: &Part) -> Result<usize, JobError> {
    let source = parts::data(from.to_owned());
    let paths = source.paths()?;
    fs::create_dir_all(&into.root).map_err(JobError::io("create", &into.root))?;
    let mut files = 0;
    for path in &paths {
        let (from, to) = (from.join(path), into.root.join(path));
        if from.is_dir() {
            fs::create_dir_all(&to).map_err(JobError::io("create", &to))?;
        } else {
            fs::copy(&from, &to).map_err(JobError::io("restore", &to))?;
            files += 1;
        }
    }
    sync_all(&into.root, &paths)?;
    Ok(files)
}
