//! Errands: trials in a process of their own, one process each.
//!
//! For what must count as the target's I/O, which the kernel decides by the cgroup of a process,
//! and for what may hang in the kernel: a thread that hangs would keep its worker from ending, and
//! the keeper from noticing. An errand leaves nothing behind, whenever it is killed. What it asks
//! for is one argument, what it answers one line of JSON.

mod disk;
mod io;
mod pace;
mod places;
mod touch;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::super::HelperError;
use crate::host::process::Identity;
pub(super) use disk::DiskErrand;
pub(super) use io::IoErrand;
pub(super) use pace::PaceErrand;
pub(super) use places::PlacesErrand;
pub(super) use touch::TouchErrand;

/// What an errand is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Errand {
    /// Tries requests to a disk. → `TriedOp`s
    Disk(DiskErrand),
    /// Moves known bytes to or from a disk. → `TriedBytes`
    DiskBytes(DiskErrand),
    /// Tries operations with an interposer's own files. → `TriedOp`s
    Io(IoErrand),
    /// Measures I/O in the target's cgroup. → `Pace`
    Pace(PaceErrand),
    /// Looks where a file lies. → pairs of bytes
    Places(PlacesErrand),
    /// Tries a change. → microseconds
    Touch(TouchErrand),
}

/// Sends a process out, and waits for its answer at most this long; `None` when it did not come.
pub(super) fn send<T: DeserializeOwned + Send + 'static>(
    errand: &Errand,
    within: Duration,
) -> Result<Option<T>, HelperError> {
    let failed = |why: String| HelperError::Refused(format!("an errand: {why}"));
    let text = serde_json::to_string(errand).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg("helper-errand").arg(text).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let process = Identity::of(child.id());
    let (answer, answered) = mpsc::channel();
    // it may hang in the kernel for longer than anybody waits, even with its answer given, and is
    // waited for all the same
    thread::spawn(move || {
        drop(answer.send(listen(&mut child)));
        drop(child.wait());
    });
    match answered.recv_timeout(within) {
        Ok(text) => {
            let answer: Result<T, HelperError> = serde_json::from_str(&text)
                .map_err(|_| failed("it ended without an answer".into()))?;
            answer.map(Some)
        }
        Err(_) => {
            if let Ok(process) = process {
                let _ = process.signal(libc::SIGKILL);
            }
            Ok(None)
        }
    }
}

fn listen(child: &mut Child) -> String {
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        let _ = BufReader::new(output).read_line(&mut line);
    }
    line
}

/// Runs an errand. Argument: what it is, as JSON.
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    // nobody is left to hear the answer once the worker has gone
    let kill = Some(rustix::process::Signal::KILL);
    if rustix::process::set_parent_process_death_signal(kill).is_err() {
        return ExitCode::FAILURE;
    }
    let Some(Ok(errand)) = args.next().map(|text| serde_json::from_str::<Errand>(&text)) else {
        return ExitCode::from(2);
    };
    let answer = match errand {
        Errand::Disk(errand) => serde_json::to_string(&errand.run()),
        Errand::DiskBytes(errand) => serde_json::to_string(&errand.run_bytes()),
        Errand::Io(errand) => serde_json::to_string(&errand.run()),
        Errand::Pace(errand) => serde_json::to_string(&errand.run()),
        Errand::Places(errand) => serde_json::to_string(&errand.run()),
        Errand::Touch(errand) => serde_json::to_string(&errand.run()),
    };
    let told = answer.map(|text| std::io::stdout().write_all(format!("{text}\n").as_bytes()));
    if matches!(told, Ok(Ok(()))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
