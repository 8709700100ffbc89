//! What an interposer costs where the kernel never goes on by itself: names and attributes.
//!
//! Four ways take turns on filesystems of their own, all of them ext4 in images on one disk: natively;
//! over a filesystem that nobody else has, without a rule about it and with one that never strikes;
//! and over a directory that others may change too, so that the kernel must not remember anything.
//!
//! Where it remembers, the kernel asks four times about a file that is made and closed, and waits for three
//! of the answers: attributes of the directory, which any change in it makes void (fs/fuse/dir.c,
//! `fuse_dir_changed`), the name, the file itself, and then its end, without waiting. Of one that is removed
//! it asks three times, and waits for the first two: the directory, the name; then it forgets the file. A
//! server cannot leave any of them out: what is ours is how much each of them costs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::Context;
use keelhaul::interpose::Beneath;

use crate::{
    Bench,
    interposed::{self, Interposed, never_strikes},
    record::{Measurement, Side},
    samples::{Samples, count},
    say,
};

const ROUNDS: usize = 7;
const FILES: usize = 2000;
/// A directory is read so often.
const LISTS: usize = 20;
const BYTES: u64 = 256 << 20;

/// What is done to each of the files, and what is wanted of it.
const OPS: [(&str, &str, Option<&str>); 4] = [
    ("create", "files made", Some("≥ 0.5")),
    ("stat", "files looked at", Some("≥ 0.8")),
    ("readdir", "names read", None),
    ("unlink", "files removed", Some("≥ 0.3")),
];

/// An ext4 in an image, on a loop device.
struct Disk(PathBuf);

impl Disk {
    fn new(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let image = directory.join(format!("{name}.img"));
        File::create(&image)?.set_len(BYTES)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let device = run(Command::new("losetup").args(["-f", "--show"]).arg(&image))?;
        Ok(Self(device.trim().into()))
    }

    fn beneath(&self) -> Beneath {
        let options = Vec::new();
        Beneath::Device { node: self.0.clone(), fs_type: "ext4".into(), options }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // the kernel detaches it when nobody has it mounted any more
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

/// A plain mount, until it is dropped.
struct Plain(PathBuf);

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What a command says.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    if let Some(missing) = interposed::missing() {
        say(&format!("  metadata are left out: {missing}"));
        return Ok(Vec::new());
    }
    let directory = bench.scratch.join("metadata");
    fs::create_dir_all(directory.join("native"))?;
    let disks = ["plain", "alone", "watched"].map(|name| Disk::new(&directory, name));
    let [plain, alone, watched] = disks;
    let (plain, alone, watched) = (plain?, alone?, watched?);
    let native = Plain(directory.join("native"));
    run(Command::new("mount").arg(&plain.0).arg(&native.0))?;
    let others = native.0.join("others");
    fs::create_dir(&others)?;
    let alone = Interposed::over(&directory, "alone", alone.beneath(), Vec::new())?;
    let armed = Interposed::over(&directory, "armed", watched.beneath(), never_strikes())?;
    armed.arm(never_strikes())?;
    let shared = Interposed::over(&directory, "shared", Beneath::Directory(others), Vec::new())?;
    let places = [&native.0, &alone.at, &armed.at, &shared.at];
    let mut found: [[Samples; 4]; 4] = Default::default();
    for round in 0..=ROUNDS {
        for (samples, place) in found.iter_mut().zip(places) {
            let rates = once(&place.join(round.to_string()))?;
            // the first is for warmth
            let counted = samples.iter_mut().zip(rates).filter(|_| round > 0);
            counted.for_each(|(samples, rate)| samples.push(rate));
        }
    }
    Ok(rows(&found))
}

/// How many a second are made, looked at, read and removed.
fn once(directory: &Path) -> anyhow::Result<[f64; 4]> {
    fs::create_dir(directory)?;
    let paths: Vec<PathBuf> = (0..FILES).map(|n| directory.join(format!("file-{n}"))).collect();
    let rate = |number: usize, act: &mut dyn FnMut() -> anyhow::Result<()>| {
        let started = Instant::now();
        act()?;
        anyhow::Ok(count(number) / started.elapsed().as_secs_f64())
    };
    let made = rate(FILES, &mut || {
        Ok(paths.iter().try_for_each(|path| File::create_new(path).map(drop))?)
    })?;
    let seen =
        rate(FILES, &mut || Ok(paths.iter().try_for_each(|path| fs::metadata(path).map(drop))?))?;
    let read = rate(FILES * LISTS, &mut || {
        for _ in 0..LISTS {
            anyhow::ensure!(fs::read_dir(directory)?.count() == FILES, "names are missing");
        }
        Ok(())
    })?;
    let removed = rate(FILES, &mut || Ok(paths.iter().try_for_each(fs::remove_file)?))?;
    fs::remove_dir(directory)?;
    Ok([made, seen, read, removed])
}

fn rows(found: &[[Samples; 4]; 4]) -> Vec<Measurement> {
    let ways = [
        ("kernel", "through an interposer, nobody else there, no rule"),
        ("armed", "through an interposer, nobody else there, a rule that never strikes"),
        ("shared", "through an interposer over a directory that others may change"),
    ];
    let [native, others @ ..] = found;
    let mut rows = Vec::new();
    for (at, (name, what, goal)) in OPS.iter().enumerate() {
        for ((way, how), samples) in ways.iter().zip(others) {
            let baseline = Side::of(format!("{what}, natively"), &native[at]);
            let subject = Side::of(*how, &samples[at]);
            let name = format!("metadata-{name}-{way}");
            let row = Measurement::new(&name, "/s", baseline, subject, ROUNDS);
            rows.push(match goal {
                Some(goal) if *way == "kernel" => row.goal(goal),
                _ => row,
            });
        }
    }
    rows
}
