//! Finding what carries our labels.

use std::{collections::HashMap, time::Duration};

use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
};

use super::Docker;
use crate::runtime::{ObjectKind, ObjectRef, Result, RuntimeError, labels};

/// What a volume stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeBeneath {
    /// A directory of its own, wherever its driver keeps it.
    Own,
    /// A directory of the host, by another name.
    Directory(String),
    /// A filesystem of this type, which the engine mounts for it.
    Filesystem(String),
}

/// What is mounted, as `docker volume create --opt` has it.
fn beneath(options: &Labels) -> VolumeBeneath {
    let of = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
    let bound = of("o").split(',').any(|word| matches!(word, "bind" | "rbind"));
    let (kind, device) = (of("type"), of("device"));
    if !bound && crate::runtime::OWN_FILESYSTEMS.contains(&kind) {
        return VolumeBeneath::Filesystem(kind.to_owned());
    }
    // a disk is mounted, a directory is bound
    if device.starts_with('/') && !device.starts_with("/dev/") {
        return VolumeBeneath::Directory(device.to_owned());
    }
    VolumeBeneath::Own
}

type Filters = Option<HashMap<String, Vec<String>>>;
type Labels = HashMap<String, String>;

impl Docker {
    /// Every object of every run. Our own images belong to none: see [`Self::own_images`].
    ///
    /// # Errors
    /// What the calls came to.
    pub async fn all_objects(&self) -> Result<Vec<ObjectRef>> {
        self.objects_of(None).await
    }

    /// The images that were made from executables of ours; their run is empty.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn own_images(&self) -> Result<Vec<ObjectRef>> {
        self.images(Some(HashMap::from([("label".to_owned(), vec![labels::BUILD.to_owned()])])))
            .await
    }

    /// How long ago a volume was made, by the engine's own clock, in whole seconds; longest where
    /// it is gone or the engine does not say.
    ///
    /// # Errors
    /// What the calls came to.
    pub async fn volume_age(&self, name: &str) -> Result<Duration> {
        let call = self.call("looking at", "volume", name);
        let volume = match call.run(self.client.inspect_volume(name)).await {
            Err(RuntimeError::Gone { .. }) => return Ok(Duration::MAX),
            other => other?,
        };
        let call = self.call("asking for", "what the engine is", "");
        let now = call.run(self.client.info()).await?.system_time;
        let now = now.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let age = volume.created_at.zip(now).map(|(made, now)| {
            // made in the second that its time names, and not at its beginning
            let seconds = now.as_second() - made.unix_timestamp() - 1;
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        });
        Ok(age.unwrap_or(Duration::MAX))
    }

    /// What a volume stands for, by the options of the `local` driver.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn volume_beneath(&self, volume: &str) -> Result<VolumeBeneath> {
        let call = self.call("looking at", "volume", volume);
        match call.run(self.client.inspect_volume(volume)).await {
            Err(RuntimeError::Gone { .. }) => Ok(VolumeBeneath::Own),
            Ok(volume) if volume.driver == "local" => Ok(beneath(&volume.options)),
            Ok(_) => Ok(VolumeBeneath::Own),
            Err(error) => Err(error),
        }
    }

    /// Objects of one run, or of any; sorted.
    pub(super) async fn objects_of(&self, run: Option<&str>) -> Result<Vec<ObjectRef>> {
        let label =
            run.map_or_else(|| labels::RUN.to_owned(), |run| format!("{}={run}", labels::RUN));
        let filters = Some(HashMap::from([("label".to_owned(), vec![label])]));
        let (containers, volumes, networks, images) = tokio::try_join!(
            self.containers(filters.clone()),
            self.volumes(filters.clone()),
            self.networks(filters.clone()),
            self.images(filters),
        )?;
        let mut objects = [containers, volumes, networks, images].concat();
        objects.sort();
        Ok(objects)
    }

    pub(super) async fn containers(&self, filters: Filters) -> Result<Vec<ObjectRef>> {
        let options = ListContainersOptions { all: true, filters, ..Default::default() };
        let call = self.call("listing", "containers", "");
        let found = call.run(self.client.list_containers(Some(options))).await?;
        let mut containers = Vec::new();
        for container in found {
            let id = container.id.unwrap_or_default();
            let names = container.names.unwrap_or_default();
            let name = names.first().map(|name| name.trim_start_matches('/'));
            // an engine that was killed over a removal goes on listing what it no longer has
            if name.is_none() && !self.has_container(&id).await? {
                continue;
            }
            let name = name.unwrap_or(&id).to_owned();
            let labels = container.labels.unwrap_or_default();
            containers.push(object(ObjectKind::Container, id, name, &labels));
        }
        Ok(containers)
    }

    async fn has_container(&self, id: &str) -> Result<bool> {
        match self.labels_of(id).await {
            Err(RuntimeError::Gone { .. }) => Ok(false),
            found => found.map(|_| true),
        }
    }

    async fn volumes(&self, filters: Filters) -> Result<Vec<ObjectRef>> {
        let call = self.call("listing", "volumes", "");
        let options = Some(ListVolumesOptions { filters });
        let found = call.run(self.client.list_volumes(options)).await?.volumes.unwrap_or_default();
        Ok(found
            .into_iter()
            .map(|one| object(ObjectKind::Volume, one.name.clone(), one.name, &one.labels))
            .collect())
    }

    async fn networks(&self, filters: Filters) -> Result<Vec<ObjectRef>> {
        let call = self.call("listing", "networks", "");
        let options = Some(ListNetworksOptions { filters });
        let found = call.run(self.client.list_networks(options)).await?;
        Ok(found
            .into_iter()
            .map(|network| {
                let labels = network.labels.unwrap_or_default();
                let (id, name) = (network.id.unwrap_or_default(), network.name.unwrap_or_default());
                object(ObjectKind::Network, id, name, &labels)
            })
            .collect())
    }

    async fn images(&self, filters: Filters) -> Result<Vec<ObjectRef>> {
        let call = self.call("listing", "images", "");
        let options = ListImagesOptions { filters, ..Default::default() };
        let found = call.run(self.client.list_images(Some(options))).await?;
        Ok(found
            .into_iter()
            .map(|image| {
                let name = image.repo_tags.first().cloned().unwrap_or_default();
                object(ObjectKind::Image, image.id, name, &image.labels)
            })
            .collect())
    }
}

fn object(kind: ObjectKind, id: String, name: String, found: &Labels) -> ObjectRef {
    let label = |key: &str| found.get(key).cloned().unwrap_or_default();
    ObjectRef { kind, id, name, run: label(labels::RUN), role: label(labels::ROLE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_what_its_options_mount() {
        let of = |words: &str| {
            let pairs = words.split(' ').filter_map(|word| word.split_once('='));
            beneath(&pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
        };
        let filesystem = |name: &str| VolumeBeneath::Filesystem(name.to_owned());
        assert_eq!(of(""), VolumeBeneath::Own);
        assert_eq!(of("type=tmpfs device=tmpfs o=size=8m"), filesystem("tmpfs"));
        assert_eq!(of("type=ext4 device=/dev/loop5"), filesystem("ext4"));
        let directory = VolumeBeneath::Directory("/srv/pg".into());
        assert_eq!(of("type=none device=/srv/pg o=bind"), directory);
        assert_eq!(of("type=ext4 device=/srv/pg o=ro,rbind"), directory);
        assert_eq!(of("type=nfs device=:/export o=addr=10.0.0.1"), VolumeBeneath::Own);
    }
}
