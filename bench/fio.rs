//! The file interposer against the directory beneath it, by fio: natively, where no rule matches and
//! the kernel reads and writes by itself, and with a rule in force that looks at every operation and
//! never strikes.
//!
//! The three take turns on files of their own in one directory of one disk.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context;
use keelhaul::interpose::Beneath;
use serde_json::Value;

use crate::{
    Bench,
    interposed::{self, Interposed, never_strikes},
    record::{Measurement, Side},
    samples::Samples,
    say,
};

const ROUNDS: usize = 5;
/// How many requests a second are counted for so long each time.
const SECONDS: &str = "1";
const SIZE: &str = "64m";
/// What is wanted where no rule matches, of everything; where one does, of what waits for the disk.
const KERNEL_GOAL: &str = "≥ 0.95";
const ARMED_GOAL: &str = "≥ 0.6";

/// What fio does, in its own words, and in which of its results that shows.
struct Job {
    name: &'static str,
    what: &'static str,
    options: &'static [&'static str],
    side: &'static str,
    /// It waits for the disk each time.
    waits: bool,
}

const WRITE_FSYNC: Job = Job {
    name: "write-fsync",
    what: "4 KiB, random writes with an fsync each",
    options: &["--rw=randwrite", "--bs=4k", "--fsync=1", "--invalidate=0"],
    side: "write",
    waits: true,
};

const JOBS: [Job; 7] = [
    Job {
        name: "randread",
        what: "4 KiB, random reads of what is in memory",
        options: &["--rw=randread", "--bs=4k", "--invalidate=0"],
        side: "read",
        waits: false,
    },
    Job {
        name: "randread-direct",
        what: "4 KiB, random reads with O_DIRECT",
        options: &["--rw=randread", "--bs=4k", "--direct=1"],
        side: "read",
        waits: true,
    },
    Job {
        name: "randwrite",
        what: "4 KiB, random writes",
        options: &["--rw=randwrite", "--bs=4k", "--invalidate=0"],
        side: "write",
        waits: false,
    },
    Job {
        name: "randwrite-direct",
        what: "4 KiB, random writes with O_DIRECT",
        options: &["--rw=randwrite", "--bs=4k", "--direct=1"],
        side: "write",
        waits: true,
    },
    WRITE_FSYNC,
    Job {
        name: "read",
        what: "1 MiB, one after the other, read from memory",
        options: &["--rw=read", "--bs=1m", "--invalidate=0"],
        side: "read",
        waits: false,
    },
    Job {
        name: "write",
        what: "1 MiB, one after the other, written",
        options: &["--rw=write", "--bs=1m", "--invalidate=0"],
        side: "write",
        waits: false,
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
    let beneath = |name: &str| -> anyhow::Result<Beneath> {
        let path = directory.join(name);
        fs::create_dir_all(&path)?;
        Ok(Beneath::Directory(path))
    };
    let kernel = Interposed::over(&directory, "kernel", beneath("kernel-beneath")?, Vec::new())?;
    let armed = beneath("armed-beneath")?;
    let armed = Interposed::over(&directory, "armed", armed, never_strikes())?;
    armed.arm(never_strikes())?;
    let mut rows = Vec::new();
    for job in &JOBS {
        rows.extend(one(job, [&native, &kernel.at, &armed.at])?);
    }
    let (came, struck) = armed.came_and_struck()?;
    anyhow::ensure!(came > 0 && struck == 0, "{came} operations came to the rule, {struck} struck");
    Ok(rows)
}

/// Why it cannot be measured here.
pub(crate) fn missing() -> Option<&'static str> {
    if let Some(missing) = interposed::missing() {
        return Some(missing);
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
    let [native, kernel, armed] = found;
    let row = |way: &str, what: &str, samples: &Samples| {
        let baseline = Side::of(format!("{}, natively", job.what), &native);
        let name = format!("fio-{}-{way}", job.name);
        Measurement::new(&name, "requests/s", baseline, Side::of(what, samples), ROUNDS)
    };
    let kernel = row("kernel", "through an interposer, no rule about the file", &kernel);
    let armed = row("armed", "through an interposer, a rule in force that never strikes", &armed);
    let armed = if job.waits { armed.goal(ARMED_GOAL) } else { armed };
    Ok([kernel.goal(KERNEL_GOAL), armed])
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
