//! A disk of ours with a real filesystem on it, by itself.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use keelhaul::{
    host::{fuse, loop_device},
    interpose::{
        control::{self, Answer, Ask},
        disk::{Setup, past_marks},
        serve::{Orders, READY, Serve},
    },
};

/// Whatever is waited for has come by then.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);

/// A disk with an ext4 on it, until it is dropped.
pub(crate) struct Disk {
    dir: tempfile::TempDir,
    pub(super) mark: String,
    pub(crate) node: PathBuf,
    child: Child,
}

impl Disk {
    pub(crate) fn start() -> Self {
        Self::begin_with(Self::empty)
    }

    /// Makes an ext4 with nothing on it.
    pub(crate) fn empty(image: &Path) {
        File::create(image).unwrap().set_len(32 << 20).unwrap();
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F", "-b", "4096"]).arg(image);
        assert!(mkfs.status().unwrap().success());
    }

    /// One that begins with what is put into a file.
    pub(crate) fn begin_with(put: impl FnOnce(&Path)) -> Self {
        Self::begin_as(Command::new(env!("CARGO_BIN_EXE_keelhaul")), put)
    }

    /// One that is served by this program.
    pub(crate) fn begin_as(mut program: Command, put: impl FnOnce(&Path)) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::Builder::new().prefix("kh-disk").tempdir().unwrap();
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let mark = format!("kh-disk-{}-{number}", std::process::id());
        let image = dir.path().join("image");
        put(&image);
        let setup = Setup { image, nodes: "/dev".into(), mark: mark.clone() };
        let socket = dir.path().join("socket");
        let orders = Orders { serve: Serve::Disk { setup }, socket, ends_with: None };
        let mut child = program
            .args(["helper-interposer", &mark])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", serde_json::to_string(&orders).unwrap())
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let node = line.strip_prefix(READY).expect(&line).trim().into();
        Self { dir, mark, node, child }
    }

    /// Of the process that serves it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn ask(&self, ask: &Ask) -> Answer {
        control::ask(&self.dir.path().join("socket"), ask, WITHIN).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for mark in past_marks(&self.mark).chain([self.mark.clone()]) {
            for device in loop_device::find_marked(Path::new("/dev"), &mark).unwrap_or_default() {
                let _ = loop_device::detach(Path::new("/dev"), device.backing);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that another test is just starting holds what we have closed, until it runs.
pub(crate) fn mounted(node: &Path) -> OwnedFd {
    let until = Instant::now() + WITHIN;
    loop {
        match fuse::mount_device("ext4", node, &["ro".to_owned()]) {
            Err(error) if error.is(libc::EBUSY) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(5));
            }
            mount => return mount.unwrap(),
        }
    }
}
