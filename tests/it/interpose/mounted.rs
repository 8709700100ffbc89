//! An interposer over a directory of an ext4 of its own, until it is dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use keelhaul::{
    interpose::{
        Beneath, Setup, TraceTo,
        control::{self, Answer, Ask},
        serve::{Orders, READY, Serve},
    },
    protocol::{Caller, Durability, IoAction, IoOp, IoRule, RuleFacts, Trigger},
};

/// An ext4 on a loop device, in a directory.
pub(super) struct Ext4 {
    dir: tempfile::TempDir,
}

/// Whether interposers can be tried here; says so where not.
pub(crate) fn can_be_tried() -> bool {
    let root = rustix::process::geteuid().is_root();
    let can = root && Path::new("/dev/fuse").exists() && Path::new("/dev/loop-control").exists();
    if !can {
        let _ = writeln!(std::io::stderr(), "skipped: needs root, FUSE and loop devices");
    }
    can
}

/// What it says.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {told}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An image in this directory with an ext4 that has room for so many small files.
fn image(dir: &Path, files: u64) -> String {
    let image = dir.join("image").to_str().unwrap().to_owned();
    fs::File::create(&image).unwrap().set_len((128 << 20) + files * 512).unwrap();
    let inodes = (files + 30_000).to_string();
    run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-N", &inodes, &image]);
    image
}

impl Ext4 {
    pub(super) fn new() -> Self {
        Self::with_room_for(10_000)
    }

    /// Of so many small files.
    pub(super) fn with_room_for(files: u64) -> Self {
        let dir = tempfile::Builder::new().prefix("kh-ext4").tempdir().unwrap();
        let (image, at) = (image(dir.path(), files), dir.path().join("fs"));
        fs::create_dir(&at).unwrap();
        run("mount", &["-o", "loop", &image, at.to_str().unwrap()]);
        Self { dir }
    }

    /// A new directory on it.
    pub(super) fn directory(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("fs").join(name);
        fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let at = self.dir.path().join("fs");
        let _ = Command::new("umount").args(["-l", at.to_str().unwrap()]).status();
    }
}

/// An interposer, mounted in this namespace.
pub(super) struct Mounted {
    dir: tempfile::TempDir,
    pub(super) child: Child,
}

/// Name of the file of a trace.
const TRACE: &str = "trace";

/// Names that begin with this are its own.
pub(super) const MARK: &str = ".kh-trial";

impl Mounted {
    /// Over a directory, with rules that may come.
    pub(super) fn over(beneath: &Path, expected: Vec<IoRule>) -> Self {
        Self::start(beneath, (expected, None), "unlimited")
    }

    /// Over an ext4 that nobody else has: the kernel remembers what it was told. With rules that may come.
    pub(super) fn alone(expected: Vec<IoRule>) -> Self {
        let dir = tempfile::Builder::new().prefix("kh-ext4").tempdir().unwrap();
        let device = run("losetup", &["-f", "--show", &image(dir.path(), 10_000)]);
        let (node, fs_type, options) = ((&device).into(), "ext4".to_owned(), Vec::new());
        let beneath = Beneath::Device { node, fs_type, options };
        let mounted = Self::serving(beneath, (expected, Durability::default(), None), "unlimited");
        // the kernel detaches it with its last user
        run("losetup", &["-d", &device]);
        mounted
    }

    /// Over a directory, with no rule that may come and a trace of so many bytes.
    pub(super) fn traced(beneath: &Path, most: u64) -> Self {
        Self::start(beneath, (Vec::new(), Some(most)), "unlimited")
    }

    /// With rules that may come, in a process that may have so many descriptors.
    pub(super) fn with_descriptors(beneath: &Path, expected: Vec<IoRule>, most: &str) -> Self {
        Self::start(beneath, (expected, None), most)
    }

    /// One that remembers what is not durable, and promises no more than this filesystem does.
    pub(super) fn remembering(beneath: &Path, durability: Durability) -> Self {
        Self::expecting(beneath, vec![rule(&[], IoAction::Remember)], durability)
    }

    /// Likewise, with rules that may come.
    pub(super) fn expecting(beneath: &Path, expected: Vec<IoRule>, durability: Durability) -> Self {
        let beneath = Beneath::Directory(beneath.to_owned());
        Self::serving(beneath, (expected, durability, None), "unlimited")
    }

    fn start(beneath: &Path, (expected, traced): (Vec<IoRule>, Option<u64>), most: &str) -> Self {
        let beneath = Beneath::Directory(beneath.to_owned());
        Self::serving(beneath, (expected, Durability::default(), traced), most)
    }

    fn serving(
        beneath: Beneath,
        (expected, durability, traced): (Vec<IoRule>, Durability, Option<u64>),
        descriptors: &str,
    ) -> Self {
        let dir = tempfile::Builder::new().prefix("kh-fuse").tempdir().unwrap();
        let at = dir.path().join("at");
        fs::create_dir(&at).unwrap();
        let setup = Setup {
            beneath,
            device: "/dev/fuse".into(),
            source: "keelhaul-test".into(),
            mark: MARK.into(),
            options: Vec::new(),
            expected,
            durability,
            trace: traced.map(|most| TraceTo { file: dir.path().join(TRACE), most }),
        };
        let serve = Serve::Files { setup: Box::new(setup), at, within: None };
        let orders = Orders { serve, socket: dir.path().join("socket"), ends_with: None };
        // what may not be raised stays as it is
        let program = "ulimit -n $0 2>/dev/null; exec \"$@\"";
        let mut child = Command::new("sh")
            .args(["-c", program, descriptors, env!("CARGO_BIN_EXE_keelhaul")])
            .args(["helper-interposer", "keelhaul-test"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let text = serde_json::to_string(&orders).unwrap();
        writeln!(child.stdin.take().unwrap(), "{text}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), READY);
        Self { dir, child }
    }

    pub(super) fn at(&self) -> PathBuf {
        self.dir.path().join("at")
    }

    /// The file of its trace.
    pub(super) fn trace(&self) -> PathBuf {
        self.dir.path().join(TRACE)
    }

    pub(super) fn ask(&self, ask: &Ask) -> Answer {
        let socket = self.dir.path().join("socket");
        control::ask(&socket, ask, Duration::from_secs(10)).unwrap()
    }

    pub(super) fn arm(&self, rules: Vec<IoRule>) {
        let ask = Ask::Arm { set: "set".into(), seed: 7, rules, again: None };
        assert_eq!(self.ask(&ask), Answer::Done);
    }

    pub(super) fn disarm(&self) {
        assert_eq!(self.ask(&Ask::Disarm { set: "set".into() }), Answer::Done);
        assert_eq!(self.ask(&Ask::Disarm { set: "set".into() }), Answer::Already);
    }

    pub(super) fn facts(&self) -> RuleFacts {
        match self.ask(&Ask::Facts { set: "set".into() }) {
            Answer::Facts(Some(facts)) => facts,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", self.at().to_str().unwrap()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A rule about every file.
pub(crate) fn rule(ops: &[IoOp], action: IoAction) -> IoRule {
    IoRule {
        paths: vec!["**".into()],
        ops: ops.to_vec(),
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when: Trigger::default(),
        action,
    }
}
