//! Where a file of an overlay is kept. Only looks.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use super::{
    super::HelperError,
    engine,
    place::{init, inside},
};
use crate::{
    host::{error::HostError, mountinfo::MountEntry, namespace::in_mount_ns},
    protocol::Place,
};

/// The inode that a path has in the upper layer; none where it is in a lower one only.
///
/// The layer is looked at where the engine mounted it: inside the container there is only the
/// overlay, whose inode numbers may stay the same when a file is copied up.
pub(super) fn upper(place: &Place) -> Result<Option<u64>, HelperError> {
    let found = inside(init(place)?, &place.path, |here| {
        Ok(here
            .mounts
            .read()?
            .covering(here.path)
            .map(|mount| (mount.clone(), here.path.to_owned())))
    })?;
    let (mount, path) =
        found.ok_or_else(|| HelperError::Refused(format!("`{}` is on no mount", place.path)))?;
    let layer = upper_layer(&mount).ok_or_else(|| {
        let (path, fs_type) = (&place.path, &mount.fs_type);
        HelperError::Refused(format!("`{path}` is on {fs_type}, which has no upper layer"))
    })?;
    let below = path.strip_prefix(&mount.mount_point).unwrap_or(&path);
    let root = mount.root.strip_prefix("/").unwrap_or(&mount.root);
    let kept = Path::new(layer).join(root).join(below);
    let engine = engine::process()
        .ok_or_else(|| HelperError::Refused("the engine's process is not seen".into()))?;
    let looked = in_mount_ns(engine, || std::fs::symlink_metadata(&kept))?;
    match looked {
        Ok(meta) => Ok(Some(meta.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HostError::sys("stat", &kept, error).into()),
    }
}

fn upper_layer(mount: &MountEntry) -> Option<&str> {
    let is_overlay = mount.fs_type == "overlay";
    let mut options = mount.super_options.split(',').filter(|_| is_overlay);
    options.find_map(|option| option.strip_prefix("upperdir="))
}
