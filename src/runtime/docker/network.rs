//! Containers on networks: joining, leaving, and what the engine says of it.

use std::collections::HashMap;

use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};

use super::{Docker, lifecycle::unless};
use crate::runtime::{ContainerNetwork, Result};

impl Docker {
    pub(super) async fn disconnect(&self, container: &str, network: &str) -> Result<()> {
        let call = self.call("disconnecting", "container", container);
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            ..NetworkDisconnectRequest::default()
        };
        unless(call.run(self.client.disconnect_network(network, request)).await, "is not connected")
    }

    /// Joins a network. The address is the engine's choice: it lets itself be told one only on
    /// networks whose subnet somebody configured.
    pub(super) async fn connect_to(
        &self,
        container: &str,
        network: &str,
        aliases: &[String],
    ) -> Result<()> {
        let facts = self.container_facts(container).await?;
        if let Some(there) = facts.networks.iter().find(|one| one.id == network) {
            if aliases.iter().all(|alias| there.aliases.contains(alias)) {
                return Ok(());
            }
            // a start joins the first network by itself, and without names
            self.disconnect(container, network).await?;
        }
        let call = self.call("connecting", "container", container);
        let endpoint = EndpointSettings { aliases: Some(aliases.to_vec()), ..Default::default() };
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(endpoint),
        };
        call.run(self.client.connect_network(network, request)).await
    }
}

/// What the engine says of a container's networks, by name.
pub(super) fn facts(
    networks: HashMap<String, EndpointSettings>,
    id: &str,
) -> Vec<ContainerNetwork> {
    let mut facts: Vec<_> = networks
        .into_iter()
        .map(|(name, endpoint)| ContainerNetwork {
            id: endpoint.network_id.unwrap_or_default(),
            name,
            address: endpoint.ip_address.unwrap_or_default(),
            gateway: endpoint.gateway.unwrap_or_default(),
            aliases: asked_for(endpoint.aliases.unwrap_or_default(), id),
        })
        .collect();
    facts.sort_by(|one, other| one.name.cmp(&other.name));
    facts
}

/// Without the container's short id, which the engine adds by itself.
pub(super) fn asked_for(aliases: Vec<String>, id: &str) -> Vec<String> {
    aliases.into_iter().filter(|alias| !id.starts_with(alias.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_own_alias_was_not_asked_for() {
        let endpoint = EndpointSettings {
            network_id: Some("n1".into()),
            ip_address: Some("10.0.0.2".into()),
            aliases: Some(vec!["agent".into(), "6bea0be7a3ab".into()]),
            ..EndpointSettings::default()
        };
        let facts = facts(HashMap::from([("net".into(), endpoint)]), "6bea0be7a3ab0123");
        assert_eq!((facts[0].id.as_str(), facts[0].address.as_str()), ("n1", "10.0.0.2"));
        assert_eq!(facts[0].aliases, ["agent"]);
    }
}
