//! How fast the target's own I/O is: measured on its volume, in its cgroup.

use serde::{Deserialize, Serialize};

use super::super::{super::HelperError, cgroup, place::inside};
use crate::{
    host::{cgroup::memberships, direct_io::Scratch, process::Identity},
    protocol::{Pace, PaceTrial},
};

/// A measurement to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct PaceErrand {
    /// Whose I/O it is to be.
    pub(in super::super) target: Identity,
    /// A directory, as the target sees it.
    pub(in super::super) path: String,
    /// What is measured.
    pub(in super::super) trial: PaceTrial,
}

impl PaceErrand {
    pub(super) fn run(&self) -> Result<Pace, HelperError> {
        let memberships = memberships(self.target)?;
        // made while we are not held back yet
        let mut scratch =
            inside(self.target, &self.path, |here| Scratch::new(here.path, self.trial.block))?;
        cgroup::find(&memberships, cgroup::IO, |cgroup| cgroup.join())?;
        Ok(scratch.pace(self.trial)?)
    }
}
