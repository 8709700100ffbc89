//! An engine of the scenario's own: what runs in the container of a service with the image
//! `keelhaul/engine`.
//!
//! It is the host's own engine once more. Its programs come from the host's root directory, over
//! which lies a root of the container's own; its data root is the service's volume. The container
//! is the run's, and has its own pid, mount, network and cgroup namespaces: with it everything goes
//! that the engine has started, and nothing else is to be undone.
//!
//! Beside the engine runs what a host has too: a service manager that starts it again whenever it
//! ends. So a killed engine comes back, as it does there.
//!
//! Lines on its output that a log probe can rely on:
//! - `engine: answers`, after every start
//! - `engine: ended by signal 9; again in 500 ms`, or `engine: ended with code 1; …`

mod api;
mod dockerd;
mod furnish;
mod manager;

use std::{io::Write as _, path::Path, process::ExitCode};

use crate::{
    host::own_root,
    runtime::{ENGINE_DATA, ENGINE_HOST},
};

/// Runs it until SIGTERM. The arguments are the engine's own.
#[must_use]
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let entered = own_root::enter(Path::new(ENGINE_HOST), Path::new(ENGINE_DATA))
        .and_then(|()| own_root::open_cgroups());
    let done = entered
        .map_err(|error| format!("no root for an engine: {error}"))
        .and_then(|()| manager::run(&args.collect::<Vec<_>>()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

/// A line on the container's output.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "engine: {line}");
}
