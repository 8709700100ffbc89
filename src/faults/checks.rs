//! Complaints that several faults share. Pure.

use super::{Declared, Target};
use crate::{
    errno::ErrnoName,
    volumes::{Filesystem, VolumeSpec},
};

/// The fault acts on a path.
pub(super) fn needs_path(name: &str, target: &Target) -> Option<String> {
    target.path.is_none().then(|| {
        format!(
            "`{name}` acts on a path, and `{target}` names none\n\nhint: write `{}:/data`",
            target.service
        )
    })
}

/// The fault acts on a container as a whole.
pub(super) fn needs_no_path(name: &str, target: &Target) -> Option<String> {
    target.path.as_ref().map(|path| {
        format!(
            "`{name}` acts on a whole container, not on `{path}`\n\nhint: write `{}`",
            target.service
        )
    })
}

/// The target is a mount point itself.
pub(super) fn needs_mount_point(
    name: &str,
    target: &Target,
    declared: &Declared<'_>,
) -> Option<String> {
    (target.path.is_some() && !declared.is_mount_point).then(|| {
        format!(
            "`{name}` acts on a mount, and nothing is mounted at exactly `{target}`\n\nhint: name \
             a path listed under `mounts:` of `{}`",
            target.service
        )
    })
}

/// The target lies on a volume, not on the container's own layer.
pub(super) fn needs_volume(name: &str, target: &Target, declared: &Declared<'_>) -> Option<String> {
    (target.path.is_some() && declared.volume.is_none()).then(|| {
        format!(
            "`{name}` acts on a volume, and `{target}` lies on the container's own layer, which is \
             the host's disk\n\nhint: mount a volume there, such as `tmpfs: {{ size: 16MiB }}`"
        )
    })
}

/// The target lies on a tmpfs.
pub(super) fn needs_tmpfs(name: &str, target: &Target, declared: &Declared<'_>) -> Option<String> {
    let volume = declared.volume?;
    let found = VolumeSpec::filesystem(volume);
    (found != Some(Filesystem::Tmpfs)).then(|| {
        format!(
            "`{name}` acts on a tmpfs, and `{target}` is on a `{}` volume\n\nhint: mount a `tmpfs` \
             volume there",
            volume.name()
        )
    })
}

/// An error after which the kernel asks the filesystem again.
pub(super) fn needs_no_enosys(name: &str, key: &str, errno: ErrnoName) -> Option<String> {
    (errno.0.0 == libc::ENOSYS).then(|| {
        format!(
            "after `{key}: ENOSYS` the kernel never asks for such an operation again, so that \
             `{name}` would not end with its revert\n\nhint: use `EOPNOTSUPP` for what a filesystem cannot do"
        )
    })
}
