//! `docker`: a named volume of the engine, on whatever disk the engine keeps its data.
//!
//! It shares a superblock with the engine, so faults that reach beyond one mount are refused on it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filesystem, Layer, Provision, Volume, VolumeError, interposed};
use crate::{
    protocol::{Backing, Capability, Durability},
    runtime::{MountSource, VolumeSpec},
};

/// A named volume of the engine, with any driver and options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// Volume driver.
    #[serde(default = "local")]
    driver: String,
    /// Driver options, as `docker volume create --opt` takes them.
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Do not copy the image's files into the empty volume.
    #[serde(default)]
    no_copy: bool,
    /// What lies between the volume and its users: `file` for I/O faults.
    interpose: Option<Layer>,
    /// Whose promises of what a sync makes durable are kept until a `power-cut`, with `interpose: file`;
    /// those of `posix-strict` without it.
    durability: Option<Durability>,
    /// The filesystem that was found there: the run has not made it.
    #[serde(skip)]
    found: Option<Filesystem>,
}

impl Docker {
    /// One that was there before, and brings a filesystem along.
    pub(super) fn found(filesystem: Filesystem) -> Self {
        Self { found: Some(filesystem), ..Self::default() }
    }
}

fn local() -> String {
    "local".into()
}

impl Volume for Docker {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "docker: {}";

    fn filesystem(&self) -> Option<Filesystem> {
        self.found
    }

    fn shares_host(&self) -> bool {
        self.driver == "local" && self.options.is_empty() && self.found.is_none()
    }

    fn interpose(&self) -> Option<Layer> {
        self.interpose
    }

    fn durability(&self) -> Durability {
        self.durability.unwrap_or_default()
    }

    fn check(&self, _: bool) -> Vec<String> {
        let plain = self.driver == "local" && self.options.is_empty();
        let mut wrong: Vec<String> =
            interposed::no_disk("docker", self.interpose).into_iter().collect();
        wrong.extend(interposed::no_promises(self.interpose, self.durability));
        if self.interpose.is_some() && !plain {
            wrong.push(
                "the engine mounts a volume of another driver, or with options, only with its \
                 first container, and an interposer must be there before\n\nhint: use `ext4`, \
                 `xfs` or `btrfs`, or leave `driver` and `options` out"
                    .into(),
            );
        }
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let spec = VolumeSpec {
            name: cx.object.clone(),
            driver: self.driver.clone(),
            options: self.options.clone(),
            labels: cx.labels.clone(),
        };
        cx.runtime.create_volume(&spec).await?;
        if self.interpose == Some(Layer::File) {
            let host_path = cx.runtime.volume_directory(&spec.name).await?;
            let backing = Backing::Directory { host_path };
            return interposed::over(cx, backing, self.durability()).await;
        }
        Ok(MountSource::Volume { name: spec.name, no_copy: self.no_copy })
    }
}
