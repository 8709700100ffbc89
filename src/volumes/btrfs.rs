//! `btrfs`: a filesystem of the run's own, in an image on a loop device.
//!
//! It has no limit of inodes, so there is no such parameter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Filesystem, Layer, Provision, Volume, VolumeError,
    image::{self, Recipe},
    interposed,
    mkfs::Tool,
};
use crate::{
    protocol::{Capability, Durability},
    runtime::MountSource,
    units::Size,
};

/// A btrfs filesystem of its own, of at least 109 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Btrfs {
    /// Size of the image, which is sparse.
    size: Size,
    /// Volume label, 255 bytes at most.
    label: Option<String>,
    /// More arguments of `mkfs.btrfs`, such as `[-m, single]`.
    #[serde(default)]
    mkfs: Vec<String>,
    /// Mount options, such as `[compress=zstd]`.
    #[serde(default)]
    mount_options: Vec<String>,
    /// What lies between the volume and its users: `file` for faults of files, `block` for those of a disk.
    /// The latter is in memory, and its power can be cut.
    interpose: Option<Layer>,
    /// Whose promises of what a sync makes durable are kept until a `power-cut`, with `interpose: file`;
    /// those of `posix-strict` without it.
    durability: Option<Durability>,
}

/// What mkfs.btrfs names as its least: 114294784 bytes.
const LEAST_SIZE: Size = Size(109 << 20);

const LABEL: usize = 255;

impl Btrfs {
    fn args(&self) -> Vec<String> {
        let mut args = ["-q", "-f"].map(String::from).to_vec();
        if let Some(label) = &self.label {
            args.extend(["-L".into(), label.clone()]);
        }
        args.extend(self.mkfs.iter().cloned());
        args
    }
}

impl Volume for Btrfs {
    const NEEDS: &'static [Capability] = &[Capability::LoopDevices, Capability::Btrfs];
    const EXAMPLE: &'static str = "btrfs: { size: 256MiB }";

    fn filesystem(&self) -> Option<Filesystem> {
        // beneath an interposer it is nobody's to freeze or to fill
        self.interpose.is_none().then_some(Filesystem::Btrfs)
    }

    fn interpose(&self) -> Option<Layer> {
        self.interpose
    }

    fn durability(&self) -> Durability {
        self.durability.unwrap_or_default()
    }

    fn check(&self, _: bool) -> Vec<String> {
        let label = self.label.as_deref().map(|label| (label, LABEL));
        let sizes = (self.size, LEAST_SIZE);
        let mut wrong = image::check("btrfs", sizes, self.interpose, label, &self.mount_options);
        wrong.extend(interposed::no_promises(self.interpose, self.durability));
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let tool = Tool { name: "mkfs.btrfs", package: "btrfs-progs" };
        let recipe = Recipe {
            fs_type: "btrfs",
            tools: vec![(tool, self.args())],
            size: self.size,
            options: &self.mount_options,
            interpose: self.interpose,
            durability: self.durability(),
        };
        image::provision(&recipe, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_small_an_image_is_refused_with_the_least_size() {
        let btrfs: Btrfs = serde_saphyr::from_str("{ size: 64MiB }").unwrap();
        let wrong = btrfs.check(false);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("109MiB"), "{}", wrong[0]);
    }

    #[test]
    fn an_inode_limit_is_no_parameter() {
        assert!(serde_saphyr::from_str::<Btrfs>("{ size: 256MiB, inodes: 5 }").is_err());
    }
}
