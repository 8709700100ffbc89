//! FUSE as the kernel has it: a mount in nobody's tree, its connection, and the end of it.
//!
//! A mount made here is attached nowhere: without [`attach`] it vanishes with its descriptor. The
//! connection's number is the minor device number of the mount (linux/fs/fuse/control.c), so who
//! finds the mount can abort it, also when the server hangs: every waiting call then fails.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, unmount,
};

use super::error::{Context, HostError, HostResult};
use super::mountinfo::Reader;

/// The type that such a mount has in mountinfo.
pub const FS_TYPE: &str = "fuse.keelhaul";

/// The kernel's filesystem of connections (Documentation/filesystems/fuse/fuse.rst).
const CONTROL: &str = "fusectl";

/// Opens the FUSE device.
///
/// # Errors
/// When there is none, or it may not be opened.
pub fn device(node: &Path) -> HostResult<OwnedFd> {
    open(node, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).op("open", node)
}

/// A new connection on the device, as a mount in nobody's tree. The kernel checks permissions by
/// the attributes it is given, for every user alike. `root_mode` is the type of its root; `options`
/// are those of a mount, others are left out.
///
/// # Errors
/// The failed call.
pub fn mount(
    device: &OwnedFd,
    source: &str,
    root_mode: u32,
    options: &[String],
) -> HostResult<OwnedFd> {
    let here = Path::new("fuse");
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC).op("fsopen", here)?;
    let number = device.as_fd().as_raw_fd().to_string();
    let mode = format!("{root_mode:o}");
    let texts = [
        ("source", source),
        ("subtype", "keelhaul"),
        ("fd", &number),
        ("rootmode", &mode),
        ("user_id", "0"),
        ("group_id", "0"),
    ];
    for (key, value) in texts {
        fsconfig_set_string(&context, key, value).op("fsconfig", here)?;
    }
    for flag in ["allow_other", "default_permissions"] {
        fsconfig_set_flag(&context, flag).op("fsconfig", here)?;
    }
    let read_only = options.iter().any(|option| option == "ro");
    let mut attributes = MountAttrFlags::empty();
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, read_only);
    attributes.extend(options.iter().filter_map(|option| attribute(option)));
    detached(&context, here, attributes)
}

/// The filesystem on a device, as a mount in nobody's tree: gone with its last descriptor.
///
/// # Errors
/// The failed call.
pub fn mount_device(fs_type: &str, node: &Path, options: &[String]) -> HostResult<OwnedFd> {
    let context = fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC).op("fsopen", node)?;
    fsconfig_set_string(&context, "source", node).op("fsconfig", node)?;
    let mut attributes = MountAttrFlags::empty();
    for option in options {
        match (attribute(option), option.split_once('=')) {
            (Some(flag), _) => attributes |= flag,
            (None, Some((key, value))) => {
                fsconfig_set_string(&context, key, value).op("fsconfig", node)?;
            }
            (None, None) => fsconfig_set_flag(&context, option.as_str()).op("fsconfig", node)?,
        }
    }
    detached(&context, node, attributes)
}

/// Options of a mount, not of its filesystem.
fn attribute(option: &str) -> Option<MountAttrFlags> {
    Some(match option {
        "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
        "nodiratime" => MountAttrFlags::MOUNT_ATTR_NODIRATIME,
        "nodev" => MountAttrFlags::MOUNT_ATTR_NODEV,
        "noexec" => MountAttrFlags::MOUNT_ATTR_NOEXEC,
        "nosuid" => MountAttrFlags::MOUNT_ATTR_NOSUID,
        "strictatime" => MountAttrFlags::MOUNT_ATTR_STRICTATIME,
        // what a mount is without the others; an engine takes each of them (moby/sys, `mount/flags_unix.go`)
        "relatime" | "norelatime" | "nostrictatime" | "atime" | "diratime" | "dev" | "exec"
        | "suid" | "defaults" | "rw" => MountAttrFlags::empty(),
        _ => return None,
    })
}

fn detached(context: &OwnedFd, at: &Path, attributes: MountAttrFlags) -> HostResult<OwnedFd> {
    fsconfig_create(context).op("mount", at)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).op("fsmount", at)
}

/// Attaches a mount to a directory of the calling thread's namespace.
///
/// # Errors
/// The failed call.
pub fn attach(mount: &OwnedFd, at: &Path) -> HostResult<()> {
    move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).op("move_mount", at)
}

/// Numbers of our connections at exactly this path, top first.
///
/// # Errors
/// When the mount table cannot be read.
pub fn connections(mounts: &Reader, at: &Path, source: &str) -> HostResult<Vec<u32>> {
    let table = mounts.read()?;
    let stack = table.at(at);
    let ours = stack.iter().filter(|mount| mount.fs_type == FS_TYPE && mount.source == source);
    Ok(ours.rev().map(|mount| mount.dev.1).collect())
}

/// Detaches the top mount at a path, whoever still uses it.
///
/// # Errors
/// The failed call.
pub fn detach(at: &Path) -> HostResult<()> {
    unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).op("umount2", at)
}

/// Aborts a connection: whoever waits for its server gets an error. One that is gone is fine.
///
/// # Errors
/// When the kernel's control files cannot be reached.
pub fn abort(connection: u32) -> HostResult<()> {
    match Grip::of(connection) {
        Ok(grip) => grip.abort(),
        Err(error) if error.is(libc::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A connection that is held on to: another one that has its number later is not taken for it, as the
/// kernel takes a connection that ends from its control files (linux/fs/fuse/control.c). What is needed
/// later is open from the beginning.
#[derive(Debug)]
pub struct Grip {
    directory: OwnedFd,
    abort: OwnedFd,
}

impl Grip {
    /// Takes hold of one.
    ///
    /// # Errors
    /// When the kernel's control files cannot be reached; `ENOENT` where there is no such connection.
    pub fn of(connection: u32) -> HostResult<Self> {
        let here = Path::new(CONTROL);
        let context = fsopen(CONTROL, FsOpenFlags::FSOPEN_CLOEXEC).op("fsopen", here)?;
        let control = detached(&context, here, MountAttrFlags::empty())?;
        let (name, path) = (connection.to_string(), OFlags::PATH | OFlags::DIRECTORY);
        let directory = openat(&control, name.as_str(), path | OFlags::CLOEXEC, Mode::empty());
        let directory = directory.op("open", here)?;
        let abort = control_file(&directory, "abort", OFlags::WRONLY)?;
        Ok(Self { directory, abort })
    }

    /// Aborts it, as [`abort`] does.
    ///
    /// # Errors
    /// The failed call.
    pub fn abort(&self) -> HostResult<()> {
        rustix::io::write(&self.abort, b"1").op("abort", Path::new(CONTROL)).map(drop)
    }

    /// How many requests wait for an answer.
    ///
    /// # Errors
    /// The failed call, or that no number is told, as when it has ended.
    pub fn waiting(&self) -> HostResult<u64> {
        // an open file of it tells one number, once, and cannot be wound back
        let file = control_file(&self.directory, "waiting", OFlags::RDONLY)?;
        let mut told = [0; 32];
        let bytes = rustix::io::read(&file, &mut told[..]).op("read", Path::new(CONTROL))?;
        let text = String::from_utf8_lossy(&told[..bytes]);
        let number = text.trim().parse();
        number.map_err(|_| HostError::malformed(CONTROL.to_owned(), text.into_owned()))
    }
}

fn control_file(directory: &OwnedFd, name: &str, flags: OFlags) -> HostResult<OwnedFd> {
    openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty()).op("open", Path::new(CONTROL))
}
