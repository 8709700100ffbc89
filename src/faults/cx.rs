//! What a fault may use, and where it acts.

use crate::{helper::HelperLink, protocol::Place, runtime::Runtime, volumes::VolumeSpec};

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

/// What a fault may use.
pub struct Cx<'a> {
    /// The engine.
    pub runtime: &'a dyn Runtime,
    /// The helper.
    pub helper: &'a dyn HelperLink,
    /// Where it acts.
    pub site: &'a Site,
    /// The run's id.
    pub run: &'a str,
    /// The scenario says `allow: [host-wide]`.
    pub host_wide: bool,
    /// Decides what a probability hits.
    pub seed: u64,
}

impl Cx<'_> {
    /// Name of the filler directory and of our marks: `.keelhaul-<run>`.
    #[must_use]
    pub fn marker(&self) -> String {
        format!(".keelhaul-{}", self.run)
    }
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
