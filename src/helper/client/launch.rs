//! How a keeper comes to run: in a container, or as a child process. Data and a trait.

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::Result;

/// The two streams of a keeper.
pub struct Connection {
    /// Its standard input.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

/// Starts keepers on one run's directory, one at a time.
pub trait Launcher: Send + Sync {
    /// The run.
    fn run(&self) -> &str;
    /// Starts a keeper. `replay`: there may be a journal, whose faults it reverts at once.
    fn launch(&self, replay: bool) -> BoxFuture<'_, Result<Connection>>;
    /// Kills the keeper that was started last, if it still is there. Bounded in time.
    fn dispose(&self) -> BoxFuture<'_, ()>;
    /// Leaves a mark that the run was kept on purpose, where others look for runs.
    fn mark_kept(&self) -> BoxFuture<'_, Result<()>>;
    /// Waits, for a bounded time, until a keeper that was told to end is gone.
    fn await_end(&self) -> BoxFuture<'_, ()>;
    /// Removes everything that `launch` made, the run's directory included, and makes sure of it.
    fn remove(&self) -> BoxFuture<'_, Result<()>>;
}
