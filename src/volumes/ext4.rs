//! `ext4`: a filesystem of the run's own, in an image on a loop device.
//!
//! Made so that an error turns it read-only: that is how it can be broken for open writers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Filesystem, Layer, Owner, Provision, Volume, VolumeError,
    image::{self, Recipe},
    interposed,
    mkfs::Tool,
};
use crate::{
    protocol::{Capability, Durability},
    runtime::MountSource,
    units::Size,
};

/// An ext4 filesystem of its own, with as few inodes as you like.
///
/// It begins empty, as a named volume of the engine does: without `lost+found`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ext4 {
    /// Size of the image, which is sparse.
    size: Size,
    /// Number of inodes, rounded up to what fills a block of them in each group.
    inodes: Option<u64>,
    /// Owner of its root; root without it. The root's mode is `0755`.
    owner: Option<Owner>,
    /// Volume label, 16 bytes at most.
    label: Option<String>,
    /// More arguments of `mkfs.ext4`, such as `[-m, "0"]`.
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

/// Metadata and a few files; mke2fs leaves the journal out below 8 MiB.
const LEAST_SIZE: Size = Size(4 << 20);

/// ext4 keeps the first ten for itself (ext4(5)), and mke2fs one more for `lost+found`.
const LEAST_INODES: u64 = 16;

/// mke2fs refuses more inodes than blocks, and the smallest block has this many bytes.
const BYTES_PER_INODE: u64 = 1024;

const LABEL: usize = 16;

impl Ext4 {
    fn args(&self) -> Vec<String> {
        let owner = self.owner.unwrap_or_default();
        // nothing is left for the kernel to zero later: its writes would be taken for the subject's
        let extended = format!("lazy_itable_init=0,lazy_journal_init=0,root_owner={owner}");
        let mut args = ["-q", "-F", "-e", "remount-ro", "-E", &extended].map(String::from).to_vec();
        if self.interpose == Some(Layer::Block) {
            args.extend(["-b".into(), image::SECTOR.to_string()]);
        }
        if let Some(inodes) = self.inodes {
            args.extend(["-N".into(), inodes.to_string()]);
        }
        if let Some(label) = &self.label {
            args.extend(["-L".into(), label.clone()]);
        }
        args.extend(self.mkfs.iter().cloned());
        args
    }
}

impl Volume for Ext4 {
    const NEEDS: &'static [Capability] = &[Capability::LoopDevices, Capability::Ext4];
    const EXAMPLE: &'static str = "ext4: { size: 64MiB, inodes: 512 }";

    fn filesystem(&self) -> Option<Filesystem> {
        // beneath an interposer it is nobody's to freeze or to fill
        self.interpose.is_none().then_some(Filesystem::Ext4)
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
            "ext4",
            (self.size, LEAST_SIZE),
            self.interpose,
            label,
            &self.mount_options,
        );
        wrong.extend(interposed::no_promises(self.interpose, self.durability));
        let most = self.size.0 / BYTES_PER_INODE;
        match self.inodes {
            Some(inodes) if inodes < LEAST_INODES => wrong.push(format!(
                "ext4 keeps 11 inodes for itself, so {inodes} leave too few\n\nhint: write \
                 `inodes: {LEAST_INODES}` or more"
            )),
            Some(inodes) if inodes >= most => wrong.push(format!(
                "{inodes} inodes do not fit in {}\n\nhint: write less than {most}, or a larger `size`",
                self.size
            )),
            _ => {}
        }
        wrong
    }

    async fn provision(&self, cx: &Provision<'_>) -> Result<MountSource, VolumeError> {
        let tool = |name| Tool { name, package: "e2fsprogs" };
        // an engine copies an image's files into a volume that is empty, and a service that makes its
        // own directory anew may refuse one that is not; e2fsck makes it again where it wants it
        let empty = ["-w", "-R", "rmdir lost+found"].map(String::from).to_vec();
        let recipe = Recipe {
            fs_type: "ext4",
            tools: vec![(tool("mkfs.ext4"), self.args()), (tool("debugfs"), empty)],
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
    use crate::{faults::testing::Fake, protocol::Op, volumes::tests::provision};

    fn ext4(yaml: &str) -> Ext4 {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn sizes_and_counts_that_cannot_be_made_are_refused() {
        assert!(ext4("{ size: 64MiB, inodes: 512 }").check(false).is_empty());
        assert_eq!(ext4("{ size: 1MiB }").check(false).len(), 1);
        assert_eq!(ext4("{ size: 64MiB, inodes: 3 }").check(false).len(), 1);
        assert_eq!(ext4("{ size: 64MiB, inodes: 100000 }").check(false).len(), 1);
    }

    #[test]
    fn parameters_reach_mkfs_and_the_users_come_last() {
        let args =
            ext4("{ size: 64MiB, inodes: 512, owner: \"7:8\", label: x, mkfs: [-m, \"0\"] }")
                .args()
                .join(" ");
        assert!(args.contains("root_owner=7:8") && args.contains("-N 512 -L x -m 0"), "{args}");
    }

    #[tokio::test]
    async fn a_real_filesystem_travels_to_a_loop_device_and_a_volume() {
        let fake = Fake::default();
        let spec = ext4("{ size: 64MiB, inodes: 512, mount_options: [noatime] }");
        let made = spec.provision(&provision(&fake)).await;
        let Ok(MountSource::Volume { name, .. }) = made else {
            panic!("mkfs.ext4 is needed for this test: {made:?}");
        };
        let world = fake.world();
        assert_eq!(world.volumes[0].name, name);
        assert_eq!(world.volumes[0].options["device"], "/dev/loop7");
        assert_eq!(world.volumes[0].options["o"], "noatime");
        let Op::WriteImage { extents, .. } = &world.applied[0].ops[1] else {
            panic!("no bytes travelled: {:?}", world.applied[0].ops);
        };
        // the superblock lies at byte 1024, its magic 0x38 further on (ext4's on-disk layout)
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let head = STANDARD.decode(&extents[0].1).unwrap();
        assert_eq!(extents[0].0, 0);
        assert_eq!(head[1024 + 0x38..1024 + 0x3a], [0x53, 0xef]);
        // s_inodes_count is the superblock's first field
        assert_eq!(head[1024..1028], 512_u32.to_le_bytes());
    }
}
