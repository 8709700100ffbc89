//! States of a recorded disk that `explore` looks at in a second, by one worker and by two.

use std::fs;

use anyhow::Context;
use keelhaul::run::Event;

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::{Samples, count},
    scenario,
};

const ROUNDS: usize = 5;

/// One service that syncs, so that states differ, on a disk whose past is looked at.
const EXPLORED: &str = "\
keelhaul: 1
name: explored
timeout: 90s
volumes: { data: { VOLUME } }
services:
  agent: { image: keelhaul/specimen, mounts: { /data: data } }
workloads:
  records: { ledger: { via: { http: { service: agent } }, rate: 200/s, writers: 4 } }
steady_state:
  - ledger: { workload: records, acked_per_second: { min: 20 } }
steps:
  - wait: 1s
verify:
  - explore: { workload: records, volume: data, file: journal.log, states: 400, time: 30s, workers: WORKERS }
";

const EXT4: &str = "ext4: { size: 64MiB, interpose: block }";
const XFS: &str = "xfs: { size: 300MiB, interpose: block }";
const BTRFS: &str = "btrfs: { size: 128MiB, interpose: block }";

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    Ok(vec![
        measure_on(bench, "explore-ext4", EXT4)?,
        measure_on(bench, "explore-xfs", XFS)?,
        measure_btrfs(bench)?,
    ])
}

/// The kernel takes the states of one for one another, so that they are looked at one at a time.
fn measure_btrfs(bench: &Bench) -> anyhow::Result<Measurement> {
    let (mut ext4, mut btrfs) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        ext4.push(explored(bench, EXT4, 1)?);
        btrfs.push(explored(bench, BTRFS, 1)?);
    }
    let sides = (Side::of("one worker, ext4", &ext4), Side::of("one worker, btrfs", &btrfs));
    Ok(Measurement::new("explore-btrfs", "states/s", sides.0, sides.1, ROUNDS))
}

fn measure_on(bench: &Bench, name: &str, volume: &str) -> anyhow::Result<Measurement> {
    let (mut one, mut two) = (Samples::default(), Samples::default());
    explored(bench, volume, 1)?;
    for _ in 0..ROUNDS {
        one.push(explored(bench, volume, 1)?);
        two.push(explored(bench, volume, 2)?);
    }
    let (baseline, subject) = (Side::of("one worker", &one), Side::of("two workers", &two));
    Ok(Measurement::new(name, "states/s", baseline, subject, ROUNDS).goal("≥ 1.3 on two cores"))
}

/// States a second, those included that need not be mounted again.
fn explored(bench: &Bench, volume: &str, workers: usize) -> anyhow::Result<f64> {
    let text = EXPLORED.replace("VOLUME", volume).replace("WORKERS", &workers.to_string());
    let path = bench.scratch.join("explored.yaml");
    fs::write(&path, text)?;
    let (_, events) = scenario::run(bench, &path, 1)?;
    let report = events.into_iter().find_map(|stamped| match stamped.event {
        Event::Explored { report, .. } => Some(report),
        _ => None,
    });
    let report = report.context("nothing was explored")?;
    anyhow::ensure!(report.workers == workers as u64, "{} workers looked", report.workers);
    Ok(count(usize::try_from(report.per_second())?))
}
