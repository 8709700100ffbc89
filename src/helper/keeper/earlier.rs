//! Workers of a run, by name in its directory: whoever comes after its keeper sees by that which of them
//! hang in the kernel, and may still do what they were asked to.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use crate::host::process::Identity;

/// Name of the file in the run's directory: one worker a line.
const FILE: &str = "workers";

/// A worker was started. Not durable: it does not outlive the machine either.
pub(super) fn note(dir: &Path, worker: Identity) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(dir.join(FILE))?;
    file.write_all(format!("{} {}\n", worker.pid, worker.start_time).as_bytes())
}

/// Those of which something is left.
pub(super) fn left(dir: &Path) -> Vec<Identity> {
    let text = fs::read_to_string(dir.join(FILE)).unwrap_or_default();
    let named = text.lines().filter_map(|line| {
        let (pid, start_time) = line.split_once(' ')?;
        Some(Identity { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
    });
    named.filter(|worker| worker.has_threads()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_has_gone_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(left(dir.path()), []);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let worker = Identity::of(child.id()).unwrap();
        note(dir.path(), Identity { start_time: worker.start_time + 1, ..worker }).unwrap();
        note(dir.path(), worker).unwrap();
        assert_eq!(left(dir.path()), [worker]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(left(dir.path()), []);
    }
}
