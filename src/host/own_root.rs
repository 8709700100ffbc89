//! A root directory of one's own over somebody else's: their programs, and nothing written to them.
//!
//! For a process in a mount namespace of its own, entered for good. An overlay lies over the lower
//! root, and what is written stays in memory. An overlay never shows what is mounted below its lower
//! directory, so no mount of the host is held by it.
//!
//! Measured (kernel 6.18, Docker 20.10): the mounts of control groups in an unprivileged container
//! are read-only, and a bind remount makes them writable again for `CAP_SYS_ADMIN`. With a private
//! cgroup namespace all that is made there lies below the container's own groups, which the engine
//! removes with it.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_move, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::error::{Context, HostError, HostResult};
use super::mountinfo::Reader;

/// Where the control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Where the new root is put together.
const SCRATCH: &str = "/run/root";
/// Where the old root is kept, without what was mounted below it.
pub const OLD_ROOT: &str = "/run/old-root";

/// Makes `lower` the root, writable, and takes the mount at `data` along. The old root is at
/// [`OLD_ROOT`] afterwards.
///
/// # Errors
/// The failed call. The process is of no use then.
pub fn enter(lower: &Path, data: &Path) -> HostResult<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).op("mount", "/")?;
    let scratch = Path::new(SCRATCH);
    tmpfs(scratch)?;
    let [root, upper, work] = ["root", "upper", "work"].map(|name| scratch.join(name));
    for directory in [&root, &upper, &work] {
        make(directory)?;
    }
    let dirs = [("lowerdir", lower), ("upperdir", &upper), ("workdir", &work)];
    let options = dirs.map(|(name, path)| format!("{name}={}", path.display())).join(",");
    mount_fs("overlay", &root, &options)?;
    furnish(&root)?;
    let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    make(&below(data))?;
    mount_move(data, below(data)).op("move_mount", data)?;
    let old = below(Path::new(OLD_ROOT));
    make(&old)?;
    mount_bind("/", &old).op("mount", &old)?;
    turn(&root)
}

/// What programs expect of any root.
fn furnish(root: &Path) -> HostResult<()> {
    mount_fs("proc", &root.join("proc"), "")?;
    mount_fs("sysfs", &root.join("sys"), "")?;
    for path in ["/dev", CGROUPS] {
        let to = root.join(&path[1..]);
        mount_bind_recursive(path, &to).op("mount", to)?;
    }
    tmpfs(&root.join("run"))?;
    tmpfs(&root.join("tmp"))
}

/// The root becomes the root, and what was it before goes with all its mounts.
fn turn(root: &Path) -> HostResult<()> {
    let left = root.join("run/left");
    make(&left)?;
    chdir(root).op("chdir", root)?;
    pivot_root(".", "run/left").op("pivot_root", root)?;
    chdir("/").op("chdir", "/")?;
    unmount("/run/left", UnmountFlags::DETACH).op("umount", "/run/left")
}

/// Makes the control groups below one's own ones to be had: writable, and on version 2 with every
/// controller handed down.
///
/// # Errors
/// The failed call.
pub fn open_cgroups() -> HostResult<()> {
    for entry in Reader::open_own()?.read()?.0 {
        if entry.mount_point.starts_with(CGROUPS) {
            let point = entry.mount_point;
            mount_remount(&point, MountFlags::BIND, "").op("mount", point)?;
        }
    }
    let root = Path::new(CGROUPS);
    let Ok(controllers) = fs::read_to_string(root.join("cgroup.controllers")) else {
        return Ok(());
    };
    // a group that hands controllers down may have no process of its own (cgroups(7))
    let inner = root.join("keelhaul");
    make(&inner)?;
    write(&inner.join("cgroup.procs"), "0")?;
    for controller in controllers.split_whitespace() {
        write(&root.join("cgroup.subtree_control"), &format!("+{controller}"))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> HostResult<()> {
    fs::write(path, text).op("write", path)
}

fn make(path: &Path) -> HostResult<()> {
    fs::create_dir_all(path).op("mkdir", path)
}

fn tmpfs(path: &Path) -> HostResult<()> {
    make(path)?;
    mount_fs("tmpfs", path, "mode=755")
}

fn mount_fs(fs_type: &str, path: &Path, options: &str) -> HostResult<()> {
    let options = CString::new(options);
    let options = options.map_err(|_| HostError::malformed("mount options", "a NUL"))?;
    mount(fs_type, path, fs_type, MountFlags::empty(), options.as_c_str()).op("mount", path)
}
