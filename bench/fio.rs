//! The file interposer against the directory beneath it, by fio: whatever it does to a file, natively,
//! where the kernel reads and writes it by itself, and where every request comes to us.
//!
//! The three take turns on files of their own in one directory of one disk.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use keelhaul::{
    interpose::{
        Beneath, Setup,
        serve::{Orders, READY, Serve},
    },
    protocol::{Caller, Durability, IoAction, IoOp, IoRule, Trigger},
};
use serde_json::Value;

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::Samples,
    say,
    scenario::KEELHAUL,
};

const ROUNDS: usize = 5;
/// How many requests a second are counted for so long each time.
const SECONDS: &str = "1";
const SIZE: &str = "64m";
/// Sources of our mounts.
const MARK: &str = "keelhaul-bench";

/// What fio does, in its own words, and in which of its results that shows.
struct Job {
    name: &'static str,
    what: &'static str,
    options: &'static [&'static str],
    side: &'static str,
}

const WRITE_FSYNC: Job = Job {
    name: "write-fsync",
    what: "4 KiB, random writes with an fsync each",
    options: &["--rw=randwrite", "--bs=4k", "--fsync=1", "--invalidate=0"],
    side: "write",
};

const JOBS: [Job; 6] = [
    Job {
        name: "randread",
        what: "4 KiB, random reads of what is in memory",
        options: &["--rw=randread", "--bs=4k", "--invalidate=0"],
        side: "read",
    },
    Job {
        name: "randread-direct",
        what: "4 KiB, random reads with O_DIRECT",
        options: &["--rw=randread", "--bs=4k", "--direct=1"],
        side: "read",
    },
    Job {
        name: "randwrite",
        what: "4 KiB, random writes",
        options: &["--rw=randwrite", "--bs=4k", "--invalidate=0"],
        side: "write",
    },
    WRITE_FSYNC,
    Job {
        name: "read",
        what: "1 MiB, one after the other, read from memory",
        options: &["--rw=read", "--bs=1m", "--invalidate=0"],
        side: "read",
    },
    Job {
        name: "write",
        what: "1 MiB, one after the other, written",
        options: &["--rw=write", "--bs=1m", "--invalidate=0"],
        side: "write",
    },
];

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    if let Some(missing) = missing() {
        say(&format!("  fio is left out: {missing}"));
        return Ok(Vec::new());
    }
    let directory = bench.scratch.join("fio");
    let native = directory.join("native");
    fs::create_dir_all(&native)?;
    let kernel = Mounted::over(&directory, "kernel", Vec::new())?;
    let served = Mounted::over(&directory, "served", vec![about_everything()])?;
    let mut rows = Vec::new();
    for job in &JOBS {
        rows.extend(one(job, [&native, &kernel.at, &served.at])?);
    }
    Ok(rows)
}

/// Why it cannot be measured here.
pub(crate) fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        return Some("it needs root and `/dev/fuse`");
    }
    let there = Command::new("fio").arg("--version").stdout(Stdio::null()).status();
    (!there.is_ok_and(|status| status.success()))
        .then_some("there is no `fio`\n\nhint: your distribution has it: `apt-get install fio`")
}

fn one(job: &Job, places: [&Path; 3]) -> anyhow::Result<[Measurement; 2]> {
    // lays the files out, and is not counted
    places.iter().try_for_each(|place| fio(job, place).map(drop))?;
    let mut found = [Samples::default(), Samples::default(), Samples::default()];
    for _ in 0..ROUNDS {
        for (samples, place) in found.iter_mut().zip(places) {
            samples.push(fio(job, place)?);
        }
    }
    let [native, kernel, served] = found;
    let row = |way: &str, what: &str, samples: &Samples| {
        let baseline = Side::of(format!("{}, natively", job.what), &native);
        let name = format!("fio-{}-{way}", job.name);
        Measurement::new(&name, "requests/s", baseline, Side::of(what, samples), ROUNDS)
    };
    Ok([
        row("kernel", "through an interposer, no rule about the file", &kernel),
        row("served", "through an interposer that expects a rule", &served),
    ])
}

/// How many 4 KiB writes with an fsync each there are in a second.
pub(crate) fn fsyncs(directory: &Path) -> anyhow::Result<f64> {
    fio(&WRITE_FSYNC, directory)
}

/// Requests per second.
fn fio(job: &Job, directory: &Path) -> anyhow::Result<f64> {
    let file = format!("--filename={}", directory.join("file").display());
    let (size, time) = (format!("--size={SIZE}"), format!("--runtime={SECONDS}"));
    let output = Command::new("fio")
        .args(["--name=keelhaul", "--ioengine=psync", "--time_based", "--output-format=json"])
        .args([&file, &size, &time])
        .args(job.options)
        .output()
        .context("fio")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "fio at `{}`: {said}", directory.display());
    // what it has to remark comes first
    let json = text.find('{').map_or("", |at| &text[at..]);
    let value: Value = serde_json::from_str(json).context("what fio says")?;
    let rate = value["jobs"][0][job.side]["iops"].as_f64();
    rate.filter(|rate| *rate > 0.0).context("fio has counted nothing")
}

/// A rule that may come, and never does: what it could hit is served by us.
fn about_everything() -> IoRule {
    IoRule {
        paths: vec!["**".into()],
        ops: IoOp::ALL.to_vec(),
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when: Trigger::default(),
        action: IoAction::Error { errno: libc::EIO },
    }
}

/// An interposer, mounted in this namespace until it is dropped.
struct Mounted {
    at: PathBuf,
    child: Child,
}

impl Mounted {
    fn over(directory: &Path, name: &str, expected: Vec<IoRule>) -> anyhow::Result<Self> {
        let (beneath, at) = (directory.join(format!("{name}-beneath")), directory.join(name));
        fs::create_dir_all(&beneath)?;
        fs::create_dir_all(&at)?;
        let setup = Setup {
            beneath: Beneath::Directory(beneath),
            device: "/dev/fuse".into(),
            source: MARK.into(),
            mark: ".keelhaul-bench".into(),
            options: Vec::new(),
            expected,
            durability: Durability::default(),
            trace: None,
        };
        let serve = Serve::Files { setup: Box::new(setup), at: at.clone(), within: None };
        let socket = directory.join(format!("{name}.sock"));
        let orders = Orders { serve, socket, ends_with: None };
        let mut command = Command::new(KEELHAUL);
        command.args(["helper-interposer", MARK]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = serde_json::to_string(&orders)?;
        writeln!(child.stdin.take().context("no way to tell it")?, "{orders}")?;
        let mounted = Self { at, child };
        mounted.await_ready()
    }

    fn await_ready(mut self) -> anyhow::Result<Self> {
        let said = self.child.stdout.take().context("it cannot be heard")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        anyhow::ensure!(line.trim() == READY, "the interposer does not serve: {line}");
        Ok(self)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
