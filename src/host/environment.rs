//! The environment that a process was started with.

use std::fs;

use super::error::{Context as _, HostResult};
use super::process::Identity;

/// Names and values as they were at its start; those that are not UTF-8 are left out. A process may
/// have written over them since.
///
/// # Errors
/// [`HostError::Gone`](super::error::HostError::Gone) when it has ended, or an unreadable `/proc`.
pub fn of(target: Identity) -> HostResult<Vec<(String, String)>> {
    let path = target.proc_path("environ");
    let bytes = fs::read(&path).op("read", &path)?;
    target.check()?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(pairs.collect())
}
