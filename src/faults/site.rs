//! Where a fault acts, resolved against what runs now. Data only; the runner resolves.

use crate::{protocol::Place, volumes::VolumeSpec};

/// Where a fault acts, resolved against what runs now.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Service name.
    pub service: String,
    /// Container, init and path. For a target without a path, `/`.
    pub place: Place,
    /// The volume mounted at, or above, the path.
    pub volume: Option<SiteVolume>,
}

/// The volume under a site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteVolume {
    /// Its name in the scenario.
    pub name: String,
    /// What it is.
    pub spec: VolumeSpec,
    /// Where it is mounted in this container.
    pub mount_point: String,
}
