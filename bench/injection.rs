//! A fault through a running helper, against starting a program in or as a container.
//!
//! The fault is `read-only`: a mount cloned, set read-only and moved on top, its undo durable
//! before. Only the call is timed, not the look at its effect.

use std::{process::Stdio, time::Instant};

use anyhow::Context;
use keelhaul::{
    helper::{HelperLink, client::Helper},
    protocol::{Entry, Read},
    runtime::PROGRAM,
};

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::Samples,
    stand::{Stand, helper_in_memory},
};

/// Of the slow side; the fast side is measured `FAST` times in each.
const ROUNDS: usize = 15;
const FAST: usize = 40;

#[derive(Default)]
struct Found {
    exec: Samples,
    run: Samples,
    read: Samples,
    apply: Samples,
    revert: Samples,
    apply_in_memory: Samples,
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let stand = Stand::open(&bench.docker, "injection", "docker: {}").await?;
    let in_memory = helper_in_memory(&bench.docker, "memory").await;
    let found = match &in_memory {
        Ok(in_memory) => rounds(&stand, in_memory).await,
        Err(error) => Err(anyhow::anyhow!("no helper with its journal in memory: {error:#}")),
    };
    if let Ok(in_memory) = in_memory {
        in_memory.finish().await?;
    }
    stand.close().await?;
    Ok(table(&found?))
}

async fn rounds(stand: &Stand, in_memory: &Helper) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let entry = stand.entry("read-only: { target: agent:/data }").await?;
    let place = &stand.site.place;
    // the first of each opens what the others find open
    inject(&stand.helper, &entry).await?;
    inject(in_memory, &entry).await?;
    for _ in 0..ROUNDS {
        found.exec.push(docker(&["exec", &place.container, PROGRAM, "--version"]).await?);
        found
            .run
            .push(docker(&["run", "--rm", "--network", "none", &stand.image, "--version"]).await?);
        for _ in 0..FAST {
            let started = Instant::now();
            stand.helper.read(Read::MountStack(place.clone())).await?;
            found.read.push(millis(started));
            let (apply, revert) = inject(&stand.helper, &entry).await?;
            found.apply.push(apply);
            found.revert.push(revert);
            found.apply_in_memory.push(inject(in_memory, &entry).await?.0);
        }
    }
    Ok(found)
}

/// Milliseconds of the call that injects, and of the one that reverts.
async fn inject(helper: &Helper, entry: &Entry) -> anyhow::Result<(f64, f64)> {
    let entry = entry.clone();
    let started = Instant::now();
    let applied = helper.apply(entry).await?;
    let apply = millis(started);
    let started = Instant::now();
    let undone = helper.revert(applied.id).await?;
    anyhow::ensure!(undone.problems.is_empty(), "not reverted: {:?}", undone.problems);
    Ok((apply, millis(started)))
}

/// Milliseconds of a `docker` command.
async fn docker(arguments: &[&str]) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut command = tokio::process::Command::new("docker");
    let status =
        command.args(arguments).stdout(Stdio::null()).status().await.context("`docker`")?;
    anyhow::ensure!(status.success(), "`docker {}` ended with {status}", arguments.join(" "));
    Ok(millis(started))
}

pub(crate) fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn table(found: &Found) -> Vec<Measurement> {
    let exec = || Side::of("`docker exec` of a program that ends at once", &found.exec);
    let run = Side::of("`docker run --rm` of a program that ends at once", &found.run);
    let row = |name, baseline, what: &str, samples: &Samples| {
        Measurement::new(name, "ms", baseline, Side::of(what, samples), found.exec.len())
    };
    let journal = "inject `read-only`, undo durable before (fsync)";
    vec![
        row("helper-read", exec(), "read a mount stack in the target", &found.read),
        row(
            "injection-without-fsync",
            exec(),
            "inject `read-only`, journal in memory",
            &found.apply_in_memory,
        )
        .goal("p99 ≤ 1 ms"),
        row("injection", exec(), journal, &found.apply),
        row("injection-against-run", run, journal, &found.apply),
        row("revert", exec(), "revert it", &found.revert),
    ]
}
