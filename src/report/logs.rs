//! What containers printed, as files: `logs/<case>/<service>.log` under the run's directory. And what is
//! known of states in which a promise was broken: `crash-states/<case>/<workload>-<number>.json`, beside
//! the state itself, which the run has put there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    protocol::WrongState,
    run::{CaseRecord, RunRecord, log_file, state_file},
};

/// A state in which a promise was broken, and all that it takes to tell it from others.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CrashState<'a> {
    /// Version of this file's format.
    keelhaul_crash_state: u32,
    scenario: &'a str,
    file: &'a str,
    case: &'a str,
    seed: u64,
    /// The line that runs the case again.
    again: &'a str,
    workload: &'a str,
    state: &'a WrongState,
}

/// Writes every log that was collected, and every state in which a promise was broken. A later write
/// replaces an earlier one.
///
/// # Errors
/// In words, with the first file that could not be written; the others are written all the same.
pub fn write_logs(record: &RunRecord, directory: &Path) -> Result<(), String> {
    let mut first = Ok(());
    for case in &record.cases {
        let name = (case.start.case.as_str(), case.start.attempt);
        let logs = case.logs.iter();
        let logs = logs.map(|log| (log_file(name, &log.service), log.text.clone().into_bytes()));
        for (path, bytes) in logs.chain(crash_states(case)) {
            let path = directory.join(path);
            if let Err(error) = write(&path, &bytes) {
                let said = format!("cannot write `{}`: {error}", path.display());
                first = first.and(Err(said));
            }
        }
    }
    first
}

/// Names of files, and what they hold.
fn crash_states(case: &CaseRecord) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let start = &case.start;
    let broken = (1..).zip(&case.explored).filter_map(|(number, (workload, report))| {
        Some((number, workload, report.first.as_ref()?))
    });
    broken.filter_map(move |(number, workload, state)| {
        let found = CrashState {
            keelhaul_crash_state: 1,
            scenario: &start.scenario,
            file: &start.file,
            case: &start.case,
            seed: start.seed,
            again: &start.again,
            workload,
            state,
        };
        let text = serde_json::to_vec_pretty(&found).ok()?;
        let name = (start.case.as_str(), start.attempt);
        Some((state_file(name, (workload, number), "json"), text))
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes)
}
