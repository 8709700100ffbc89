//! Removing all that a run has made at the engine. Idempotent: what is gone already is fine.

use std::{future::Future, time::Duration};

use bollard::query_parameters::{RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{Docker, error};
use crate::runtime::{ObjectKind, ObjectRef, Result, RuntimeError, labels};

/// How long an object may stay busy after its last user went.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// Objects removed at a time.
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
            ObjectKind::Network => {
                patiently(|| async {
                    let call = self.call("removing", "network", id);
                    call.run(self.client.remove_network(id)).await
                })
                .await
            }
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

    /// A container and its anonymous volumes. It is unpaused first: a frozen process does not die.
    async fn remove_container(&self, id: &str) -> Result<()> {
        // gone, not running, on its way out: what matters is the removal
        if let Err(error @ (RuntimeError::Timeout { .. } | RuntimeError::NoEngine { .. })) =
            self.unpause(id).await
        {
            return Err(error);
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
    loop {
        let result = gone_is_fine(attempt().await);
        match &result {
            Err(error) if error::is_busy(error) && Instant::now() < end => {
                tokio::time::sleep(PAUSE).await;
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
