//! What containers printed, as files: `logs/<case>/<service>.log` under the run's directory. And the
//! states in which a promise was broken: `crash-states/<case>/<workload>-<number>.json`.
//!
//! Names come from scenarios and may hold anything; no file leaves the directory, and no two cases
//! share one.

use std::{fs, io, path::Path};

use serde::Serialize;

use crate::{
    protocol::WrongState,
    run::{CaseRecord, RunRecord},
};

/// Bytes of a name, well below what a file system takes.
const NAME: usize = 120;

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
        let name = case_name(case);
        let logs = case.logs.iter().map(|log| {
            let path = directory.join("logs").join(&name);
            let path = path.join(format!("{}.log", safe_name(&log.service)));
            (path, log.text.clone().into_bytes())
        });
        let states = crash_states(case)
            .map(|(file, bytes)| (directory.join("crash-states").join(&name).join(file), bytes));
        for (path, bytes) in logs.chain(states) {
            if let Err(error) = write(&path, &bytes) {
                let said = format!("cannot write `{}`: {error}", path.display());
                first = first.and(Err(said));
            }
        }
    }
    first
}

/// Names of files, and what they hold.
fn crash_states(case: &CaseRecord) -> impl Iterator<Item = (String, Vec<u8>)> {
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
        Some((format!("{}-{number}.json", safe_name(workload)), text))
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes)
}

/// A retry has a directory of its own.
fn case_name(case: &CaseRecord) -> String {
    let name = safe_name(&case.start.case);
    if case.start.attempt > 1 { format!("{name}.attempt-{}", case.start.attempt) } else { name }
}

/// A name of one plain component. What had to change for it ends in a checksum of what it was, so
/// that different names stay different.
fn safe_name(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let kept = !name.is_empty()
        && name.len() <= NAME
        && name.chars().all(plain)
        && !name.starts_with('.')
        && !name.contains(".attempt-");
    if kept {
        return name.to_owned();
    }
    let letters = name.chars().map(|letter| if plain(letter) { letter } else { '_' });
    let short: String = letters.take(NAME).collect();
    let short = short.trim_start_matches('.');
    format!("{short}-{:08x}", crc32fast::hash(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Component};

    use super::*;

    #[test]
    fn any_name_is_one_component_and_different_names_stay_different() {
        let long = "x".repeat(5000);
        let names = [
            "plain-name.v2",
            "a[b=c]@twin#2",
            "a_b=c_@twin#2",
            "",
            ".",
            "..",
            "../../etc/passwd",
            "/abs",
            "nul\0",
            "a\nb",
            "é",
            "è",
            ".hidden",
            "a.attempt-2",
            &long,
        ];
        let safe: BTreeSet<String> = names.iter().map(|name| safe_name(name)).collect();
        assert_eq!(safe.len(), names.len(), "{safe:?}");
        for name in &safe {
            let parts: Vec<_> = Path::new(name).components().collect();
            assert!(matches!(parts.as_slice(), [Component::Normal(_)]), "{name}");
            assert!(name.len() < 200 && name.is_ascii(), "{name}");
        }
        assert_eq!(safe_name("plain-name.v2"), "plain-name.v2");
    }
}
