//! Removing a volume with the container that uses it, and making both anew: same names, same
//! configuration, nothing in it.

use std::collections::HashMap;

use bollard::{models::VolumeCreateRequest, query_parameters::RemoveVolumeOptions};

use super::Docker;
use crate::runtime::Result;

impl Docker {
    /// A volume that others use too is refused before anything is removed.
    pub(super) async fn replace_volume(
        &self,
        container: &str,
        volume: &str,
        grace_ms: u64,
    ) -> Result<()> {
        let removal = self.call("removing", "volume", volume);
        let users = HashMap::from([("volume".to_owned(), vec![volume.to_owned()])]);
        let users = self.containers(Some(users)).await?;
        if let Some(other) = users.iter().find(|user| user.id != container) {
            return Err(removal.refused(format!("container `{}` uses it too", other.name)));
        }
        let call = self.call("looking at", "volume", volume);
        let old = call.run(self.client.inspect_volume(volume)).await?;
        let again = VolumeCreateRequest {
            name: Some(old.name),
            driver: Some(old.driver),
            driver_opts: Some(old.options),
            labels: Some(old.labels),
            ..VolumeCreateRequest::default()
        };
        let (name, body) = self.take_down(container, grace_ms).await?;
        removal.run(self.client.remove_volume(volume, None::<RemoveVolumeOptions>)).await?;
        let call = self.call("creating", "volume", volume);
        call.run(self.client.create_volume(again)).await?;
        self.bring_up(&name, body).await
    }
}
