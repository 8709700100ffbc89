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
    /// Further places of the same container, which the fault names along with its target.
    pub along: Vec<Site>,
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

impl Site {
    /// The target's path below its volume's root, without a slash at either end.
    #[must_use]
    pub fn below(&self) -> Option<&str> {
        let point = &self.volume.as_ref()?.mount_point;
        let below = self.place.path.strip_prefix(point.trim_end_matches('/'))?;
        Some(below.trim_matches('/'))
    }
}
