//! Work inside another process's mount or network namespace, on a throw-away thread.
//!
//! A thread that has changed namespace is never reused: it runs one closure and ends. The closure
//! must open no `/proc` file: in the target's tree `/proc` belongs to another pid namespace, where
//! `/proc/self` dangles. Open such files before entering and move them in.
//! Programs are started by way of `in_all_ns` and `in_copied_ns` alone.
//!
//! Measured (kernel 6.18, Docker 20.10): `setns` to a mount namespace is `EINVAL` while the
//! thread shares its `fs_struct`, hence `unshare(CLONE_FS)` first. It needs `CAP_SYS_ADMIN` and
//! `CAP_SYS_CHROOT`. `setns` puts the thread's root on the topmost mount at the root of the
//! namespace, which after runc's `pivot_root` is the container's root file system; a process that
//! has called `chroot` since sees another root. So the thread also moves its root to
//! `/proc/<pid>/root`, and a path means what it means to the target.
//! Seen from a helper container with `--pid=host` and no other namespace of the host, a container's
//! volume, covered and uncovered, is exactly what the target sees.
#![expect(unsafe_code, reason = "unshare is unsafe in rustix")]

use std::any::Any;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{chroot, fchdir};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// Runs `work` as if in the target's place: its mount namespace and its root directory.
///
/// Blocks until `work` returns. Both `/proc` files are opened first and the identity is compared
/// after that, so a recycled pid cannot be entered.
///
/// # Errors
/// [`HostError::Gone`] when the target has ended, [`HostError::Panicked`] when `work` panics, or
/// the failed call.
pub fn in_mount_ns<R: Send>(target: Identity, work: impl FnOnce() -> R + Send) -> HostResult<R> {
    let flags = OFlags::CLOEXEC | OFlags::RDONLY;
    let namespace = open_proc(target, "ns/mnt", flags)?;
    let root = open_proc(target, "root", flags | OFlags::PATH | OFlags::DIRECTORY)?;
    target.check()?;
    on_fresh_thread(|| {
        // SAFETY: only FILES would be unsafe; FS concerns this fresh thread's root and cwd alone.
        unsafe { unshare_unsafe(UnshareFlags::FS) }.op("unshare", "fs")?;
        let path = target.proc_path("ns/mnt");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
            .op("setns", path)?;
        let path = target.proc_path("root");
        fchdir(&root).op("fchdir", &path)?;
        chroot(".").op("chroot", &path)?;
        Ok(work())
    })
}

/// Runs `work` in the target's network namespace: sockets opened there keep belonging to it.
///
/// # Errors
/// As [`in_mount_ns`].
pub fn in_net_ns<R: Send>(target: Identity, work: impl FnOnce() -> R + Send) -> HostResult<R> {
    let namespace = open_proc(target, "ns/net", OFlags::CLOEXEC | OFlags::RDONLY)?;
    target.check()?;
    on_fresh_thread(|| {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .op("setns", target.proc_path("ns/net"))?;
        Ok(work())
    })
}

/// Runs `work` in the target's place for whoever looks around there: its mount, network, IPC and
/// UTS namespaces and its root directory; a process that `work` starts is in its pid namespace too.
/// The user namespace stays ours.
///
/// # Errors
/// As [`in_mount_ns`].
pub fn in_all_ns<R: Send>(target: Identity, work: impl FnOnce() -> R + Send) -> HostResult<R> {
    let kinds: Vec<Kind> = [PIDS].into_iter().chain(SURROUNDINGS).collect();
    enter(target, &kinds, || Ok(work()))
}

/// The same, with a copy of the mounts that nobody else sees: what is mounted there is gone with
/// the thread and whatever it has started. The first process that `work` starts is the first of a
/// pid namespace of its own, which the target does not see: what it leaves behind ends with it, and
/// is nobody else's child.
///
/// # Errors
/// As [`in_mount_ns`], and of the target whose root is no mount.
pub fn in_copied_ns<R: Send>(target: Identity, work: impl FnOnce() -> R + Send) -> HostResult<R> {
    enter(target, &SURROUNDINGS, || {
        let own = UnshareFlags::NEWNS | UnshareFlags::NEWPID;
        // SAFETY: only FILES would be unsafe; the namespaces concern this thread and its children.
        unsafe { unshare_unsafe(own) }.op("unshare", "mounts and pids")?;
        // or what is mounted here would show up wherever the target shares its mounts with
        let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", alone).op("make private", "/")?;
        Ok(work())
    })
}

/// Runs `work` with a copy of our own mounts that nobody else sees: what is mounted there is gone with
/// the thread.
///
/// # Errors
/// The failed call, what `work` fails of, or [`HostError::Panicked`] when it panics.
pub fn in_own_copy<R: Send>(work: impl FnOnce() -> HostResult<R> + Send) -> HostResult<R> {
    on_fresh_thread(|| {
        // SAFETY: only FILES would be unsafe; the namespace concerns this fresh thread alone.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.op("unshare", "mounts")?;
        let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", alone).op("make private", "/")?;
        work()
    })
}

type Kind = (&'static str, LinkNameSpaceType);

/// What whoever looks around sees of the target's namespaces.
const SURROUNDINGS: [Kind; 4] = [
    ("ns/net", LinkNameSpaceType::Network),
    ("ns/ipc", LinkNameSpaceType::InterProcessCommunication),
    ("ns/uts", LinkNameSpaceType::HostNameAndNISDomainName),
    // last: what is opened after it is opened in the target's tree
    ("ns/mnt", LinkNameSpaceType::Mount),
];
/// For the children of whoever enters it.
const PIDS: Kind = ("ns/pid", LinkNameSpaceType::ProcessID);

fn enter<R: Send>(
    target: Identity,
    kinds: &[Kind],
    work: impl FnOnce() -> HostResult<R> + Send,
) -> HostResult<R> {
    let flags = OFlags::CLOEXEC | OFlags::RDONLY;
    let mut opened = Vec::with_capacity(kinds.len());
    for (name, kind) in kinds.iter().copied() {
        opened.push((name, kind, open_proc(target, name, flags)?));
    }
    let root = open_proc(target, "root", flags | OFlags::PATH | OFlags::DIRECTORY)?;
    target.check()?;
    on_fresh_thread(move || {
        // SAFETY: only FILES would be unsafe; FS concerns this fresh thread's root and cwd alone.
        unsafe { unshare_unsafe(UnshareFlags::FS) }.op("unshare", "fs")?;
        for (name, kind, namespace) in &opened {
            let path = target.proc_path(name);
            move_into_link_name_space(namespace.as_fd(), Some(*kind)).op("setns", path)?;
        }
        let path = target.proc_path("root");
        fchdir(&root).op("fchdir", &path)?;
        chroot(".").op("chroot", &path)?;
        // the namespaces are entered: holding them open would only keep them alive
        drop((opened, root));
        work()
    })
}

/// Runs `work` in a new network namespace, which vanishes afterwards: its sysfs is one of its own.
pub(super) fn in_new_net_ns<R: Send>(work: impl FnOnce() -> HostResult<R> + Send) -> HostResult<R> {
    on_fresh_thread(|| {
        // SAFETY: only FILES would be unsafe; the network namespace concerns this thread alone.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.op("unshare", "net")?;
        work()
    })
}

fn open_proc(target: Identity, name: &str, flags: OFlags) -> HostResult<OwnedFd> {
    let path = target.proc_path(name);
    match open(&path, flags, Mode::empty()) {
        // the links of a zombie cannot be followed
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => {
            Err(HostError::Gone { pid: target.pid })
        }
        other => other.op("open", path),
    }
}

fn on_fresh_thread<R: Send>(work: impl FnOnce() -> HostResult<R> + Send) -> HostResult<R> {
    std::thread::scope(|scope| {
        let guarded = || catch_unwind(AssertUnwindSafe(work));
        let builder = std::thread::Builder::new().name("namespace".to_owned());
        let thread = builder.spawn_scoped(scope, guarded).op("clone", "thread")?;
        match thread.join() {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) | Err(panic) => Err(HostError::Panicked(panic_text(panic.as_ref()))),
        }
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::host::testing::{Target, root_or_skip};

    #[test]
    fn paths_mean_what_they_mean_to_the_target() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("mount -t tmpfs tmpfs /mnt && echo there > /mnt/file");
        let text = in_mount_ns(target.identity(), || fs::read_to_string("/mnt/file"));
        assert_eq!(text.unwrap().unwrap(), "there\n");
        assert!(fs::read_to_string("/mnt/file").is_err());
    }

    #[test]
    fn a_chrooted_target_is_seen_from_its_own_root() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start_in_chroot("/usr");
        let root = in_mount_ns(target.identity(), || fs::metadata("/").unwrap().ino()).unwrap();
        assert_eq!(root, fs::metadata("/usr").unwrap().ino());
        assert_ne!(root, fs::metadata("/").unwrap().ino());
    }

    #[test]
    fn the_network_namespace_is_the_targets() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("true");
        let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let there = in_net_ns(target.identity(), || fs::read_link("/proc/thread-self/ns/net"));
        assert_ne!(there.unwrap().unwrap(), here);
        assert_eq!(fs::read_link("/proc/thread-self/ns/net").unwrap(), here);
    }

    #[test]
    fn all_namespaces_are_the_targets_and_so_are_those_of_children() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("mount -t tmpfs tmpfs /mnt && echo there > /mnt/file");
        let net = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        let wanted = net(&target.identity().pid.to_string());
        let (text, found) = in_all_ns(target.identity(), || {
            let text = fs::read_to_string("/mnt/file");
            (text, fs::read_link("/proc/thread-self/ns/net"))
        })
        .unwrap();
        assert_eq!(text.unwrap(), "there\n");
        assert_eq!(found.unwrap(), wanted);
        assert_ne!(wanted, net("thread-self"));
    }

    #[test]
    fn what_is_mounted_in_a_copy_is_seen_by_children_and_by_nobody_else() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("mount -t tmpfs tmpfs /mnt && echo there > /mnt/file");
        // a pid namespace ends with its first process: there is no second
        let cat = || std::process::Command::new("cat").arg("/mnt/file").output().unwrap().stdout;
        let seen = in_copied_ns(target.identity(), || {
            let before = fs::read("/mnt/file").unwrap();
            rustix::mount::mount(
                "tmpfs",
                "/mnt",
                "tmpfs",
                rustix::mount::MountFlags::empty(),
                None,
            )
            .unwrap();
            (before, cat())
        });
        assert_eq!(seen.unwrap(), (b"there\n".to_vec(), Vec::new()));
        let text = in_mount_ns(target.identity(), || fs::read_to_string("/mnt/file"));
        assert_eq!(text.unwrap().unwrap(), "there\n");
    }

    #[test]
    fn a_stale_identity_is_refused_and_a_panic_becomes_an_error() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("true");
        let who = target.identity();
        let stale = Identity { start_time: who.start_time + 1, ..who };
        assert_eq!(in_mount_ns(stale, || ()), Err(HostError::Gone { pid: who.pid }));
        assert_eq!(in_net_ns(stale, || ()), Err(HostError::Gone { pid: who.pid }));
        let result = in_mount_ns(who, || panic!("boom"));
        assert_eq!(result, Err::<(), _>(HostError::Panicked("boom".to_owned())));
    }
}
