//! Why a fault could not be prepared or verified.

use crate::{helper::HelperError, runtime::RuntimeError};

/// Why a fault could not be prepared or verified.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The helper.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// The engine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The fault would touch more than it may, or can do nothing here. Nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The helper answered something else than what was asked.
    #[error("the helper answered out of turn: {0}")]
    Unexpected(String),
    /// It was in force, is gone, and reached nobody.
    #[error("{0}")]
    ReachedNobody(String),
}

impl FaultError {
    /// Whether it says, before anything was done, that this cannot be done here; not that whoever was
    /// asked gave no answer, or none that can be trusted.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Helper(
                HelperError::Refused(_) | HelperError::Os { .. } | HelperError::NotRunning(_),
            ) => true,
            Self::Runtime(error) => matches!(error, RuntimeError::Gone { .. }),
            Self::Helper(HelperError::Lost(_) | HelperError::Timeout { .. }) => false,
            Self::Unexpected(_) | Self::ReachedNobody(_) => false,
        }
    }
}
