//! Names of what a run leaves beside its events: logs, traces, and states in which a promise was broken.
//!
//! Names come from scenarios and may hold anything; no file leaves the directory, and no two cases
//! share one.

use std::path::{Path, PathBuf};

/// Bytes of a name, well below what a file system takes.
const NAME: usize = 120;

/// The log of a service: `logs/<case>/<service>.log`.
#[must_use]
pub fn log_file(case: (&str, u32), service: &str) -> PathBuf {
    Path::new("logs").join(case_name(case)).join(format!("{}.log", safe_name(service)))
}

/// What is kept of a state: `crash-states/<case>/<workload>-<number>.<extension>`.
#[must_use]
pub fn state_file(
    case: (&str, u32),
    (workload, number): (&str, usize),
    extension: &str,
) -> PathBuf {
    let name = format!("{}-{number}.{extension}", safe_name(workload));
    Path::new("crash-states").join(case_name(case)).join(name)
}

/// The trace of a volume: `io-traces/<case>/<volume>.jsonl`.
#[must_use]
pub fn trace_file(case: (&str, u32), volume: &str) -> PathBuf {
    Path::new("io-traces").join(case_name(case)).join(format!("{}.jsonl", safe_name(volume)))
}

/// The trace of an interposer that a fault has inserted, the n-th of that fault:
/// `io-traces/<case>/inserted/<fault>.jsonl`.
#[must_use]
pub(super) fn inserted_trace_file(case: (&str, u32), fault: &str, nth: usize) -> PathBuf {
    let name = if nth > 1 { safe_name(&format!("{fault}#{nth}")) } else { safe_name(fault) };
    Path::new("io-traces").join(case_name(case)).join("inserted").join(format!("{name}.jsonl"))
}

/// A retry has a directory of its own.
fn case_name((case, attempt): (&str, u32)) -> String {
    let name = safe_name(case);
    if attempt > 1 { format!("{name}.attempt-{attempt}") } else { name }
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
    fn a_retry_every_state_and_every_trace_have_files_of_their_own() {
        let state = |attempt, number| state_file(("a", attempt), ("records", number), "crash");
        assert_eq!(state(1, 1), Path::new("crash-states/a/records-1.crash"));
        assert_eq!(state(2, 3), Path::new("crash-states/a.attempt-2/records-3.crash"));
        assert_eq!(log_file(("a/b", 1), "web").extension().unwrap(), "log");
        assert_eq!(trace_file(("a", 2), "x"), Path::new("io-traces/a.attempt-2/x.jsonl"));
        let inserted = |fault, nth| inserted_trace_file(("a", 1), fault, nth);
        assert_eq!(inserted("x", 1), Path::new("io-traces/a/inserted/x.jsonl"));
        let names = [inserted("x", 1), inserted("x", 2), inserted("x", 3), inserted("x#2", 1)];
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3, "{names:?}");
    }

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
