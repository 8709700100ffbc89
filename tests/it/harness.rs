//! `Test`: a directory of its own, scenarios in it, and the built binary run on them.
//!
//! Every run has a deadline, and every run's objects at the engine are looked for at the end: what
//! is left behind fails the test that left it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use keelhaul::run::RunRecord;

/// The binary under test.
pub(crate) const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");
/// How long anything may take; slow machines included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// A place to run the binary in.
pub(crate) struct Test {
    dir: tempfile::TempDir,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its process id: part of the names of the helpers that it started.
    pub(crate) pid: u32,
    /// Its exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary while it runs.
pub(crate) struct Running {
    child: Child,
    name: String,
    dir: PathBuf,
}

impl Test {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a scenario file.
    pub(crate) fn scenario(&self, name: &str, yaml: &str) -> &Self {
        fs::write(self.path(name), yaml).unwrap();
        self
    }

    /// Runs the binary to its end.
    pub(crate) fn keelhaul(&self, args: &[&str]) -> Ran {
        self.start(args, &[], "").end()
    }

    /// Runs the binary to its end, with something to read.
    pub(crate) fn told(&self, args: &[&str], input: &str) -> Ran {
        self.start(args, &[], input).end()
    }

    /// Starts the binary. Its output goes to files, so that nothing it prints can block it.
    pub(crate) fn start(&self, args: &[&str], env: &[(&str, &str)], input: &str) -> Running {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("output-{number}");
        let file = |end: &str| File::create(self.path(&format!("{name}.{end}"))).unwrap();
        let mut child = Command::new(KEELHAUL)
            .args(args)
            .current_dir(self.dir.path())
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // one that ends before it has read everything is its own affair
        let _ = stdin.write_all(input.as_bytes());
        Running { child, name, dir: self.dir.path().to_owned() }
    }

    /// The directory of the newest run.
    pub(crate) fn latest(&self) -> PathBuf {
        self.path("reports").join(fs::read_link(self.path("reports/latest")).unwrap())
    }

    /// Id of the newest run, as it is written on the command line.
    pub(crate) fn run_id(&self) -> String {
        self.latest().file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// The record of the newest run, from its events.
    pub(crate) fn record(&self) -> RunRecord {
        let events = File::open(self.latest().join("events.jsonl")).unwrap();
        RunRecord::read(BufReader::new(events))
    }

    /// The JUnit file of the newest run.
    pub(crate) fn junit(&self) -> String {
        fs::read_to_string(self.latest().join("junit.xml")).unwrap()
    }

    /// Nothing that carries the label of any run of this test is left, and no loop device either.
    pub(crate) fn assert_no_residue(&self) {
        for run in self.runs() {
            let end = Instant::now() + DEADLINE;
            // a keeper that is on its way out removes its own container
            while !objects(&run).is_empty() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(200));
            }
            assert_eq!(objects(&run), Vec::<String>::new(), "left of run {run}");
            assert_eq!(loops(&run), Vec::<String>::new(), "left of run {run}");
        }
    }

    fn runs(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("reports")).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        entries.map(|entry| entry.file_name().to_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // whatever a failed test has left must not disturb the others
            for run in self.runs() {
                let _ = Command::new(KEELHAUL).args(["recover", &run, "--force"]).output();
            }
        } else {
            self.assert_no_residue();
        }
    }
}

impl Running {
    /// Waits until standard error has a line with this text, and returns all of it so far.
    pub(crate) fn until_said(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let said = self.read("err");
            if said.contains(text) {
                return said;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} before it said {text:?}:\n{said}");
            assert!(Instant::now() < end, "{text:?} was not said in time:\n{said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal, by its number.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() >= end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("no end in time:\n{}", self.read("err"));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        Ran {
            pid: self.child.id(),
            code: status.code(),
            stdout: self.read("out"),
            stderr: self.read("err"),
        }
    }

    fn read(&self, end: &str) -> String {
        let bytes = fs::read(self.dir.join(format!("{}.{end}", self.name))).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Names of what carries a run's label at the engine, as its own client sees it.
pub(crate) fn objects(run: &str) -> Vec<String> {
    let mut found = Vec::new();
    let kinds: [&[&str]; 3] = [
        &["ps", "-a", "--format", "{{.Names}}"],
        &["volume", "ls", "-q"],
        &["network", "ls", "--format", "{{.Name}}"],
    ];
    for words in kinds {
        let output = Command::new("docker").args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let prefix = format!("keelhaul-{run}");
        found.extend(
            output.stdout.lines().map_while(Result::ok).filter(|name| name.starts_with(&prefix)),
        );
    }
    found
}

/// Loop devices on images of a run, as sysfs shows them.
pub(crate) fn loops(run: &str) -> Vec<String> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    devices
        .filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok())
        .filter(|file| {
            Path::new(file.trim())
                .to_str()
                .is_some_and(|file| file.contains(&format!("keelhaul-{run}")))
        })
        .collect()
}

/// A tmpfs with next to no room, for as long as this is kept.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Why a test without one is skipped.
    pub(crate) const NONE: &str = "skipped: a tmpfs cannot be mounted here";

    /// Mounts one of this size there, where that can be done.
    pub(crate) fn at(directory: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size},mode=777");
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &options, "keelhaul-test"]).arg(directory);
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(directory.into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes what room there is.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).unwrap();
        while ballast.write_all(&[0; 1024]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
