//! Removing a container and making it anew: same name, same configuration, another id.
//!
//! What lay in its own layer is gone; volumes stay.

use std::collections::HashMap;

use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse, NetworkingConfig},
    query_parameters::{InspectContainerOptions, RemoveContainerOptions},
};

use super::{Docker, network};
use crate::runtime::Result;

impl Docker {
    /// Stops, removes, creates and starts. A stopped container is also started.
    pub(super) async fn recreate(&self, container: &str, grace_ms: u64) -> Result<()> {
        let (name, body) = self.take_down(container, grace_ms).await?;
        self.bring_up(&name, body).await
    }

    /// Stops and removes; returns what makes it again.
    pub(super) async fn take_down(
        &self,
        container: &str,
        grace_ms: u64,
    ) -> Result<(String, ContainerCreateBody)> {
        let call = self.call("looking at", "container", container);
        let old = call
            .run(self.client.inspect_container(container, None::<InspectContainerOptions>))
            .await?;
        let again = same_again(old);
        self.stop(container, grace_ms).await?;
        // without `v`: anonymous volumes belong to nobody now, which is what users meet
        let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        let call = self.call("removing", "container", container);
        call.run(self.client.remove_container(container, Some(options))).await?;
        Ok(again)
    }

    /// Creates and starts.
    pub(super) async fn bring_up(&self, name: &str, body: ContainerCreateBody) -> Result<()> {
        let new = self.create_from(name, body).await?;
        self.start(&new).await
    }
}

/// The request that makes the same container again.
pub(super) fn same_again(old: ContainerInspectResponse) -> (String, ContainerCreateBody) {
    let name = old.name.unwrap_or_default().trim_start_matches('/').to_owned();
    let config = old.config.unwrap_or_default();
    let id = old.id.unwrap_or_default();
    let networks = old.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let body = ContainerCreateBody {
        // by id: a tag may have moved
        image: old.image.or(config.image),
        cmd: config.cmd,
        entrypoint: config.entrypoint,
        env: config.env,
        user: config.user,
        working_dir: config.working_dir,
        labels: config.labels,
        healthcheck: config.healthcheck,
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        host_config: old.host_config,
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(endpoints(networks, &id)),
        }),
        ..ContainerCreateBody::default()
    };
    (name, body)
}

/// The networks as they were asked for: addresses are given anew.
fn endpoints(
    networks: HashMap<String, bollard::models::EndpointSettings>,
    id: &str,
) -> HashMap<String, bollard::models::EndpointSettings> {
    networks
        .into_iter()
        .map(|(network, old)| {
            let aliases = old.aliases.map(|aliases| network::asked_for(aliases, id));
            (network, bollard::models::EndpointSettings { aliases, ..Default::default() })
        })
        .collect()
}
