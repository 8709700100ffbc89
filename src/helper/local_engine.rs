//! The engine on its local socket, where it is the one that has this helper's container.

use crate::runtime::{Docker, Runtime as _, RuntimeError};

/// Connects. The socket of an engine that the command line reaches by TCP is a guess: an engine that
/// does not know our own container is not the one.
///
/// # Errors
/// When it is absent, or another one.
pub(super) async fn ours(socket: &str) -> Result<Docker, RuntimeError> {
    let found = Docker::connect_socket(socket)?;
    // the engine names a container's host after its id
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    found.inspect(own.trim()).await?;
    Ok(found)
}
