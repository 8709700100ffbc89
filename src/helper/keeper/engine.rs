//! The engine as the keeper reaches it: over its local socket, and only if it is the right one.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{
    protocol::EngineOp,
    runtime::{Docker, ENGINE_SOCKET, Runtime, RuntimeError},
};

/// How long one engine op may take: the engine hangs on targets in D state.
const OP: Duration = Duration::from_secs(30);
/// How long the engine may take to say whether it knows us.
const LOOK: Duration = Duration::from_secs(5);

/// How an engine op went.
pub(super) enum Engine {
    /// It is done.
    Done,
    /// There is no engine that could do it now.
    Waits,
    /// It refused.
    Failed(String),
}

/// The engine's socket in this container, and the client once the engine has shown to be ours.
#[derive(Default)]
pub(super) struct LocalEngine {
    socket: Option<String>,
    client: Mutex<Option<Arc<Docker>>>,
}

impl LocalEngine {
    /// By the environment; `none` for a keeper that has no engine.
    pub(super) fn find(none: bool) -> Self {
        let socket = if none { None } else { std::env::var(ENGINE_SOCKET).ok() };
        Self { socket, client: Mutex::new(None) }
    }

    /// Whether there may be one, now or later.
    pub(super) fn possible(&self) -> bool {
        self.socket.is_some()
    }

    /// Performs an op.
    pub(super) async fn perform(&self, op: &EngineOp) -> Engine {
        let Some(client) = self.client().await else { return Engine::Waits };
        match timeout(OP, client.perform(op)).await {
            // what is gone needs no undo
            Ok(Ok(()) | Err(RuntimeError::Gone { .. })) => Engine::Done,
            Ok(Err(RuntimeError::NoEngine { .. } | RuntimeError::Permission { .. })) => {
                Engine::Waits
            }
            Ok(Err(error)) => Engine::Failed(error.to_string()),
            Err(_) => {
                Engine::Failed(format!("the engine did not answer within {} s", OP.as_secs()))
            }
        }
    }

    /// The socket of an engine that we reach by TCP is a guess: an engine that does not know our
    /// own container is not the one.
    async fn client(&self) -> Option<Arc<Docker>> {
        let mut client = self.client.lock().await;
        if client.is_none() {
            let found = Arc::new(Docker::connect_socket(self.socket.as_ref()?).ok()?);
            // the engine names a container's host after its id
            let own = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
            match timeout(LOOK, found.inspect(own.trim())).await {
                Ok(Ok(_)) => *client = Some(found),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the local engine is absent, or another one");
                    sleep(Duration::from_millis(50)).await;
                }
                Err(_) => {}
            }
        }
        client.clone()
    }
}
