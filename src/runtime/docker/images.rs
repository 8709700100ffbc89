//! Images: pulled by policy, or made from our own executable and handed over on the wire.

use std::{collections::HashMap, time::Duration};

use bollard::{
    body_try_stream,
    models::{CreateImageInfo, ImageSummary},
    query_parameters::{
        CreateImageOptions, ListContainersOptions, ListImagesOptions, RemoveImageOptions,
    },
};
use futures_util::{Stream, TryStreamExt, future};

use super::{Docker, alone::Alone, build_hash, layer, program::Companions};
use crate::runtime::{ImageRef, PullPolicy, Result, RuntimeError, labels};

/// Repository of our own image. The tag is the start of the build hash.
pub const OWN_IMAGE: &str = "keelhaul/helper";
/// The name under which scenarios ask for it.
pub const SPECIMEN_IMAGE: &str = "keelhaul/specimen";
/// Likewise, for an engine of the scenario's own.
pub const ENGINE_IMAGE: &str = "keelhaul/engine";

/// A registry far away, a large image.
const PULL_LIMIT: Duration = Duration::from_secs(600);
/// Half a second on an idle machine; a busy disk may need much more.
const IMPORT_LIMIT: Duration = Duration::from_secs(180);
/// Another command may be about to use an image that is younger, in seconds.
const GRACE: i64 = 3600;

impl Docker {
    pub(super) async fn image_id(&self, image: &ImageRef) -> Result<String> {
        if is_own(&image.name) {
            return self.own_image().await;
        }
        if image.pull != PullPolicy::Always {
            match self.present(&image.name).await {
                Err(RuntimeError::ImageMissing { .. }) if image.pull == PullPolicy::Missing => {}
                other => return other,
            }
        }
        self.pull(&image.name).await?;
        self.present(&image.name).await
    }

    /// Id of an image that is there.
    async fn present(&self, name: &str) -> Result<String> {
        let call = self.call("looking at", "image", name);
        let image = call.run(self.client.inspect_image(name)).await?;
        image.id.ok_or_else(|| call.refused("an image without an id"))
    }

    async fn pull(&self, name: &str) -> Result<()> {
        let options = CreateImageOptions {
            from_image: Some(with_tag(name)),
            ..CreateImageOptions::default()
        };
        let call = self.call("pulling", "image", name).within(PULL_LIMIT);
        let pulled = call.run(finish(self.client.create_image(Some(options), None, None))).await;
        pulled.map_err(|error| match error {
            RuntimeError::Refused { detail, .. } => {
                RuntimeError::NotPulled { image: name.to_owned(), detail }
            }
            other => other,
        })
    }

    /// Id of our own image, made when it is not there yet.
    async fn own_image(&self) -> Result<String> {
        let hash = tokio::task::spawn_blocking(|| build_hash().map_err(|error| error.to_string()))
            .await
            .map_err(|error| error.to_string())
            .and_then(|hash| hash)
            .map_err(|detail| self.call("reading", "our own executable", "").refused(detail))?;
        let tag = &hash[..16];
        let name = format!("{OWN_IMAGE}:{tag}");
        if let Ok(id) = self.present(&name).await {
            return Ok(id);
        }
        let _alone = Alone::wait(IMPORT_LIMIT).await;
        match self.present(&name).await {
            Err(RuntimeError::ImageMissing { .. }) => {}
            other => return other,
        }
        self.import(&name, tag, hash).await?;
        let id = self.present(&name).await?;
        // the new image does not need the room
        let _ = self.remove_old_images(hash).await;
        Ok(id)
    }

    /// Makes an image from a tar on the request's body: no build, no registry.
    async fn import(&self, name: &str, tag: &str, hash: &str) -> Result<()> {
        let call = self.call("making", "image", name).within(IMPORT_LIMIT);
        let companions =
            Companions::find().map_err(|error| call.refused(format!("our executable: {error}")))?;
        let mut changes = vec![
            format!("ENTRYPOINT [\"{}\"]", layer::PROGRAM),
            format!("LABEL {}={hash} {}={}", labels::BUILD, labels::ROLE, labels::ROLE_IMAGE),
        ];
        // where the loader finds its objects through a configuration file that stays behind
        let directories: Vec<_> =
            companions.directories().iter().filter_map(|directory| directory.to_str()).collect();
        if !directories.is_empty() {
            changes.push(format!("ENV LD_LIBRARY_PATH=\"{}\"", directories.join(":")));
        }
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(OWN_IMAGE.to_owned()),
            tag: Some(tag.to_owned()),
            changes,
            ..CreateImageOptions::default()
        };
        let body = body_try_stream(layer::stream(companions));
        call.run(finish(self.client.create_image(Some(options), Some(body), None))).await
    }

    /// Removes images of other builds of ours that no container uses and that are old enough.
    async fn remove_old_images(&self, hash: &str) -> Result<()> {
        let ours = HashMap::from([("label".to_owned(), vec![labels::BUILD.to_owned()])]);
        let options = ListImagesOptions { filters: Some(ours), ..ListImagesOptions::default() };
        let call = self.call("listing", "images", "");
        let images = call.run(self.client.list_images(Some(options))).await?;
        let all = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let call = self.call("listing", "containers", "");
        let containers = call.run(self.client.list_containers(Some(all))).await?;
        let now = jiff::Timestamp::now().as_second();
        for image in images {
            let used = containers.iter().any(|user| user.image_id.as_ref() == Some(&image.id));
            if used || !is_stale(&image, hash, now) {
                continue;
            }
            let call = self.call("removing", "image", &image.id);
            let options = None::<RemoveImageOptions>;
            // used after all, or gone
            let _ = call.run(self.client.remove_image(&image.id, options, None)).await;
        }
        Ok(())
    }
}

/// True for the names that stand for our own executable, whatever their tag.
fn is_own(name: &str) -> bool {
    let repository = name.split_once(':').map_or(name, |(repository, _)| repository);
    [OWN_IMAGE, SPECIMEN_IMAGE, ENGINE_IMAGE].contains(&repository)
}

/// True for an image of ours that nobody can be about to use: another build's, or one that lost its
/// tag to a twin, and old enough.
fn is_stale(image: &ImageSummary, hash: &str, now: i64) -> bool {
    let Some(build) = image.labels.get(labels::BUILD) else {
        return false;
    };
    let current = build == hash && !image.repo_tags.is_empty();
    !current && now - image.created >= GRACE
}

/// Reads the progress to its end; the last error in it is the call's.
async fn finish(
    progress: impl Stream<Item = std::result::Result<CreateImageInfo, bollard::errors::Error>>,
) -> std::result::Result<(), bollard::errors::Error> {
    progress.try_for_each(|_| future::ok(())).await
}

/// Without a tag the engine would pull every tag there is.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_names_one_tag() {
        assert_eq!(with_tag("redis"), "redis:latest");
        assert_eq!(with_tag("host:5000/redis"), "host:5000/redis:latest");
        assert_eq!(with_tag("host:5000/redis:7"), "host:5000/redis:7");
        assert_eq!(with_tag("redis@sha256:00"), "redis@sha256:00");
    }

    #[test]
    fn our_names_are_known_with_any_tag() {
        assert!(is_own("keelhaul/specimen") && is_own("keelhaul/helper:latest"));
        assert!(!is_own("keelhaul/specimens") && !is_own("other/keelhaul/helper"));
    }

    #[test]
    fn only_old_images_of_ours_are_removed() {
        let image = |build: Option<&str>, tags: &[&str], created| ImageSummary {
            labels: build
                .map(|hash| (labels::BUILD.to_owned(), hash.to_owned()))
                .into_iter()
                .collect(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            created,
            ..ImageSummary::default()
        };
        let now = 1_000_000;
        let long_ago = now - GRACE;
        assert!(is_stale(&image(Some("old"), &["keelhaul/helper:old"], long_ago), "new", now));
        assert!(is_stale(&image(Some("new"), &[], long_ago), "new", now));
        assert!(!is_stale(&image(Some("new"), &["keelhaul/helper:new"], long_ago), "new", now));
        assert!(!is_stale(&image(Some("old"), &["keelhaul/helper:old"], long_ago + 1), "new", now));
        assert!(!is_stale(&image(None, &["theirs"], long_ago), "new", now));
    }
}
