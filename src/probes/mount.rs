//! `mount`: what is mounted at a path, as the container's processes see it. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong, expect_reading},
};
use crate::protocol::{Capability, MountFacts, Read, Reading};

/// Something is mounted at a path, of a given type and with given flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// Something is mounted at exactly this path; `false` when nothing may be.
    #[serde(default = "yes")]
    present: bool,
    /// Type of the filesystem: `ext4`.
    fs_type: Option<String>,
    /// What is mounted: `/dev/loop3`.
    source: Option<String>,
    /// Options in force, of the mount or its filesystem: `[ro, noexec]`.
    #[serde(default)]
    flags: Vec<String>,
    /// Another mount lies below the one on top.
    shadowed: Option<bool>,
}

fn yes() -> bool {
    true
}

/// Whether an option is in force. A mount is writable only if its filesystem is, too.
fn in_force(mount: &MountFacts, flag: &str) -> bool {
    let has = |flag: &str| {
        let mut options = mount.options.iter().chain(&mount.super_options);
        options.any(|option| option == flag)
    };
    if flag == "rw" { !has("ro") } else { has(flag) }
}

impl Mount {
    fn judge(&self, stack: &[MountFacts], top: &MountFacts) -> Option<String> {
        let mut wrong = Wrong::default();
        let texts = [("type", &self.fs_type, &top.fs_type), ("source", &self.source, &top.source)];
        for (what, wanted, found) in texts {
            if let Some(wanted) = wanted {
                wrong.unless(wanted == found, || format!("{what} is `{found}`, not `{wanted}`"));
            }
        }
        for flag in &self.flags {
            wrong.unless(in_force(top, flag), || format!("`{flag}` is not in force"));
        }
        if let Some(wanted) = self.shadowed {
            let not = if wanted { "nothing lies" } else { "another mount lies" };
            wrong.unless((stack.len() > 1) == wanted, || format!("{not} below it"));
        }
        wrong.violation()
    }

    fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.fs_type.as_ref().map(|fs_type| format!("type {fs_type}")));
        details.extend(self.source.as_ref().map(|source| format!("source {source}")));
        details.extend(self.flags.iter().cloned());
        details.extend(self.shadowed.map(|shadowed| {
            if shadowed { "shadowing another mount" } else { "shadowing none" }.to_owned()
        }));
        details
    }
}

impl Probe for Mount {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "mount: { service: agent, path: /data, flags: [rw, noexec] }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let what = if self.present { "is a mount" } else { "is no mount" };
        let details: String = self.details().iter().map(|detail| format!(", {detail}")).collect();
        format!("{}: `{}` {what}{details}", self.service, self.path)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.unless(self.present || self.details().is_empty(), || {
            "a mount that is not there has no properties\n\nhint: leave out all but `present`"
                .into()
        });
        let odd = |flag: &&String| flag.is_empty() || flag.contains([',', ' ']);
        if let Some(flag) = self.flags.iter().find(odd) {
            wrong.add(Some(format!("`{flag}` is not one flag\n\nhint: write `[ro, noexec]`")));
        }
        wrong.unless(!["ro", "rw"].iter().all(|flag| self.flags.iter().any(|f| f == flag)), || {
            "`ro` and `rw` cannot both be in force\n\nhint: write one".into()
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::MountStack(place.clone());
        let stack = expect_reading!(subject::read(cx, &place, read).await?, Reading::Mounts);
        let Some(top) = stack.last() else {
            let violation = self.present.then(|| "nothing is mounted there".to_owned());
            return Ok(Sample::judged("no mount", violation));
        };
        let observed = format!(
            "{} of `{}`, {}; filesystem {}; {} below it",
            top.fs_type,
            top.source,
            top.options.join(","),
            top.super_options.join(","),
            stack.len() - 1
        );
        if !self.present {
            return Ok(Sample::outside(observed, "something is mounted there"));
        }
        Ok(Sample::judged(observed, self.judge(&stack, top)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, probes::testing::World};

    fn probe(rest: &str) -> Mount {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn presence_type_source_and_flags_are_judged() {
        let world = World::default();
        for good in [
            "",
            ", fs_type: ext4",
            ", source: ext4",
            ", flags: [rw, relatime]",
            ", shadowed: false",
        ] {
            assert!(probe(good).read(&world).await.unwrap().holds(), "{good}");
        }
        for bad in [
            ", present: false",
            ", fs_type: xfs",
            ", source: x",
            ", flags: [ro]",
            ", shadowed: true",
        ] {
            assert!(!probe(bad).read(&world).await.unwrap().holds(), "{bad}");
        }
        world.set().mounts.remove("/data");
        assert!(!probe("").read(&world).await.unwrap().holds());
        assert!(probe(", present: false").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn the_flag_that_differs_is_named_and_a_read_only_filesystem_counts() {
        let world = World::default();
        let sample = probe(", flags: [relatime, noexec]").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "`noexec` is not in force");
        world.set().mounts.get_mut("/data").unwrap()[0].super_options = vec!["ro".into()];
        assert!(!probe(", flags: [rw]").read(&world).await.unwrap().holds());
        assert!(probe(", flags: [ro]").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn a_mount_on_top_shadows() {
        let world = World::default();
        let over = testing::mount("/data", "tmpfs");
        world.set().mounts.get_mut("/data").unwrap().push(over);
        assert!(probe(", shadowed: true, fs_type: tmpfs").read(&world).await.unwrap().holds());
        assert!(!probe(", shadowed: false").read(&world).await.unwrap().holds());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", present: false, flags: [ro]").check().len(), 1);
        assert_eq!(probe(", flags: [ro, rw]").check().len(), 1);
        assert_eq!(probe(", flags: [\"ro,noexec\"]").check().len(), 1);
    }
}
