//! `tmpfs`: memory, gone with the container. The engine mounts it; there is nothing to make.
//!
//! It has a superblock of its own, so limits may be moved without touching anyone else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filesystem, Provision, Volume, VolumeError};
use crate::{
    protocol::Capability,
    runtime::MountSource,
    units::{Mode, Size},
};

/// Memory with a limit, lost whenever the container ends.
///
/// Without `size` the kernel allows half of the host's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tmpfs {
    /// Limit in bytes.
    size: Option<Size>,
    /// Limit in inodes; the root directory takes one.
    inodes: Option<u64>,
    /// Permission bits of its root; the engine's default is `1777`.
    mode: Option<Mode>,
}

/// A tmpfs is accounted in pages; with less than one it could hold nothing.
const LEAST_SIZE: u64 = 4096;

/// The root and one file.
const LEAST_INODES: u64 = 2;

impl Volume for Tmpfs {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "tmpfs: { size: 16MiB, inodes: 512 }";

    fn filesystem(&self) -> Option<Filesystem> {
        Some(Filesystem::Tmpfs)
    }

    fn check(&self, _: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.size.is_some_and(|size| size.0 < LEAST_SIZE) {
            wrong.push("a tmpfs below one page holds nothing\n\nhint: write `size: 16MiB`".into());
        }
        if self.inodes.is_some_and(|inodes| inodes < LEAST_INODES) {
            wrong.push(
                "a tmpfs needs an inode for its root and one for a file (and 0 means no \
                 limit)\n\nhint: write `inodes: 512`, or leave it out"
                    .into(),
            );
        }
        wrong
    }

    async fn provision(&self, _: &Provision<'_>) -> Result<MountSource, VolumeError> {
        Ok(MountSource::Tmpfs {
            size: self.size.map(|size| size.0),
            inodes: self.inodes,
            mode: self.mode.map(|mode| mode.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_hold_nothing_are_refused() {
        let tmpfs = Tmpfs { size: Some(Size(1)), inodes: Some(0), mode: None };
        assert_eq!(tmpfs.check(false).len(), 2);
        assert!(Tmpfs::default().check(false).is_empty());
    }
}
