//! Throw-away namespaces, targets and file systems for the tests of this layer.
//!
//! Nothing here outlives its test: mounts vanish with the thread's namespace, processes and loop
//! devices with their guards.
#![expect(unsafe_code, reason = "unshare is unsafe in rustix")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::loop_device::{self, AttachOptions};
use super::process::Identity;

/// Whether the test can do its work; says so if not.
pub(super) fn root_or_skip() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let _ = writeln!(std::io::stderr(), "skipped: needs root");
    }
    root
}

/// Runs a test in a mount namespace of its own with a tmpfs on `/mnt`.
pub(super) fn in_private_mounts(test: impl FnOnce() + Send) {
    if !root_or_skip() {
        return;
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: only FILES would be unsafe; the namespace belongs to this thread alone.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            mount("testing", "/mnt", "tmpfs", MountFlags::empty(), None).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A tmpfs of its own on a new directory, in the test's namespace.
pub(super) fn own_tmpfs(options: &str) -> PathBuf {
    let dir = new_dir();
    let options = std::ffi::CString::new(options).unwrap();
    mount("testing", &dir, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
    dir
}

fn new_dir() -> PathBuf {
    tempfile::tempdir_in("/mnt").unwrap().keep()
}

/// A file system on a loop device over an image in memory, in the test's namespace.
pub(super) struct LoopFs {
    /// Where it is mounted.
    pub(super) dir: PathBuf,
    image: PathBuf,
}

impl LoopFs {
    /// Makes one: `fs` is `ext4` or `xfs`, `mkfs` the options of its mkfs.
    pub(super) fn new(fs: &str, bytes: u64, mkfs: &[&str], mount_options: &str) -> Self {
        let dir = new_dir();
        let image = dir.with_extension("img");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let made = Command::new(format!("mkfs.{fs}")).arg("-q").args(mkfs).arg(&image).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let options = AttachOptions::default();
        let device = loop_device::attach(Path::new("/dev"), &image, options).unwrap();
        let options = std::ffi::CString::new(mount_options).unwrap();
        mount(&device.node, &dir, fs, MountFlags::empty(), options.as_c_str()).unwrap();
        Self { dir, image }
    }

    /// Its device.
    pub(super) fn node(&self) -> PathBuf {
        let backing = loop_device::Backing::of(&self.image).unwrap();
        loop_device::find(Path::new("/dev"), backing).unwrap().remove(0).node
    }

    /// Unmounts it. A process that another test is just starting has, until it runs its program, a
    /// copy of every descriptor of ours, those that were closed since among them: it is waited for.
    pub(super) fn unmount(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match unmount(&self.dir, UnmountFlags::empty()) {
                Err(rustix::io::Errno::BUSY) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                done => return done.unwrap(),
            }
        }
    }

    /// Unmounts it and mounts it anew on the same device.
    pub(super) fn mount_again(&self, fs: &str) {
        self.unmount();
        mount(self.node(), &self.dir, fs, MountFlags::empty(), None).unwrap();
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        let _ = unmount(&self.dir, UnmountFlags::DETACH);
        if let Ok(backing) = loop_device::Backing::of(&self.image) {
            let _ = loop_device::detach(Path::new("/dev"), backing);
        }
    }
}

/// A process in mount, network and pid namespaces of its own.
pub(super) struct Target {
    child: Child,
    pid: u32,
}

impl Target {
    /// Starts one that runs a shell command and then waits to be killed.
    pub(super) fn start(setup: &str) -> Self {
        Self::spawn(&["--mount", "--net", "sh", "-c", &format!("{setup}\n{WAIT}")])
    }

    /// Starts one whose root directory is `root`, which must hold `bin/sh`.
    pub(super) fn start_in_chroot(root: &str) -> Self {
        Self::spawn(&["--mount", &format!("--root={root}"), "/bin/bash", "-c", WAIT])
    }

    fn spawn(arguments: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the target did not start");
        let pid = child.id();
        Self { child, pid }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::of(self.pid).unwrap()
    }
}

/// Ends by itself when the test's end of stdin closes.
const WAIT: &str = "echo ready; read line";

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
