//! Memory of an interposer of which the kernel knows a million files, none of them open.

use std::{
    fs::{self, File},
    time::{Duration, Instant},
};

use anyhow::Context;
use keelhaul::interpose::Beneath;

use crate::{
    Bench,
    host::kib,
    interposed::{self, Interposed},
    record::{Measurement, Side},
    samples::{Samples, count},
    say,
};

const FILES: usize = 1_000_000;
const EACH: usize = 1000;
/// A slow disk makes fewer of them.
const MOST: Duration = Duration::from_secs(90);
/// Bytes that one of them may take.
const ALLOWED: f64 = 640.0;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    if let Some(missing) = interposed::missing() {
        say(&format!("  known files are left out: {missing}"));
        return Ok(Vec::new());
    }
    let directory = bench.scratch.join("known");
    let beneath = directory.join("beneath");
    fs::create_dir_all(&beneath)?;
    let started = Instant::now();
    let mut files = 0;
    while files < FILES && started.elapsed() < MOST {
        let below = beneath.join((files / EACH).to_string());
        fs::create_dir(&below)?;
        (0..EACH).try_for_each(|n| File::create_new(below.join(n.to_string())).map(drop))?;
        files += EACH;
    }
    let mounted = Interposed::over(&directory, "at", Beneath::Directory(beneath), Vec::new())?;
    let before = resident(&mounted)?;
    for n in 0..files {
        fs::metadata(mounted.at.join((n / EACH).to_string()).join((n % EACH).to_string()))?;
    }
    let mut bytes = Samples::default();
    bytes.push((resident(&mounted)? - before) / count(files));
    let subject = Side::of(format!("of each of {files} files that were looked at"), &bytes);
    let allowed = Side::fixed("allowed", ALLOWED);
    Ok(vec![Measurement::new("memory-known-files", "bytes", allowed, subject, 1).goal("≤ 1")])
}

/// Bytes that are resident.
fn resident(mounted: &Interposed) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/status", mounted.child.id());
    let kib = kib(&path, "VmRSS").context("it is gone")?;
    Ok(count(usize::try_from(kib)?) * 1024.0)
}
