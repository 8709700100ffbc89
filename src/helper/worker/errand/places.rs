//! Where a file lies on its disk. What was written of it gets its place first, which a disk that
//! hangs does not let happen.

use serde::{Deserialize, Serialize};

use super::super::{super::HelperError, place::inside};
use crate::host::{extents::extents, process::Identity};

/// A file to be found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PlacesErrand {
    /// Whose file it is.
    pub(in super::super) target: Identity,
    /// As the target sees it.
    pub(in super::super) path: String,
}

impl PlacesErrand {
    /// The first byte of each piece, and the first after it.
    pub(super) fn run(&self) -> Result<Vec<(u64, u64)>, HelperError> {
        Ok(inside(self.target, &self.path, |here| extents(here.path))?)
    }
}
