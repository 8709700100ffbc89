//! The engine as the keeper reaches it: over its local socket, and only if it is the right one.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::super::local_engine::ours;
use crate::{
    protocol::EngineOp,
    runtime::{Docker, ENGINE_SOCKET, Runtime, RuntimeError},
};

/// How long one engine op may take: the engine hangs on targets in D state.
const OP: Duration = Duration::from_secs(30);
/// The same for the removal of a run: it may have fifty containers, and networks that are busy.
const REMOVAL: Duration = Duration::from_secs(50);
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
    /// Overrides how long an op may take.
    limit: Option<Duration>,
}

impl LocalEngine {
    /// By the environment; `none` for a keeper that has no engine.
    pub(super) fn find(none: bool) -> Self {
        let socket = if none { None } else { std::env::var(ENGINE_SOCKET).ok() };
        Self { socket, client: Mutex::new(None), limit: None }
    }

    /// Whether there may be one, now or later.
    pub(super) fn possible(&self) -> bool {
        self.socket.is_some()
    }

    /// Performs an op.
    pub(super) async fn perform(&self, op: &EngineOp) -> Engine {
        let Some(client) = self.client().await else { return Engine::Waits };
        let limit = self.limit.unwrap_or_else(|| limit(op));
        match timeout(limit, client.perform(op)).await {
            // what is gone needs no undo
            Ok(Ok(()) | Err(RuntimeError::Gone { .. })) => Engine::Done,
            Ok(Err(RuntimeError::NoEngine { .. } | RuntimeError::Permission { .. })) => {
                Engine::Waits
            }
            Err(_) | Ok(Err(RuntimeError::Timeout { .. })) => {
                tracing::warn!(?op, "the engine hangs");
                // whether it answers at all is asked again before anything else is
                *self.client.lock().await = None;
                Engine::Waits
            }
            Ok(Err(error)) => Engine::Failed(error.to_string()),
        }
    }

    async fn client(&self) -> Option<Arc<Docker>> {
        let mut client = self.client.lock().await;
        if client.is_none() {
            match timeout(LOOK, ours(self.socket.as_ref()?)).await {
                Ok(Ok(found)) => *client = Some(Arc::new(found)),
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

fn limit(op: &EngineOp) -> Duration {
    if matches!(op, EngineOp::RemoveRun { .. }) { REMOVAL } else { OP }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::runtime::scripted::{self, ScriptedEngine};

    #[tokio::test]
    async fn an_engine_that_hangs_is_waited_for_and_looked_at_again() {
        let hangs = Arc::new(AtomicBool::new(true));
        let switch = Arc::clone(&hangs);
        let engine = ScriptedEngine::start(move |asked| match asked {
            "POST /containers/c/unpause" if switch.load(Ordering::Relaxed) => None,
            "POST /containers/c/unpause" => Some((204, String::new())),
            _ => scripted::json(&json!({})),
        });
        let local = LocalEngine {
            socket: Some(engine.socket()),
            client: Mutex::new(None),
            limit: Some(Duration::from_millis(300)),
        };
        let unpause = EngineOp::Unpause { container: "c".into() };
        assert!(matches!(local.perform(&unpause).await, Engine::Waits));
        hangs.store(false, Ordering::Relaxed);
        assert!(matches!(local.perform(&unpause).await, Engine::Done));
        assert_eq!(engine.asked("GET /containers/").len(), 2);
    }
}
