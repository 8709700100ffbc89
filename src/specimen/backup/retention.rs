//! Deleting old archives: by age, but never the last good one.
//!
//! When backups fail for a week, age alone would delete everything there is to restore from.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::weakness::Weakness;
use super::JobError;
use super::args::Bugs;
use super::manifest::{archives, verify};

/// Deletes archives older than `keep`; how many.
pub(super) fn prune(dir: &Path, keep: Duration, bugs: &Bugs) -> Result<usize, JobError> {
    let all = archives(dir)?;
    let mut old = Vec::new();
    for path in &all {
        let written = fs::metadata(path).and_then(|meta| meta.modified());
        let written = written.map_err(JobError::io("look at", path))?;
        // One from the future is not old, whatever its date is worth.
        let age = SystemTime::now().duration_since(written).unwrap_or_default();
        if age > keep {
            old.push(path);
        }
    }
    // Only worth reading archives for when all the young ones could be bad.
    let last_good = || all.iter().find(|path| verify(path).is_ok());
    let protected = if bugs.has(Weakness::DeletesByAge) { None } else { last_good() };
    old.retain(|path| Some(*path) != protected);
    for path in &old {
        fs::remove_file(path).map_err(JobError::io("delete", path))?;
    }
    Ok(old.len())
}
