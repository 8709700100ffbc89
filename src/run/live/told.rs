//! What a live case tells: data and errors.

use std::time::Duration;

use crate::{
    faults::{FaultSpec, Scope},
    verdict::{Ending, Verdict},
};

/// Why something was not done by hand, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// Everything is being reverted, or was while this waited for its turn. Nothing of it is in force.
    #[error("not injected: everything was to be reverted")]
    Stopped,
    /// It does not fit the subjects, or cannot be done to them as they are. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// It was tried, and the engine, the helper or the subject did not do it. What there was of an
    /// injection was undone again.
    #[error("{0}")]
    Failed(String),
    /// This host lacks what it needs. Nothing was done.
    #[error("this host cannot do it: {0}")]
    Unavailable(String),
    /// It was injected, its effect was not seen, and it was reverted again.
    #[error("{0}")]
    Unproven(String),
    /// It was in force, is gone, and reached nobody: what was observed under it proves nothing.
    #[error("{0}")]
    ReachedNobody(String),
    /// No fault in force has this id.
    #[error("no fault in force is called `{0}`")]
    Unknown(String),
    /// Its time was up before: the keeper had reverted it already.
    #[error("the time of `{0}` was up before it was reverted\n\nhint: give it longer")]
    Expired(String),
    /// Its undo failed, or it was not seen to be gone.
    #[error("{0}")]
    NotReverted(String),
    /// The case is over: by its end, an interrupt, a stop condition or a lost helper.
    #[error("nothing more can be done here: {0}")]
    Over(String),
}

/// A fault that was injected by hand, and seen to be in force, or to have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injected {
    /// What `revert`, the events and the reports call it.
    pub id: String,
    /// What was seen of its effect.
    pub evidence: String,
    /// It is in force until somebody reverts it, or its time is up; an event is over.
    pub lasts: bool,
}

/// A fault in force.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InForce {
    /// What `revert` calls it.
    pub id: String,
    /// The fault, on one object.
    pub fault: FaultSpec,
    /// The widest thing it touches.
    pub scope: Scope,
    /// What was seen of its effect.
    pub evidence: String,
    /// Until the keeper reverts it by itself.
    pub left: Option<Duration>,
}

/// What became of a fault when everything was to be reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// What the events and the reports call it.
    pub id: String,
    /// What was seen when it was gone, or what [`Live::revert`](super::Live::revert) would say.
    pub end: Result<String, LiveError>,
}

impl Stopped {
    /// It may still be in force.
    #[must_use]
    pub fn is_left(&self) -> bool {
        matches!(self.end, Err(LiveError::NotReverted(_)))
    }
}

/// What a live case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// The verdict of the case, with that of its end.
    pub verdict: Verdict,
    /// What else decides the exit code.
    pub ending: Ending,
}
