//! A keeper as a child process, for a command line that has the host's privileges itself, and for
//! tests of the protocol, which need no container.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

use super::{
    super::{HelperError, Result},
    launch::{Connection, Launcher},
};
use crate::failpoint;

/// Starts keepers as child processes on a directory of this host.
#[derive(Debug)]
pub struct ProcessLauncher {
    program: PathBuf,
    dir: PathBuf,
    run: String,
    child: Mutex<Option<Child>>,
}

impl ProcessLauncher {
    /// With this executable, on this directory, which must be there.
    #[must_use]
    pub fn new(program: &Path, dir: &Path, run: &str) -> Self {
        let (program, dir) = (program.to_owned(), dir.to_owned());
        Self { program, dir, run: run.to_owned(), child: Mutex::new(None) }
    }

    /// Pid of the keeper that runs now.
    pub async fn pid(&self) -> Option<u32> {
        self.child.lock().await.as_ref().and_then(Child::id)
    }

    async fn spawn(&self, replay: bool) -> Result<Connection> {
        let mut command = Command::new(&self.program);
        command.arg("helper").args([&self.dir, &self.dir]).arg(&self.run).arg("--no-engine");
        if replay {
            command.arg("--replay").env_remove(failpoint::VARIABLES[0]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let refuse = |detail: String| HelperError::Refused(format!("no keeper: {detail}"));
        let mut child = command.spawn().map_err(|error| refuse(error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(refuse("it has no streams".into()));
        };
        *self.child.lock().await = Some(child);
        Ok(Connection { input: Box::new(input), output: Box::new(output) })
    }
}

impl Launcher for ProcessLauncher {
    fn run(&self) -> &str {
        &self.run
    }

    fn launch(&self, replay: bool) -> BoxFuture<'_, Result<Connection>> {
        Box::pin(self.spawn(replay))
    }

    fn dispose(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(mut child) = self.child.lock().await.take() {
                let _ = child.start_kill();
                let _ = timeout(Duration::from_secs(5), child.wait()).await;
            }
        })
    }

    fn mark_kept(&self) -> BoxFuture<'_, Result<()>> {
        // its directory is the caller's, who knows
        Box::pin(async { Ok(()) })
    }

    fn await_end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(mut child) = self.child.lock().await.take() {
                let _ = timeout(Duration::from_secs(5), child.wait()).await;
            }
        })
    }

    fn remove(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let Some(mut child) = self.child.lock().await.take() else { return Ok(()) };
            match timeout(Duration::from_secs(5), child.wait()).await {
                Ok(Ok(status)) if status.success() => Ok(()),
                Ok(status) => {
                    Err(HelperError::Refused(format!("the keeper ended badly: {status:?}")))
                }
                Err(_) => Err(HelperError::Refused("the keeper does not end".into())),
            }
        })
    }
}
