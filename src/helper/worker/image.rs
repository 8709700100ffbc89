//! Ops on the run's own directory: bind directories, filesystem images, loop devices.
//!
//! Every name is one component below the run's directory; nothing outside it is touched.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use base64::Engine as _;

use super::{
    super::HelperError,
    context::{Context, Done},
    engine,
};
use crate::{
    host::{
        error::{HostError, HostResult},
        image::{self, Extent},
        loop_device::{self, AttachOptions, Backing},
        selinux,
    },
    protocol::{LoopFacts, Mounted, Outcome},
    runtime::HOST_DEVICES,
};

/// Directory of bind mounts below the run's directory.
pub(in crate::helper) const BINDS: &str = "binds";
/// Directory of images below the run's directory.
pub(in crate::helper) const IMAGES: &str = "images";
/// Directory below the run's directory in which it says of an image how it is mounted.
const MOUNTED: &str = "mounted";

/// A device lets go of its image within this time after its last user.
const RELEASE_DEADLINE: Duration = Duration::from_secs(5);
const RELEASE_POLL: Duration = Duration::from_millis(20);

/// A path below the run's directory, for a name that is one plain component.
pub(super) fn own(dir: &Path, kind: &str, name: &str) -> Result<PathBuf, HelperError> {
    let plain = !name.is_empty()
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if plain {
        return Ok(dir.join(kind).join(name));
    }
    Err(HelperError::Refused(format!("`{name}` cannot name a file of the run")))
}

/// The path of an image.
pub(super) fn path(cx: &Context, name: &str) -> Result<PathBuf, HelperError> {
    own(&cx.dir, IMAGES, name)
}

fn sys<T>(act: &'static str, path: &Path, result: io::Result<T>) -> HostResult<T> {
    result.map_err(|error| HostError::sys(act, path, error))
}

/// Makes a directory for a bind mount.
pub(super) fn create_bind(
    cx: &Context,
    name: &str,
    mode: u32,
    (uid, gid): (u32, u32),
    label: Option<&str>,
) -> Done {
    let path = own(&cx.dir, BINDS, name)?;
    sys("mkdir", &path, fs::DirBuilder::new().mode(0o700).create(&path))?;
    sys("chown", &path, std::os::unix::fs::chown(&path, Some(uid), Some(gid)))?;
    // after the owner, and not through mkdir: the umask would take bits away
    sys("chmod", &path, fs::set_permissions(&path, fs::Permissions::from_mode(mode)))?;
    if let Some(label) = label {
        selinux::give_label(&path, label)?;
    }
    Ok(Outcome::Directory { host_path: format!("{}/{BINDS}/{name}", cx.host_dir) })
}

/// Puts items into such a directory.
pub(super) fn seed_bind(cx: &Context, name: &str, items: u32, size: u64) -> Done {
    let path = own(&cx.dir, BINDS, name)?;
    let size = usize::try_from(size).map_err(|_| HelperError::Refused("too large".into()))?;
    let content = vec![b'.'; size];
    for item in 0..items {
        let item = path.join(format!("item-{item:05}"));
        sys("mkdir", &item, fs::create_dir(&item))?;
        let data = item.join("data");
        sys("write", &data, fs::write(&data, &content))?;
    }
    Ok(Outcome::Done)
}

/// Removes such a directory with all that is in it.
pub(super) fn remove_bind(cx: &Context, name: &str) -> Done {
    let path = own(&cx.dir, BINDS, name)?;
    match fs::remove_dir_all(&path) {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outcome::Already),
        Err(error) => Err(HostError::sys("remove", path, error).into()),
    }
}

/// Makes a sparse image.
pub(super) fn create(cx: &Context, name: &str, size: u64, mounted: Option<&Mounted>) -> Done {
    if let Some(mounted) = mounted {
        let path = own(&cx.dir, MOUNTED, name)?;
        sys("mkdir", &path, fs::create_dir_all(cx.dir.join(MOUNTED)))?;
        sys("write", &path, fs::write(&path, serde_json::to_vec(mounted).unwrap_or_default()))?;
    }
    image::create(&own(&cx.dir, IMAGES, name)?, size)?;
    Ok(Outcome::Done)
}

/// How an engine mounts an image of the run. Whoever mounts it beside an engine does the same: both get
/// one superblock, with the options of who came first.
pub(super) fn mounted(cx: &Context, name: &str) -> Result<Mounted, HelperError> {
    let path = own(&cx.dir, MOUNTED, name)?;
    let text = sys("read", &path, fs::read(&path))?;
    let unread =
        |error: serde_json::Error| HelperError::Refused(format!("`{}`: {error}", path.display()));
    serde_json::from_slice(&text).map_err(unread)
}

/// Writes bytes into an image.
pub(super) fn write(cx: &Context, name: &str, extents: &[(u64, String)]) -> Done {
    let decode = |(offset, text): &(u64, String)| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        bytes.map(|bytes| Extent { offset: *offset, bytes })
    };
    let extents: Result<Vec<Extent>, _> = extents.iter().map(decode).collect();
    let extents =
        extents.map_err(|error| HelperError::Refused(format!("the bytes of an image: {error}")))?;
    image::write_extents(&own(&cx.dir, IMAGES, name)?, &extents)?;
    Ok(Outcome::Done)
}

/// Attaches an image to a free loop device.
pub(super) fn attach(cx: &Context, name: &str) -> Done {
    let path = own(&cx.dir, IMAGES, name)?;
    let attached = loop_device::attach(&nodes(), &path, AttachOptions::default())?;
    Ok(Outcome::Loop { device: format!("/dev/loop{}", attached.number) })
}

/// Detaches every loop device of an image.
pub(super) fn detach(cx: &Context, name: &str) -> Done {
    let path = own(&cx.dir, IMAGES, name)?;
    let backing = match Backing::of(&path) {
        Ok(backing) => backing,
        Err(error) if error.is(libc::ENOENT) => return Ok(Outcome::Already),
        Err(error) => return Err(error.into()),
    };
    match loop_device::detach(&nodes(), backing)? {
        0 => Ok(Outcome::Already),
        _ => Ok(Outcome::Done),
    }
}

/// Removes an image that is attached no more: by its inode alone a device is found again.
pub(super) fn remove(cx: &Context, name: &str) -> Done {
    let removed = remove_unattached(&nodes(), &own(&cx.dir, IMAGES, name)?, name)?;
    // there is none where nobody mounts it
    let _ = fs::remove_file(own(&cx.dir, MOUNTED, name)?);
    Ok(removed)
}

fn remove_unattached(nodes: &Path, path: &Path, name: &str) -> Done {
    let backing = match Backing::of(path) {
        Ok(backing) => backing,
        Err(error) if error.is(libc::ENOENT) => return Ok(Outcome::Already),
        Err(error) => return Err(error.into()),
    };
    if let Some(node) = still_attached(nodes, backing)? {
        let node = node.display();
        return Err(HelperError::Refused(format!("`{name}` is still in use through `{node}`")));
    }
    sys("unlink", path, fs::remove_file(path))?;
    Ok(Outcome::Done)
}

/// A device that does not let go of its image in time.
///
/// The engine unmounts lazily, and a container that starts at this moment holds a copy of every
/// mount until it has turned its root: the kernel detaches when the last of them is gone.
fn still_attached(nodes: &Path, backing: Backing) -> HostResult<Option<PathBuf>> {
    let deadline = Instant::now() + RELEASE_DEADLINE;
    loop {
        let Some(device) = loop_device::find(nodes, backing)?.into_iter().next() else {
            return Ok(None);
        };
        if Instant::now() >= deadline {
            return Ok(Some(device.node));
        }
        thread::sleep(RELEASE_POLL);
    }
}

/// The loop devices of this run.
pub(super) fn loops(dir: &Path) -> HostResult<Vec<LoopFacts>> {
    let images = dir.join(IMAGES);
    let names = sys("readdir", &images, fs::read_dir(&images))?;
    let mut found = Vec::new();
    for path in names.filter_map(|entry| Some(entry.ok()?.path())) {
        for device in loop_device::find(&nodes(), Backing::of(&path)?)? {
            found.push(LoopFacts {
                device: format!("/dev/loop{}", device.number),
                backing_file: path.display().to_string(),
            });
        }
    }
    Ok(found)
}

/// Where the device nodes are. A container's `/dev` has none, and gets none when the kernel makes
/// another device: the host's does.
pub(super) fn nodes() -> PathBuf {
    let engines = engine::process().map(|engine| engine.proc_path("root/dev"));
    let places = [Some(PathBuf::from(HOST_DEVICES)), engines];
    let mut found = places.into_iter().flatten();
    found.find(|dev| dev.join("loop-control").exists()).unwrap_or_else(|| PathBuf::from("/dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_stays_while_nobody_can_tell_whether_it_is_attached() {
        let dir = tempfile::tempdir().unwrap();
        let (nodes, image) = (dir.path().join("dev"), dir.path().join("image"));
        fs::write(&image, "").unwrap();
        assert!(remove_unattached(&nodes, &image, "i").is_err());
        assert!(image.exists(), "without it no device is found again");
        fs::create_dir(&nodes).unwrap();
        assert_eq!(remove_unattached(&nodes, &image, "i"), Ok(Outcome::Done));
        assert_eq!(remove_unattached(&nodes, &image, "i"), Ok(Outcome::Already));
    }
}
