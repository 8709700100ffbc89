//! `make bench`: what keelhaul costs, measured side by side with what one would do without it.
//!
//! Every figure is the median of alternating runs in one session, as a ratio to its baseline, and
//! goes to `reports/bench/NAME.json`. Decides nothing about pass or fail.
//!
//! The helper's image is made from the running executable, so this program is keelhaul too: inside
//! the containers it takes the command line's place.

mod delays;
mod disk;
mod explore;
mod fill;
mod fio;
mod host;
mod injection;
mod insertion;
mod interposed;
mod known;
mod ledger;
mod memory;
mod metadata;
mod overhead;
mod own_disk;
mod record;
mod samples;
mod scaling;
mod scenario;
mod stand;
mod states;
mod table;

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use keelhaul::runtime::{Docker, Runtime};

use record::Measurement;

/// What every measurement needs.
pub(crate) struct Bench {
    pub(crate) docker: Arc<Docker>,
    pub(crate) data_root: PathBuf,
    /// A directory of our own on the host's disk.
    pub(crate) scratch: PathBuf,
}

const NAMES: [&str; 13] = [
    "injection",
    "overhead",
    "scaling",
    "memory",
    "fill",
    "fio",
    "metadata",
    "delays",
    "insertion",
    "known",
    "disk",
    "explore",
    "ledger",
];

fn main() -> ExitCode {
    // cargo puts it behind the names; the engine never does
    if !std::env::args().any(|word| word == "--bench") {
        return keelhaul::cli::main();
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = match runtime {
        Ok(runtime) => runtime.block_on(all(&wanted)),
        Err(error) => Err(error.into()),
    };
    match measured {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures what is wanted, all without names; returns how many could not be measured.
async fn all(wanted: &[String]) -> anyhow::Result<usize> {
    if let Some(unknown) = wanted.iter().find(|name| !NAMES.contains(&name.as_str())) {
        anyhow::bail!(
            "no measurement is called `{unknown}`\n\nhint: there are {}",
            NAMES.join(", ")
        );
    }
    let docker = Arc::new(Docker::connect(None)?);
    let engine = docker.engine().await?;
    let scratch = tempfile::Builder::new().prefix("keelhaul-bench-").tempdir()?;
    let bench = Bench {
        docker,
        data_root: engine.data_root.clone().into(),
        scratch: scratch.path().to_owned(),
    };
    let host = host::describe(&engine);
    let mut failed = 0;
    for name in NAMES {
        if !wanted.is_empty() && !wanted.iter().any(|want| want == name) {
            continue;
        }
        say(&format!("measuring {name}"));
        match one(name, &bench).await {
            Ok(found) => {
                for measurement in found {
                    say(&format!("  {}", measurement.line()));
                    measurement.write(&host).context("`reports/bench`")?;
                }
            }
            Err(error) => {
                say(&format!("  {name} could not be measured: {error:#}"));
                failed += 1;
            }
        }
    }
    table::write().context("`reports/bench/README.md`")?;
    Ok(failed)
}

async fn one(name: &str, bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    match name {
        "injection" => injection::measure(bench).await,
        "overhead" => overhead::measure(bench).await,
        "scaling" => scaling::measure(bench),
        "memory" => memory::measure(bench).await,
        "fill" => fill::measure(bench).await,
        "fio" => fio::measure(bench),
        "metadata" => metadata::measure(bench),
        "delays" => delays::measure(bench),
        "insertion" => insertion::measure(bench),
        "known" => known::measure(bench),
        "disk" => disk::measure(bench).await,
        "explore" => explore::measure(bench),
        _ => ledger::measure(),
    }
}

/// A line of progress; a closed stderr is nobody's concern.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
