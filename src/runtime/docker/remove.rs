//! Removing all that a run has made at the engine. Idempotent: what is gone already is fine.

use std::{future::Future, time::Duration};

use bollard::{
    models::NetworkDisconnectRequest,
    query_parameters::{
        InspectNetworkOptions, RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions,
    },
};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{Docker, error};
use crate::runtime::{ObjectKind, ObjectRef, Result, RuntimeError, State, labels};

/// How long an object may stay busy after its last user went.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between the first attempts; it doubles, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Containers and volumes removed at a time: more at once, and a busy engine loses endpoints.
const AT_ONCE: usize = 8;

impl Docker {
    /// Removes the containers, networks and volumes of a run, but the helper and the journal.
    /// Goes on after a failure; the first one is the result.
    pub(super) async fn remove_run(&self, run: &str) -> Result<()> {
        let mut objects = self.objects_of(Some(run)).await?;
        objects.retain(|object| {
            ![labels::ROLE_HELPER, labels::ROLE_JOURNAL].contains(&object.role.as_str())
        });
        let mut first = Ok(());
        for kind in [ObjectKind::Container, ObjectKind::Network, ObjectKind::Volume] {
            let these: Vec<_> =
                objects.iter().filter(|object| object.kind == kind).cloned().collect();
            let results: Vec<_> = stream::iter(these)
                .map(|object| async move { self.remove(&object).await })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            first = results.into_iter().fold(first, Result::and);
        }
        first
    }

    /// Removes one object, whatever its role; success too when it is gone already. Images are
    /// left alone while a container uses them.
    ///
    /// # Errors
    /// When it is still there.
    pub async fn remove(&self, object: &ObjectRef) -> Result<()> {
        let id = object.id.as_str();
        match object.kind {
            ObjectKind::Container => self.remove_container(id).await,
            ObjectKind::Network => self.remove_network(id, &object.name).await,
            ObjectKind::Volume => {
                patiently(|| async {
                    let call = self.call("removing", "volume", id);
                    call.run(self.client.remove_volume(id, None::<RemoveVolumeOptions>)).await
                })
                .await
            }
            ObjectKind::Image => {
                let call = self.call("removing", "image", id);
                gone_is_fine(
                    call.run(self.client.remove_image(id, None::<RemoveImageOptions>, None))
                        .await
                        .map(drop),
                )
            }
        }
    }

    /// A network, and whatever the engine still counts as connected to it.
    async fn remove_network(&self, id: &str, name: &str) -> Result<()> {
        let removed = patiently(|| async {
            let call = self.call("removing", "network", id);
            let removed = call.run(self.client.remove_network(id)).await;
            if removed.as_ref().is_err_and(error::is_busy) {
                self.disconnect_all(id).await;
            }
            removed
        })
        .await;
        removed.map_err(|error| leaked(error, name))
    }

    /// Best effort. A busy engine loses endpoints: their containers are gone, and they stay until
    /// somebody disconnects them by force and by name.
    async fn disconnect_all(&self, id: &str) {
        let call = self.call("looking at", "network", id);
        let options = None::<InspectNetworkOptions>;
        let Ok(network) = call.run(self.client.inspect_network(id, options)).await else { return };
        for (key, endpoint) in network.containers.unwrap_or_default() {
            let container = endpoint.name.filter(|name| !name.is_empty()).unwrap_or(key);
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            let call = self.call("disconnecting from", "network", id);
            if let Err(error) = call.run(self.client.disconnect_network(id, request)).await {
                tracing::debug!(%error, "an endpoint cannot be disconnected");
            }
        }
    }

    /// A container and its anonymous volumes. A paused one is unpaused first: a frozen process does
    /// not die. Others are not, because the engine logs that as an error of its own.
    async fn remove_container(&self, id: &str) -> Result<()> {
        match self.container_facts(id).await {
            Ok(facts) if facts.state == State::Paused => match self.unpause(id).await {
                Err(error) if is_silent(&error) => return Err(error),
                _ => {}
            },
            Err(RuntimeError::Gone { .. }) => return Ok(()),
            Err(error) if is_silent(&error) => return Err(error),
            // being removed, dead: what matters is the removal
            _ => {}
        }
        patiently(|| async {
            let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
            let call = self.call("removing", "container", id);
            let result = call.run(self.client.remove_container(id, Some(options))).await;
            match result {
                Err(error) if error::is_being_removed(&error) => Err(call.refused("in use")),
                other => other,
            }
        })
        .await
    }
}

/// Tries again while the object is busy, for a bounded time.
async fn patiently<F: Future<Output = Result<()>>>(attempt: impl Fn() -> F) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    loop {
        let result = gone_is_fine(attempt().await);
        match &result {
            Err(error) if error::is_busy(error) && Instant::now() < end => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            _ => return result,
        }
    }
}

fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(RuntimeError::Gone { .. } | RuntimeError::ImageMissing { .. }) => Ok(()),
        other => other,
    }
}

/// Says what helps against an endpoint that nothing disconnects.
fn leaked(error: RuntimeError, network: &str) -> RuntimeError {
    match error {
        RuntimeError::Refused { detail, .. } if detail.contains("active endpoints") => {
            RuntimeError::LeakedEndpoint { network: network.to_owned(), detail }
        }
        other => other,
    }
}

/// There is no engine, or one that hangs: another call would only wait too.
fn is_silent(error: &RuntimeError) -> bool {
    matches!(error, RuntimeError::Timeout { .. } | RuntimeError::NoEngine { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::runtime::docker::scripted::{self, ScriptedEngine};

    fn object(kind: ObjectKind) -> ObjectRef {
        let (id, name) = ("x".to_owned(), "keelhaul-r-x".to_owned());
        ObjectRef { kind, id, name, run: "r".into(), role: labels::ROLE_SUBJECT.into() }
    }

    #[tokio::test]
    async fn only_a_paused_container_is_unpaused() {
        for (state, unpaused) in [("running", 0), ("exited", 0), ("paused", 1)] {
            let engine = ScriptedEngine::start(move |asked| match asked {
                "GET /containers/x/json" => {
                    scripted::json(&json!({ "State": { "Status": state } }))
                }
                _ => Some((204, String::new())),
            });
            engine.client().remove(&object(ObjectKind::Container)).await.unwrap();
            assert_eq!(engine.asked("/unpause").len(), unpaused, "{state}");
            assert_eq!(engine.asked("DELETE /containers/x").len(), 1, "{state}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_the_engine_has_lost_is_disconnected_by_force() {
        let free = AtomicBool::new(false);
        let engine = ScriptedEngine::start(move |asked| match asked {
            "GET /networks/x" => {
                let lost = json!({ "ep-1": { "Name": "lost" } });
                scripted::json(&json!({ "Containers": lost }))
            }
            "POST /networks/x/disconnect" => {
                free.store(true, Ordering::Relaxed);
                scripted::json(&json!({}))
            }
            _ if free.load(Ordering::Relaxed) => Some((204, String::new())),
            _ => scripted::refuse(403, "network x has active endpoints (name:\"lost\")"),
        });
        engine.client().remove(&object(ObjectKind::Network)).await.unwrap();
        assert_eq!(engine.asked("DELETE").len(), 2);
    }

    #[test]
    fn an_endpoint_that_never_goes_is_said_to_need_another_start_of_the_engine() {
        let detail = "network x has active endpoints".to_owned();
        let refused = RuntimeError::Refused { doing: "removing network `x`".into(), detail };
        let text = leaked(refused, "keelhaul-r-x").to_string();
        assert!(text.contains("`keelhaul-r-x`") && text.contains("restart the engine"), "{text}");
    }
}
