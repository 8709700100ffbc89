//! `write`: what a writer in the container gets at a path. A file is made, written, synced and
//! removed again; nothing of it stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    errno::ErrnoName,
    protocol::{Capability, Read, Reading, Trial},
    units::Size,
};

/// A file can be written in a directory, or is refused with a given errno.
///
/// Tried with a small file of our own, which is synced and removed: the mount's and the
/// filesystem's answer, whatever the permissions of the service are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The service.
    service: String,
    /// Absolute path of a directory in the container.
    path: String,
    /// The errno that it must be refused with; none: it must work.
    fails: Option<ErrnoName>,
    /// Bytes to write.
    #[serde(default = "default_size")]
    size: Size,
}

fn default_size() -> Size {
    Size(4096)
}

/// More is a fill, and no probe.
const MOST: Size = Size(16 << 20);

impl Write {
    fn judge(&self, trial: &Trial) -> Option<String> {
        match (self.fails, trial.errno.as_deref()) {
            (None, None) => None,
            (None, Some(errno)) => Some(format!("a write fails with {errno}")),
            (Some(wanted), None) => Some(format!("a write works, and should fail with {wanted}")),
            (Some(wanted), Some(errno)) => (errno != wanted.as_str())
                .then(|| format!("a write fails with {errno}, and should with {wanted}")),
        }
    }
}

impl Probe for Write {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "write: { service: agent, path: /logs, fails: EROFS }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn act(&self) -> Option<(&str, String)> {
        let act = format!("write a file in `{}` and remove it, as a probe", self.path);
        Some((&self.service, act))
    }

    fn describe(&self) -> String {
        let what = self.fails.map_or("works".to_owned(), |errno| format!("fails with {errno}"));
        format!("{}: writing to `{}` {what}", self.service, self.path)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.unless(self.size.0 > 0 && self.size <= MOST, || {
            format!("`size: {}` is no probe\n\nhint: write 1B to {MOST}", self.size)
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::TryWrite { place: place.clone(), bytes: self.size.0 };
        let trial = expect_reading!(subject::read(cx, &place, read).await?, Reading::Tried);
        let observed = trial.errno.clone().unwrap_or_else(|| "written".to_owned());
        Ok(Sample::judged(observed, self.judge(&trial)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Write {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn the_errno_is_judged() {
        let world = World::default();
        assert!(probe("").read(&world).await.unwrap().holds());
        let sample = probe(", fails: EROFS").read(&world).await.unwrap();
        assert_eq!(sample.violation.as_deref(), Some("a write works, and should fail with EROFS"));
        world.set().write = Some("ENOSPC");
        assert!(probe(", fails: ENOSPC").read(&world).await.unwrap().holds());
        for bad in ["", ", fails: EROFS"] {
            let sample = probe(bad).read(&world).await.unwrap();
            assert!(sample.violation.unwrap().contains("ENOSPC"), "{bad}");
        }
    }

    #[test]
    fn static_complaints() {
        assert!(probe("").check().is_empty());
        assert_eq!(probe(", size: 1GiB").check().len(), 1);
        assert_eq!(probe(", size: 0B").check().len(), 1);
    }
}
