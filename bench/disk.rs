//! A disk of ours against a plain loop device, what it costs to make a state of its past, how long a cut
//! under a container takes, and what memory it takes under load.

use std::{fs, path::Path, process::Stdio, time::Instant};

use anyhow::Context;
use keelhaul::run::Event;
use keelhaul::runtime::{ObjectKind, ObjectRef, Runtime};

use crate::{
    Bench, fio,
    host::kib,
    injection::millis,
    own_disk::{Mounted, Ours, Plain},
    record::{Measurement, Side},
    samples::{Samples, count},
    say, scenario,
    stand::{own_image, run_id, subject},
    states,
};

const ROUNDS: usize = 5;
/// Bytes of its log that a run lets a disk have in memory.
const REMEMBERED: u64 = 32 << 20;
/// Seconds of load, of which the memory is looked at.
const LOAD: usize = 10;
/// MiB that a disk may take then: 64 of the file, as many of a cache that is full, its log, a copy of
/// what is in the filesystem beside the file, and the program.
const ALLOWED: f64 = 64.0 + 64.0 + 32.0 + 64.0 + 32.0;

/// Power cuts one after the other; each is over when the service answers again.
const CUT: &str = "\
keelhaul: 1
name: cut
timeout: 120s
volumes: { data: { ext4: { size: 64MiB, interpose: block } } }
services:
  agent: { image: keelhaul/specimen, mounts: { /data: data } }
steady_state:
  - http: { service: agent, path: /health, status: 200 }
steps:
";
const CUTS: usize = 8;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let mut rows = states::measure(bench)?;
    match fio::missing() {
        Some(missing) => say(&format!("  what disks write is left out: {missing}")),
        None => rows.extend(written(bench)?),
    }
    rows.push(live(bench).await?);
    Ok(rows)
}

/// 4 KiB writes with an fsync each, by turns.
fn written(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let memory = Plain::on(keelhaul::host::grower::memory_file()?.into())?;
    let on_disk = Plain::on(tempfile::tempfile_in(&bench.scratch)?)?;
    let (idle, recording) = (Ours::start(bench, "idle")?, Ours::start(bench, "recording")?);
    let places = [&memory.mounted, &on_disk.mounted, &idle.mounted, &recording.mounted];
    let places = places.map(Mounted::path);
    let mut found: [Samples; 4] = Default::default();
    // lays the files out, and is not counted
    places.iter().try_for_each(|place| fio::fsyncs(place).map(drop))?;
    for _ in 0..ROUNDS {
        recording.record(REMEMBERED)?;
        for (samples, place) in found.iter_mut().zip(&places) {
            samples.push(fio::fsyncs(place)?);
        }
    }
    let taken = under_load(&recording, &places[3])?;
    let [memory, on_disk, idle, recording] = &found;
    let row = |name, (what, samples): (&str, &Samples), (against, baseline): (&str, &Samples)| {
        let (baseline, subject) = (Side::of(against, baseline), Side::of(what, samples));
        Measurement::new(name, "requests/s", baseline, subject, ROUNDS)
    };
    let on_disk = ("4 KiB writes with fsync, a loop device on a file on disk", on_disk);
    let memory = ("4 KiB writes with fsync, a loop device on a file in memory", memory);
    let (idle, recording) = (("a disk of ours", idle), ("a disk of ours that records", recording));
    Ok(vec![
        row("disk-idle", idle, on_disk).goal("≥ 0.7"),
        row("disk-recording", recording, on_disk).goal("≥ 0.7"),
        row("disk-idle-against-memory", idle, memory),
        row("disk-recording-against-memory", recording, memory),
        taken,
    ])
}

/// What a disk that records has taken at most.
fn under_load(disk: &Ours, place: &Path) -> anyhow::Result<Measurement> {
    disk.record(REMEMBERED)?;
    let mut taken = Samples::default();
    for _ in 0..LOAD {
        fio::fsyncs(place)?;
        let now = kib(&format!("/proc/{}/status", disk.pid()), "VmRSS").context("VmRSS")?;
        taken.push(count(usize::try_from(now)?) / 1024.0);
    }
    let subject = Side::of(format!("a disk that records for {LOAD} s of writes"), &taken);
    let allowed = Side::fixed("allowed", ALLOWED);
    Ok(Measurement::new("disk-memory", "MiB", allowed, subject, LOAD).goal("≤ 1"))
}

/// A cut, and everything until the service is there again, against the engine's own restart.
async fn live(bench: &Bench) -> anyhow::Result<Measurement> {
    let steps = (0..=CUTS).map(|nth| {
        format!("  - inject: {{ power-cut: {{ target: \"agent:/data\" }} }}\n    as: cut-{nth}\n  - recover\n")
    });
    let path = bench.scratch.join("cut.yaml");
    fs::write(&path, steps.fold(CUT.to_owned(), |text, step| text + &step))?;
    let (_, events) = scenario::run(bench, &path, 1)?;
    let begun = events.iter().filter(|one| matches!(one.event, Event::Injecting { .. }));
    let begun: Vec<_> = begun.map(|one| one.at_us).collect();
    let mut cycles = Samples::default();
    for pair in begun.windows(2) {
        cycles.push(count(usize::try_from(pair[1] - pair[0])?) / 1000.0);
    }
    anyhow::ensure!(cycles.len() == CUTS, "{} cycles of {CUTS}", cycles.len());
    let restart =
        Side::of("`docker restart -t 0` of the service on no volume", &restarts(bench).await?);
    let subject = Side::of("power cut, kill, swap, start, answer", &cycles);
    Ok(Measurement::new("disk-live-cut", "ms", restart, subject, CUTS).goal("about 1000 ms"))
}

async fn restarts(bench: &Bench) -> anyhow::Result<Samples> {
    let (image, run) = (own_image(&bench.docker).await?, run_id("restart"));
    let container = bench.docker.create_container(&subject(&run, &image, Vec::new())).await?;
    bench.docker.start(&container).await?;
    let mut found = Samples::default();
    for _ in 0..CUTS {
        let started = Instant::now();
        let mut docker = tokio::process::Command::new("docker");
        docker.args(["restart", "-t", "0", &container]).stdout(Stdio::null());
        let status = docker.status().await.context("docker")?;
        anyhow::ensure!(status.success(), "`docker restart` ended with {status}");
        found.push(millis(started));
    }
    let (kind, name) = (ObjectKind::Container, container.clone());
    let object = ObjectRef { kind, id: container, name, run, role: String::new() };
    bench.docker.remove(&object).await?;
    Ok(found)
}
