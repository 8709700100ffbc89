//! `image`: the image that a service's container was made from. Changes nothing.
//!
//! What it holds is asked of a container that is made of it for the moment, without a volume, and
//! is never started.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong},
};
use crate::{protocol::Capability, runtime::RuntimeError};

/// What the image of a service's container holds, without any volume.
///
/// After `commit-and-recreate` it is what `docker commit` has kept: the container's own layer, and
/// nothing of its volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The service.
    service: String,
    /// Absolute paths that are in the image.
    #[serde(default)]
    holds: Vec<String>,
    /// Absolute paths that are not.
    #[serde(default)]
    lacks: Vec<String>,
}

impl Image {
    fn paths(&self) -> impl Iterator<Item = &String> {
        self.holds.iter().chain(&self.lacks)
    }

    fn judge(&self, found: &[bool]) -> Option<String> {
        let mut wrong = Wrong::default();
        for (index, (path, there)) in self.paths().zip(found).enumerate() {
            let wanted = index < self.holds.len();
            let what = if wanted { "is not in it" } else { "is in it" };
            wrong.unless(wanted == *there, || format!("`{path}` {what}"));
        }
        wrong.violation()
    }
}

fn named(paths: &[String]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

impl Probe for Image {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "image: { service: agent, holds: [/keelhaul], lacks: [/data/journal.log] }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let clauses = [("holds", &self.holds), ("lacks", &self.lacks)];
        let clauses = clauses.into_iter().filter(|(_, paths)| !paths.is_empty());
        let clauses: Vec<_> =
            clauses.map(|(verb, paths)| format!("{verb} {}", named(paths))).collect();
        format!("the image of {} {}", self.service, clauses.join(" and "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.unless(self.paths().next().is_some(), || {
            subject::expects_nothing("holds: [/etc/passwd]")
        });
        for path in self.paths() {
            wrong.add(subject::relative(path));
        }
        let both = self.holds.iter().find(|path| self.lacks.contains(path));
        wrong.add(both.map(|path| {
            format!("`{path}` cannot be in the image and not in it\n\nhint: name it once")
        }));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let image = match cx.runtime().inspect(&place.container).await {
            Ok(facts) => facts.image,
            Err(RuntimeError::Gone { .. }) => {
                return Ok(Sample::outside("gone", "its container was removed"));
            }
            Err(error) => return Err(error.into()),
        };
        let paths: Vec<_> = self.paths().cloned().collect();
        let found = cx.runtime().image_holds(cx.run(), &image, &paths).await?;
        let there = found.iter().filter(|there| **there).count();
        let image = image.trim_start_matches("sha256:");
        let observed = format!("image {image:.12} holds {there} of {} paths", paths.len());
        Ok(Sample::judged(observed, self.judge(&found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, probes::testing::World};

    fn probe(rest: &str) -> Image {
        serde_saphyr::from_str(&format!("{{ service: agent{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn what_is_there_and_what_is_not_are_judged() {
        let world = World::default();
        let wanted = probe(", holds: [/opt/key], lacks: [/data/log]");
        let sample = wanted.read(&world).await.unwrap();
        assert_eq!(sample.violation.as_deref(), Some("`/opt/key` is not in it"));
        world.set().files.insert("/opt/key".into(), testing::file(1, 1));
        assert!(wanted.read(&world).await.unwrap().holds());
        world.set().files.insert("/data/log".into(), testing::file(2, 1));
        let sample = wanted.read(&world).await.unwrap();
        assert_eq!(sample.violation.as_deref(), Some("`/data/log` is in it"));
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", holds: [/a, b], lacks: [/a]").check().len(), 2);
        assert!(probe(", lacks: [/a]").check().is_empty());
    }
}
