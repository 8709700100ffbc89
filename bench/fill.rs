//! Filling an ext4 volume: inodes against `touch` in a shell, bytes against `dd`.

use std::{path::Path, process::Command, time::Instant};

use anyhow::Context;
use keelhaul::{helper::HelperLink, protocol::Outcome};

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::Samples,
    stand::Stand,
};

const ROUNDS: usize = 5;
/// Files that the shell makes in each round.
const TOUCHED: u32 = 1000;
/// Mebibytes that `dd` writes in each round.
const WRITTEN: u32 = 256;
const VOLUME: &str = "ext4: { size: 512MiB, inodes: 60000 }";
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Default)]
struct Found {
    touched: Samples,
    created: Samples,
    removed: Samples,
    written: Samples,
    allocated: Samples,
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let stand = Stand::open(&bench.docker, "fill", VOLUME).await?;
    let found = rounds(bench, &stand).await;
    stand.close().await?;
    let found = found?;
    let row = |name, unit, (slow, by), (fast, what): (&Samples, &str)| {
        Measurement::new(name, unit, Side::of(by, slow), Side::of(what, fast), ROUNDS)
    };
    let touch = || (&found.touched, "`touch` in a shell loop");
    Ok(vec![
        row("fill-inodes", "files/s", touch(), (&found.created, "inode-exhaustion on ext4")),
        row("fill-inodes-revert", "files/s", touch(), (&found.removed, "its revert")),
        row(
            "fill-bytes",
            "MiB/s",
            (&found.written, "`dd` with blocks of 1 MiB, to the page cache"),
            (&found.allocated, "disk-full on ext4 (allocated, not written)"),
        ),
    ])
}

async fn rounds(bench: &Bench, stand: &Stand) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let on_host = stand.site.place.host_path.as_deref().context("the volume has no path")?;
    let on_host = Path::new(on_host);
    anyhow::ensure!(
        on_host.is_dir() && on_host.starts_with(&bench.data_root),
        "`{}` cannot be reached\n\nhint: the shell's side of this needs root on the engine's host",
        on_host.display()
    );
    for _ in 0..ROUNDS {
        let touch = format!("mkdir b && for i in $(seq {TOUCHED}); do touch b/$i; done");
        found.touched.push(f64::from(TOUCHED) / shell(on_host, &touch)?);
        shell(on_host, "rm -r b")?;
        let (filled, apply, revert) = fill(stand, "inode-exhaustion").await?;
        found.created.push(filled.0 / apply);
        found.removed.push(filled.0 / revert);
        let dd = format!("dd if=/dev/zero of=b bs=1M count={WRITTEN} status=none");
        found.written.push(f64::from(WRITTEN) / shell(on_host, &dd)?);
        shell(on_host, "rm b && sync -f .")?;
        let (filled, apply, _) = fill(stand, "disk-full").await?;
        found.allocated.push(filled.1 / MIB / apply);
    }
    Ok(found)
}

/// Seconds of a command in a directory.
fn shell(directory: &Path, command: &str) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = Command::new("sh").args(["-c", command]).current_dir(directory).status()?;
    anyhow::ensure!(status.success(), "`{command}` ended with {status}");
    Ok(started.elapsed().as_secs_f64())
}

/// Files and bytes filled, seconds to fill, seconds to revert.
async fn fill(stand: &Stand, fault: &str) -> anyhow::Result<((f64, f64), f64, f64)> {
    let entry = stand.entry(&format!("{fault}: {{ target: agent:/data }}")).await?;
    let started = Instant::now();
    let applied = stand.helper.apply(entry).await?;
    let apply = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let undone = stand.helper.revert(applied.id).await?;
    let revert = started.elapsed().as_secs_f64();
    anyhow::ensure!(undone.problems.is_empty(), "not reverted: {:?}", undone.problems);
    let filled = applied.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Filled { files, bytes, .. } => Some((factor(*files), factor(*bytes))),
        _ => None,
    });
    Ok((filled.context("nothing was filled")?, apply, revert))
}

/// A count as a factor; 2^53 bytes are far away.
fn factor(number: u64) -> f64 {
    u32::try_from(number >> 10).map_or(f64::INFINITY, f64::from) * 1024.0
        + f64::from(u16::try_from(number & 1023).unwrap_or(0))
}
