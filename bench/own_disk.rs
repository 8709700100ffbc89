//! A disk of ours, and a plain loop device, each with an ext4 that is mounted in nobody's tree.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use keelhaul::{
    host::{
        fuse,
        loop_device::{self, AttachOptions, Attached},
    },
    interpose::{
        control::{self, Answer, Ask},
        disk::{Setup, past_marks},
        serve::{Orders, READY, Serve},
    },
};

use crate::{Bench, scenario::KEELHAUL};

/// Bytes of the filesystem.
const SIZE: u64 = 256 << 20;
const ANSWER: Duration = Duration::from_secs(10);

fn nodes() -> &'static Path {
    Path::new("/dev")
}

/// Makes an ext4 in a file as a volume of a run is made.
fn mkfs(image: &Path) -> anyhow::Result<()> {
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
    anyhow::ensure!(mkfs.arg(image).status().context("mkfs.ext4")?.success(), "mkfs.ext4 failed");
    Ok(())
}

/// A filesystem on a device, until it is dropped.
pub(crate) struct Mounted(OwnedFd);

impl Mounted {
    fn of(node: &Path) -> anyhow::Result<Self> {
        Ok(Self(fuse::mount_device("ext4", node, &[])?))
    }

    /// Where others find it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

/// A disk of ours, in a process of its own.
pub(crate) struct Ours {
    pub(crate) mounted: Mounted,
    socket: PathBuf,
    mark: String,
    child: Child,
}

impl Ours {
    pub(crate) fn start(bench: &Bench, name: &str) -> anyhow::Result<Self> {
        let directory = bench.scratch.join(name);
        std::fs::create_dir_all(&directory)?;
        let image = directory.join("image");
        File::create(&image)?.set_len(SIZE)?;
        mkfs(&image)?;
        let mark = format!("keelhaul-bench-{}-{name}", std::process::id());
        let setup = Setup { image, nodes: nodes().to_owned(), mark: mark.clone() };
        let socket = directory.join("socket");
        let serve = Serve::Disk { setup };
        let orders = Orders { serve, socket: socket.clone(), ends_with: None };
        let mut command = Command::new(KEELHAUL);
        command.args(["helper-interposer", &mark]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = serde_json::to_string(&orders)?;
        writeln!(child.stdin.take().context("no way to tell it")?, "{orders}")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it cannot be heard")?).read_line(&mut line)?;
        let node = line.strip_prefix(READY).with_context(|| format!("no disk: {line}"))?;
        let mounted = Mounted::of(Path::new(node.trim()))?;
        Ok(Self { mounted, socket, mark, child })
    }

    /// Remembers from now on what happens, with so much of it in memory.
    pub(crate) fn record(&self, most: u64) -> anyhow::Result<()> {
        let answer = control::ask(&self.socket, &Ask::Record { most }, ANSWER)?;
        anyhow::ensure!(answer == Answer::Done, "it does not record: {answer:?}");
        Ok(())
    }

    /// Of the process that serves it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        for mark in past_marks(&self.mark).chain([self.mark.clone()]) {
            for device in loop_device::find_marked(nodes(), &mark).unwrap_or_default() {
                let _ = loop_device::detach(nodes(), device.backing);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loop device on a file.
pub(crate) struct Plain {
    pub(crate) mounted: Mounted,
    attached: Attached,
    _file: File,
}

impl Plain {
    pub(crate) fn on(file: File) -> anyhow::Result<Self> {
        file.set_len(SIZE)?;
        let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
        mkfs(&path)?;
        let options =
            AttachOptions { block_size: Some(4096), direct_io: true, ..AttachOptions::default() };
        let attached = loop_device::attach(nodes(), &path, options)?;
        match Mounted::of(&attached.node) {
            Ok(mounted) => Ok(Self { mounted, attached, _file: file }),
            Err(error) => {
                loop_device::detach(nodes(), attached.backing)?;
                Err(error)
            }
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = loop_device::detach(nodes(), self.attached.backing);
    }
}
