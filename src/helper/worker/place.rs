//! From a place as the protocol names it to a path that can be acted on.
//!
//! Follows the container through restarts, and reaches its data through the engine's own mount
//! namespace once the container is gone. It acts on nothing itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{super::HelperError, witness};
use crate::{
    host::{
        container_process::container_init,
        device,
        error::{HostError, HostResult},
        fuse,
        mountinfo::Reader,
        namespace::in_mount_ns,
        process::Identity,
    },
    protocol::{Dev, Init, Place},
};

impl From<Init> for Identity {
    fn from(init: Init) -> Self {
        Self { pid: init.pid, start_time: init.start_time }
    }
}

impl From<Identity> for Init {
    fn from(identity: Identity) -> Self {
        Self { pid: identity.pid, start_time: identity.start_time }
    }
}

impl From<(u32, u32)> for Dev {
    fn from((major, minor): (u32, u32)) -> Self {
        Self { major, minor }
    }
}

impl From<HostError> for HelperError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Sys { op, path, errno } => Self::Os {
                what: format!("{op} `{}`", path.display()),
                errno: errno.name().map_or_else(|| errno.0.to_string(), str::to_owned),
                detail: errno.text().to_owned(),
            },
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The init of the container, as it is now.
pub(super) fn find_init(place: &Place) -> HostResult<Option<Identity>> {
    container_init(&place.container, (place.pid != 0).then_some(place.pid))
}

/// The init of a container that must run, or who stands in for it.
pub(super) fn init(place: &Place) -> Result<Identity, HelperError> {
    find_init(place)?
        .or_else(|| witness::of(place))
        .ok_or_else(|| HelperError::NotRunning(short(&place.container).to_owned()))
}

/// The part of a container's id that people know.
pub(super) fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}

/// What work inside a namespace may use: the path without symbolic links, and the mount table.
pub(super) struct Inside<'a> {
    /// The path, with symbolic links resolved.
    pub(super) path: &'a Path,
    /// The mount table, opened before the namespace was entered.
    pub(super) mounts: &'a Reader,
}

/// Runs `work` where this process sees `path`.
pub(super) fn inside<R: Send>(
    target: Identity,
    path: &str,
    work: impl FnOnce(&Inside<'_>) -> HostResult<R> + Send,
) -> HostResult<R> {
    let mounts = Reader::open(target)?;
    in_mount_ns(target, || {
        let path = resolve(Path::new(path))?;
        work(&Inside { path: &path, mounts: &mounts })
    })?
}

/// Without symbolic links on the way; a missing last component stays as it is.
fn resolve(path: &Path) -> HostResult<PathBuf> {
    fs::canonicalize(path).or_else(|error| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent =
                fs::canonicalize(parent).map_err(|error| HostError::sys("open", parent, error))?;
            Ok(parent.join(name))
        }
        _ => Err(HostError::sys("open", path, error)),
    })
}

/// As [`inside`], for a name that must itself not be followed.
pub(super) fn beside<R: Send>(
    target: Identity,
    path: &str,
    work: impl FnOnce(&Path) -> HostResult<R> + Send,
) -> HostResult<R> {
    in_mount_ns(target, || {
        let path = Path::new(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return work(path);
        };
        let parent =
            fs::canonicalize(parent).map_err(|error| HostError::sys("open", parent, error))?;
        work(&parent.join(name))
    })?
}

/// Where the data of a place can be reached: inside its container, or on the engine's host.
pub(super) struct Way {
    /// Whose mount namespace.
    pub(super) target: Identity,
    /// The path there.
    pub(super) path: String,
}

/// The ways to the data of a place, best first: its container as it runs now, then the engine's
/// own mount namespace.
pub(super) fn ways(place: &Place) -> HostResult<Vec<Way>> {
    let mut ways = Vec::new();
    if let Some(target) = find_init(place)? {
        ways.push(Way { target, path: place.path.clone() });
    }
    if let (Some(path), Some(target)) = (&place.host_path, super::engine::process()) {
        ways.push(Way { target, path: path.clone() });
    }
    Ok(ways)
}

/// The ways of an undo. An interposer that lies over the data in the container may hold up or refuse
/// whoever comes by way of it, us too: where there is another way, that is the first.
pub(super) fn undo_ways(place: &Place) -> HostResult<Vec<Way>> {
    let mut ways = ways(place)?;
    if ways.len() > 1 && is_interposed(&ways[0]) {
        ways.reverse();
    }
    Ok(ways)
}

fn is_interposed(way: &Way) -> bool {
    let covering = inside(way.target, &way.path, |here| {
        let table = here.mounts.read()?;
        Ok(table.covering(here.path).is_some_and(|mount| mount.fs_type == fuse::FS_TYPE))
    });
    covering.unwrap_or(false)
}

/// Which file system a resolved path is on.
pub(super) fn dev_of(path: &Path) -> HostResult<Dev> {
    let stat = rustix::fs::stat(path).map_err(|errno| HostError::sys("stat", path, errno))?;
    let dev = device::of(path, stat.st_dev);
    Ok(Dev { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev) })
}
