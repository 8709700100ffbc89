//! What it costs to make a state that a cut would have left, on disks of several sizes with the same
//! content, against a copy of such an image.

use std::{
    collections::BTreeMap, fs::File, os::unix::fs::FileExt as _, process::Command, time::Instant,
};

use anyhow::Context;
use keelhaul::block::{CHUNK, Disk, Image, Past, Profile, Recording, choose};

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::Samples,
};

const SIZES: [(&str, u64); 3] =
    [("disk-state-64MiB", 64 << 20), ("disk-state-1GiB", 1 << 30), ("disk-state-10GiB", 10 << 30)];
/// Chunks that are on it, all over the disk.
const CHUNKS: u64 = 4096;
/// Flushes that are recorded, and writes before each.
const EPOCHS: u64 = 200;
const WRITES: u64 = 4;
const COPIES: usize = 5;
const ROOMY: u64 = 1 << 30;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    SIZES.iter().map(|(name, size)| one(bench, name, *size)).collect()
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

fn one(bench: &Bench, name: &str, size: u64) -> anyhow::Result<Measurement> {
    let past = recorded(size).context("nothing was recorded")?;
    past.warm();
    let (mut made, mut copied, mut parts) =
        (Samples::default(), Samples::default(), BTreeMap::new());
    for (seed, point) in (0..).zip(past.points()) {
        let kept = choose(Profile::Subset, seed, &point.writes);
        let started = Instant::now();
        let image = past.image(point.cut, &kept).context("no such state")?;
        made.push(micros(started));
        let started = Instant::now();
        std::hint::black_box(image.digest());
        let digest: &mut Samples = parts.entry("its digest".to_owned()).or_default();
        digest.push(micros(started));
    }
    let from = bench.scratch.join("state");
    write(&from, size)?;
    for _ in 0..COPIES {
        let started = Instant::now();
        let mut cp = Command::new("cp");
        cp.args(["--sparse=always", "--reflink=never"]).arg(&from);
        anyhow::ensure!(cp.arg(bench.scratch.join("copy")).status()?.success(), "cp failed");
        copied.push(micros(started));
    }
    let copy = Side::of("`cp --sparse=always` of an image with the same content", &copied);
    let subject = Side::of("a state of a disk with 16 MiB on it", &made);
    Ok(Measurement::new(name, "µs", copy, subject, COPIES).parts(&parts))
}

fn place(at: u64, size: u64) -> u64 {
    let chunk = CHUNK as u64;
    at % CHUNKS * (size / CHUNKS) / chunk * chunk
}

fn recorded(size: u64) -> Option<Past> {
    let mut disk = Disk::new(Image::new(size), ROOMY);
    let write = |disk: &mut Disk, at: u64, byte: u8| {
        let submitted = disk.write(place(at, size), &[byte; CHUNK]);
        disk.written(submitted);
    };
    (0..CHUNKS).for_each(|at| write(&mut disk, at, 1));
    let flush = disk.flush();
    disk.flushed(flush);
    disk.record(ROOMY);
    for epoch in 0..EPOCHS {
        (0..WRITES).for_each(|nth| write(&mut disk, epoch * 61 + nth * 7, 2));
        let flush = disk.flush();
        disk.flushed(flush);
    }
    disk.recording().map(Recording::past)
}

fn write(to: &std::path::Path, size: u64) -> anyhow::Result<()> {
    let file = File::create(to)?;
    file.set_len(size)?;
    for at in 0..CHUNKS {
        file.write_all_at(&[1; CHUNK], place(at, size))?;
    }
    Ok(file.sync_all()?)
}
