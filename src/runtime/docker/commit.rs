//! `docker commit` taken for a backup: a container is committed, removed, and made anew from the
//! image.
//!
//! The engine commits the container's own layer and nothing of its volumes. So the new one gets
//! volumes of its own, empty, as it would on any other host. Image and volumes carry the run's
//! label, and go with the run.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    models::{ContainerConfig, ContainerCreateBody, MountType},
    query_parameters::{CommitContainerOptions, InspectContainerOptions, RemoveContainerOptions},
};

use super::{Docker, containers::CREATE_LIMIT, recreate::same_again};
use crate::runtime::{Result, VolumeSpec, labels};

impl Docker {
    /// Stops, commits, removes, creates from the image, and starts.
    pub(super) async fn run_from_commit(&self, container: &str, grace_ms: u64) -> Result<()> {
        let call = self.call("looking at", "container", container);
        let options = None::<InspectContainerOptions>;
        let old = call.run(self.client.inspect_container(container, options)).await?;
        let (name, mut body) = same_again(old);
        self.stop(container, grace_ms).await?;
        body.image = Some(self.commit(container, body.labels.clone()).await?);
        let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        let call = self.call("removing", "container", container);
        call.run(self.client.remove_container(container, Some(options))).await?;
        self.with_empty_volumes(&mut body).await?;
        let new = self.create_from(&name, body).await?;
        self.start(&new).await
    }

    /// Commits a container to an image without a name; returns the image's id.
    async fn commit(
        &self,
        container: &str,
        labels: Option<HashMap<String, String>>,
    ) -> Result<String> {
        let options = CommitContainerOptions {
            container: Some(container.to_owned()),
            ..CommitContainerOptions::default()
        };
        let config = ContainerConfig { labels, ..ContainerConfig::default() };
        let call = self.call("committing", "container", container).within(CREATE_LIMIT);
        Ok(call.run(self.client.commit_container(options, config)).await?.id)
    }

    /// Gives each volume's place to a new one.
    async fn with_empty_volumes(&self, body: &mut ContainerCreateBody) -> Result<()> {
        let labels: Vec<_> = body.labels.iter().flatten().collect();
        let run = labels.iter().find(|(key, _)| *key == labels::RUN);
        let run = run.map(|(_, run)| (*run).clone()).unwrap_or_default();
        let mounts = body.host_config.iter_mut().flat_map(|host| host.mounts.iter_mut().flatten());
        for mount in mounts.filter(|mount| mount.typ == Some(MountType::VOLUME)) {
            let old = mount.source.take().unwrap_or_default();
            let spec = VolumeSpec {
                name: format!("{old}-anew"),
                labels: [(labels::RUN, run.as_str()), (labels::ROLE, labels::ROLE_VOLUME)]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                driver: "local".to_owned(),
                options: BTreeMap::new(),
            };
            self.new_volume(&spec).await?;
            mount.source = Some(spec.name);
        }
        Ok(())
    }
}
