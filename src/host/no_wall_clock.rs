//! What `wall_clock` is where nobody has written the code for it: it says so.

use std::time::Duration;

use super::error::{HostError, HostResult};
use super::metadata::Change;
use super::process::Identity;

/// What a process was told when it asked for the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The process.
    pub process: Identity,
    /// Seconds ahead of the host's clock.
    pub ahead: i64,
    /// It asked the kernel by itself.
    pub direct: bool,
}

/// It is not.
///
/// # Errors
/// Always.
pub fn ready() -> HostResult<()> {
    Err(HostError::malformed("the wall clock of a process", "it can be shifted on x86-64 only"))
}

/// Does nothing.
///
/// # Errors
/// Always.
pub fn shift(_: Identity, _: i32) -> HostResult<Change> {
    ready().map(|()| Change::LeftAlone)
}

/// There is nothing to put right.
///
/// # Errors
/// None.
pub fn put_right(_: Identity, _: i32) -> HostResult<Change> {
    Ok(Change::LeftAlone)
}

/// Every clock is.
///
/// # Errors
/// None.
pub fn is_true(_: Identity) -> HostResult<bool> {
    Ok(true)
}

/// Hears nothing.
///
/// # Errors
/// Always.
pub fn overhear(_: &[Identity], _: Duration) -> HostResult<Option<Told>> {
    ready().map(|()| None)
}
