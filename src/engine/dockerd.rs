//! The engine's process: started, and what a killed one leaves cleared away.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    host::process::Identity,
    runtime::{ENGINE_DATA, ENGINE_PATH, ENGINE_PORT},
};

/// Says which process is, or was, the engine; one that was killed leaves it.
const PID_FILE: &str = "/run/docker.pid";
/// The engine kills its containerd, or the kernel does when the engine is killed.
const GOING: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Starts it.
pub(super) fn start(args: &[String]) -> Result<Child, String> {
    let mut command = Command::new("dockerd");
    command.args(["--data-root", ENGINE_DATA, "--pidfile", PID_FILE]);
    // nobody outside this network namespace reaches its loopback
    command.args(["-H", &format!("tcp://127.0.0.1:{ENGINE_PORT}"), "--tls=false"]);
    command.args(["--bridge=none", "--iptables=false", "--log-level=warn"]);
    // the host's libraries are meant, not those of our own image; and no security module of the
    // host is to be asked from in here
    command.env_clear().env("PATH", ENGINE_PATH).env("container", "docker");
    command.args(args).stdin(Stdio::null());
    command.spawn().map_err(|error| format!("cannot run `dockerd`: {error}"))
}

/// Clears away what a killed one left. Its containerd dies a moment after it: an engine that starts
/// meanwhile takes that for its own, and waits for a socket that nobody listens on.
pub(super) fn clear_away() {
    let end = Instant::now() + GOING;
    while let Some(left) = containerd() {
        if Instant::now() > end {
            let _ = left.signal(libc::SIGKILL);
        }
        thread::sleep(POLL);
    }
    let _ = fs::remove_file(PID_FILE);
    let _ = fs::remove_file("/run/docker/containerd/containerd.pid");
}

/// A containerd that lives; there is no other in this pid namespace.
fn containerd() -> Option<Identity> {
    let pids = fs::read_dir("/proc").ok()?;
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.find_map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim_end() == "containerd")
            .then(|| Identity::of(pid).ok())?
            .filter(|one| one.is_alive())
    })
}
