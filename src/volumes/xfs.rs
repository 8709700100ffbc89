//! `xfs`: a filesystem of the run's own, in an image on a loop device.
//!
//! Every image gets a fresh UUID from mkfs, so several can be mounted side by side without `nouuid`.

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

/// An XFS filesystem of its own, of at least 300 MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Xfs {
    /// Size of the image, which is sparse.
    size: Size,
    /// Most inodes. XFS makes them on demand and limits them by whole percents of its size, so the
    /// number is rounded up to the next percent.
    inodes: Option<u64>,
    /// Volume label, 12 bytes at most.
    label: Option<String>,
    /// More arguments of `mkfs.xfs`, such as `[-m, "reflink=0"]`.
    #[serde(default)]
    mkfs: Vec<String>,
    /// Mount options, such as `[noatime]`.
    #[serde(default)]
    mount_options: Vec<String>,
    /// What lies between the volume and its users: `file` for faults of files, `block` for those of a disk.
    /// The latter is in memory, and its power can be cut.
    interpose: Option<Layer>,
    /// Whose promises of what a sync makes durable are kept until a `power-cut`, with `interpose: file`;
    /// those of `posix-strict` without it.
    durability: Option<Durability>,
}

/// mkfs.xfs refuses less since xfsprogs 5.19.
const LEAST_SIZE: Size = Size(300 << 20);

/// Bytes of an inode as mkfs.xfs makes them.
const INODE: u64 = 512;

const LABEL: usize = 12;

impl Xfs {
    /// Inodes in one percent of the size.
    fn per_percent(&self) -> u64 {
        (self.size.0 / 100 / INODE).max(1)
    }

    /// `maxpct` that allows this many inodes, and none fewer.
    fn percent(&self, inodes: u64) -> u64 {
        inodes.div_ceil(self.per_percent()).max(1)
    }

    fn args(&self) -> Vec<String> {
        let mut args = ["-q", "-f"].map(String::from).to_vec();
        if self.interpose == Some(Layer::Block) {
            args.extend(["-s".into(), format!("size={}", image::SECTOR)]);
        }
        if let Some(inodes) = self.inodes {
            args.extend(["-i".into(), format!("maxpct={}", self.percent(inodes))]);
        }
        if let Some(label) = &self.label {
            args.extend(["-L".into(), label.clone()]);
        }
        args.extend(self.mkfs.iter().cloned());
        args
    }
}

impl Volume for Xfs {
    const NEEDS: &'static [Capability] = &[Capability::LoopDevices, Capability::Xfs];
    const EXAMPLE: &'static str = "xfs: { size: 300MiB }";

    fn filesystem(&self) -> Option<Filesystem> {
        // beneath an interposer it is nobody's to freeze or to fill
        self.interpose.is_none().then_some(Filesystem::Xfs)
    }

    fn interpose(&self) -> Option<Layer> {
        self.interpose
    }

    fn durability(&self) -> Durability {
        self.durability.unwrap_or_default()
    }

    fn check(&self, _: bool) -> Vec<String> {
        let label = self.label.as_deref().map(|label| (label, LABEL));
        let mut wrong = image::check(
            "xfs",
            (self.size, LEAST_SIZE),
            self.interpose,
            label,
            &self.mount_options,
        );
        wrong.extend(interposed::no_promises(self.interpose, self.durability));
        let (least, most) = (self.per_percent(), self.per_percent() * 100);
        match self.inodes {
            Some(inodes) if inodes < least => wrong.push(format!(
                "XFS limits inodes by whole percents, and one percent of {} already holds \
                 {least}\n\nhint: write `inodes: {least}` or more, or use `ext4`",
                self.size
            )),
            Some(inodes) if inodes > most => wrong.push(format!(
                "{inodes} inodes do not fit in {}\n\nhint: write {most} at most, or a larger `size`",
                self.size
            )),
            _ => {}
        }
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let tool = Tool { name: "mkfs.xfs", package: "xfsprogs" };
        let recipe = Recipe {
            fs_type: "xfs",
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

    fn xfs(yaml: &str) -> Xfs {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn inodes_become_whole_percents_rounded_up() {
        let xfs = xfs("{ size: 300MiB, inodes: 6145 }");
        assert_eq!(xfs.per_percent(), 6144);
        assert_eq!(xfs.args().join(" "), "-q -f -i maxpct=2");
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        assert!(xfs("{ size: 300MiB }").check(false).is_empty());
        assert_eq!(xfs("{ size: 299MiB }").check(false).len(), 1);
        assert_eq!(xfs("{ size: 300MiB, inodes: 512 }").check(false).len(), 1);
        assert_eq!(xfs("{ size: 300MiB, inodes: 10000000 }").check(false).len(), 1);
    }
}
