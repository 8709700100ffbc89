//! The scenarios that are measured, and a run of the command line over them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use keelhaul::run::{Event, Stamped};

use crate::{Bench, injection::millis};

/// The command line as built beside this program.
pub(crate) const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");

/// One service on one volume, one fault in and out, every step proven; no waiting.
const MINIMAL: &str = "\
keelhaul: 1
name: NAME
timeout: 60s
volumes: { data: { docker: {} } }
services:
  agent: { image: keelhaul/specimen, mounts: { /data: data } }
steady_state:
  - container: { service: agent, state: running }
steps:
  - inject: { read-only: { target: \"agent:/data\" } }
    as: broken
  - revert: broken
";

/// Writes this many minimal scenarios into a directory of their own.
pub(crate) fn minimal(bench: &Bench, how_many: usize) -> anyhow::Result<PathBuf> {
    let directory = bench.scratch.join(format!("minimal-{how_many}"));
    fs::create_dir_all(&directory)?;
    for number in 1..=how_many {
        let name = format!("minimal-{number}");
        fs::write(directory.join(format!("{name}.yaml")), MINIMAL.replace("NAME", &name))?;
    }
    Ok(directory)
}

/// `keelhaul run` over a path; the reports go to the scratch directory.
pub(crate) fn command(bench: &Bench, path: &Path, jobs: usize) -> Command {
    let mut command = Command::new(KEELHAUL);
    command.args(["run", "--controls", "never", "--seed", "1", "--jobs", &jobs.to_string()]);
    command.arg("--out").arg(bench.scratch.join("reports")).arg(path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Milliseconds of a run that passed, and its events.
pub(crate) fn run(bench: &Bench, path: &Path, jobs: usize) -> anyhow::Result<(f64, Vec<Stamped>)> {
    let started = Instant::now();
    let output = command(bench, path, jobs).stderr(Stdio::piped()).output().context(KEELHAUL)?;
    let took = millis(started);
    anyhow::ensure!(
        output.status.success(),
        "`keelhaul run` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let events = fs::read_to_string(bench.scratch.join("reports/latest/events.jsonl"))?;
    let events: Result<Vec<Stamped>, _> = events.lines().map(serde_json::from_str).collect();
    let events = events.context("the event file")?;
    let ended = events.iter().any(|stamped| matches!(stamped.event, Event::RunEnded { .. }));
    anyhow::ensure!(ended, "the event file has no end");
    Ok((took, events))
}
