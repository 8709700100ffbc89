//! The engine's own process on this host: whose mount namespace is the host's as far as data goes.
//!
//! Not pid 1: that may be unreadable, or in another namespace than the engine. Only looks.

use std::{fs, os::unix::net::UnixStream, time::Duration};

use tokio::{runtime::Handle, time::timeout};

use super::super::local_engine::ours;
use crate::{host::process::Identity, runtime::Docker};

/// How long the engine may take to answer a question of an undo.
const ASKED: Duration = Duration::from_secs(3);

/// Command names of engines; the kernel keeps 15 characters.
const NAMES: [&str; 2] = ["dockerd", "podman"];

/// Where the engine's socket is in the helper's container.
fn socket() -> Option<String> {
    std::env::var(crate::runtime::ENGINE_SOCKET).ok()
}

/// The engine that answers on the local socket, else the oldest process with an engine's name.
pub(in crate::helper) fn process() -> Option<Identity> {
    behind_socket().or_else(by_name)
}

/// Whether somebody listens on the engine's socket here; why not.
pub(in crate::helper) fn answers() -> Result<(), String> {
    let path = socket().ok_or("the helper was given no engine socket")?;
    let connected = UnixStream::connect(&path);
    connected.map(drop).map_err(|error| format!("`{path}` in the helper: {error}"))
}

/// Asks the engine of this host something; why it cannot be asked. For threads that may block.
pub(super) fn ask<R>(question: impl AsyncFnOnce(&Docker) -> R) -> Result<R, String> {
    let socket = socket().ok_or("the helper was given no engine socket")?;
    let runtime = Handle::try_current().map_err(|error| error.to_string())?;
    let asked = async {
        let engine = ours(&socket).await.map_err(|error| error.to_string())?;
        Ok(question(&engine).await)
    };
    let asked = runtime.block_on(async { timeout(ASKED, asked).await });
    asked.unwrap_or_else(|_| Err("the engine does not answer".into()))
}

/// Who listens, by the credentials the kernel keeps for the peer. With socket activation that is
/// the service manager, so the name is looked at too.
fn behind_socket() -> Option<Identity> {
    let stream = UnixStream::connect(socket()?).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).ok()?;
    is_engine(pid).then(|| Identity::of(pid).ok()).flatten()
}

fn by_name() -> Option<Identity> {
    let pids = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let engines = pids.filter(|pid| is_engine(*pid)).filter_map(|pid| Identity::of(pid).ok());
    engines.min_by_key(|process| process.start_time)
}

fn is_engine(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| NAMES.contains(&name.trim_end()))
}
