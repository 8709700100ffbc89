//! What an image holds, asked of a container that is made of it and never started.

use std::sync::atomic::{AtomicU64, Ordering};

use bollard::{errors::Error, query_parameters::ContainerArchiveInfoOptions};
use futures_util::future::try_join_all;

use super::Docker;
use crate::{
    protocol::EngineOp,
    runtime::{ContainerSpec, Result, labels},
};

/// So that two who ask at once do not meet in a name.
static ASKED: AtomicU64 = AtomicU64::new(0);

impl Docker {
    /// Which of these paths are in an image. The container carries the run's label: what cannot be
    /// removed now goes with the run.
    pub(super) async fn paths_in_image(
        &self,
        run: &str,
        image: &str,
        paths: &[String],
    ) -> Result<Vec<bool>> {
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        let spec = ContainerSpec {
            name: format!("keelhaul-{run}-image-{number}"),
            image: image.to_owned(),
            // an image may have none, and the engine wants one
            entrypoint: Some(vec!["/never".to_owned()]),
            labels: labels::of(run, labels::ROLE_SUBJECT, ""),
            ..ContainerSpec::default()
        };
        let container = self.new_container(&spec).await?;
        let asked = paths.iter().map(|path| self.has_path(&container, path));
        let found = try_join_all(asked).await;
        let removed = self.engine_op(&EngineOp::Remove { container }).await;
        found.and_then(|found| removed.map(|()| found))
    }

    async fn has_path(&self, container: &str, path: &str) -> Result<bool> {
        let options = ContainerArchiveInfoOptions { path: path.to_owned() };
        let call = self.call("looking into", "container", container);
        let asked = async {
            match self.client.get_container_archive_info(container, Some(options)).await {
                Ok(_) => Ok(true),
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
                Err(error) => Err(error),
            }
        };
        call.run(asked).await
    }
}
