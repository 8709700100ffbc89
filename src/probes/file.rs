//! `file`: one file as the container's processes see it. Changes nothing; follows no final link.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Pattern, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, FileFacts, LinkState, Place, Read, Reading},
    units::{Mode, Size},
};

/// A file exists, with given content, size, mode, owner and links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// It is there; `false` when it must not be.
    #[serde(default = "yes")]
    exists: bool,
    /// What it is.
    kind: Option<Kind>,
    /// A regular expression found in the first MiB of its content.
    content: Option<Pattern>,
    /// SHA-256 of its content in hex.
    sha256: Option<String>,
    /// Its size: `4096B`, or `{ min: 1B }`.
    size: Option<Bounds<Size>>,
    /// Its permission bits.
    mode: Option<Mode>,
    /// Its owner.
    uid: Option<u32>,
    /// Its group.
    gid: Option<u32>,
    /// Number of its names.
    links: Option<Bounds<u64>>,
    /// Another name of the same file: an absolute path in the same container.
    same_file_as: Option<String>,
}

fn yes() -> bool {
    true
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A device node.
    Device,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// An ordinary file.
    File,
    /// A socket.
    Socket,
    /// A symbolic link.
    Symlink,
}

/// Bytes of content looked at.
const CONTENT: u64 = 1 << 20;

const DIGEST_LENGTH: usize = 64;

impl File {
    fn judge(&self, facts: &FileFacts) -> Result<Wrong, ProbeError> {
        let mut wrong = Wrong::default();
        if let Some(kind) = self.kind {
            let kind = format!("{kind:?}").to_lowercase();
            wrong.unless(facts.kind == kind, || format!("it is a {}, not a {kind}", facts.kind));
        }
        if let Some(pattern) = &self.content {
            let content = facts.content.as_deref().unwrap_or_default();
            let found = pattern.compile().map_err(ProbeError::Unusable)?.is_match(content);
            wrong.unless(found, || format!("content does not match `{pattern}`"));
        }
        if let Some(wanted) = &self.sha256 {
            let digest = facts.sha256.as_deref().unwrap_or("unknown");
            wrong.unless(digest.eq_ignore_ascii_case(wanted), || format!("SHA-256 is {digest}"));
        }
        wrong.add(self.size.and_then(|size| size.violation("size", Size(facts.size))));
        wrong
            .add(self.links.and_then(|links| links.violation("number of links", facts.link.links)));
        if let Some(mode) = self.mode {
            wrong.unless(facts.mode & 0o7777 == mode.0, || {
                format!("mode is {}, not {mode}", Mode(facts.mode & 0o7777))
            });
        }
        for (what, wanted, found) in
            [("owner", self.uid, facts.uid), ("group", self.gid, facts.gid)]
        {
            wrong.unless(wanted.is_none_or(|id| id == found), || {
                format!("{what} is {found}, not {}", wanted.unwrap_or_default())
            });
        }
        Ok(wrong)
    }

    /// Whether another name leads to the same file.
    async fn tie(
        &self,
        cx: &dyn ProbeCx,
        place: &Place,
        link: LinkState,
    ) -> Result<Result<Option<String>, Sample>, ProbeError> {
        let Some(path) = &self.same_file_as else {
            return Ok(Ok(None));
        };
        let other = cx.place(&self.service, path).unwrap_or_else(|| place.clone());
        let read = Read::File { place: other.clone(), digest: false, content: 0 };
        let reading = match subject::read(cx, &other, read).await? {
            Ok(reading) => reading,
            Err(sample) => return Ok(Err(sample)),
        };
        let Reading::File(facts) = reading else {
            return Err(super::unexpected(&reading));
        };
        Ok(Ok(match facts {
            None => Some(format!("`{path}` is not there")),
            Some(facts) if (facts.link.dev, facts.link.inode) == (link.dev, link.inode) => None,
            Some(facts) => Some(format!(
                "it is inode {}, and `{path}` is inode {}",
                link.inode, facts.link.inode
            )),
        }))
    }

    fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.kind.map(|kind| format!("is a {kind:?}").to_lowercase()));
        details.extend(self.content.as_ref().map(|pattern| format!("matches `{pattern}`")));
        details.extend(self.sha256.as_ref().map(|digest| format!("has SHA-256 {digest}")));
        details.extend(self.size.map(|size| format!("has size {size}")));
        details.extend(self.mode.map(|mode| format!("has mode {mode}")));
        details.extend(self.uid.map(|uid| format!("belongs to user {uid}")));
        details.extend(self.gid.map(|gid| format!("belongs to group {gid}")));
        details.extend(self.links.map(|links| format!("has {links} links")));
        details.extend(self.same_file_as.as_ref().map(|path| format!("is the file `{path}`")));
        details
    }
}

impl Probe for File {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "file: { service: agent, path: /data/state.json, size: { min: 1B }, mode: \"0640\" }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let what = if self.exists { "exists" } else { "does not exist" };
        let details: String = self.details().iter().map(|detail| format!(", {detail}")).collect();
        format!("{}: `{}` {what}{details}", self.service, self.path)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.same_file_as.as_deref().and_then(subject::relative));
        wrong.unless(self.exists || self.details().is_empty(), || {
            "a file that is not there has no properties\n\nhint: leave out all but `exists`".into()
        });
        wrong.add(self.content.as_ref().and_then(Pattern::check));
        wrong.add(self.size.and_then(|size| size.check("size")));
        wrong.add(self.links.and_then(|links| links.check("links")));
        let hex = |text: &String| {
            text.len() == DIGEST_LENGTH && text.chars().all(|c| c.is_ascii_hexdigit())
        };
        wrong.unless(self.sha256.as_ref().is_none_or(hex), || {
            "`sha256` is not 64 hexadecimal digits\n\nhint: take it from `sha256sum`".into()
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let content = if self.content.is_some() { CONTENT } else { 0 };
        let digest = self.sha256.is_some();
        let read = Read::File { place: place.clone(), digest, content };
        let facts = expect_reading!(subject::read(cx, &place, read).await?, Reading::File);
        let Some(facts) = facts else {
            let violation = self.exists.then(|| "it does not exist".to_owned());
            return Ok(Sample::judged("no file", violation));
        };
        let observed = format!(
            "{} of {} bytes, mode {}, owner {}:{}, inode {} with {} links",
            facts.kind,
            facts.size,
            Mode(facts.mode & 0o7777),
            facts.uid,
            facts.gid,
            facts.link.inode,
            facts.link.links
        );
        if !self.exists {
            return Ok(Sample::outside(observed, "it exists"));
        }
        let mut wrong = self.judge(&facts)?;
        match self.tie(cx, &place, facts.link).await? {
            Ok(violation) => wrong.add(violation),
            Err(sample) => return Ok(sample),
        }
        Ok(Sample::judged(observed, wrong.violation()).number(facts.size as f64, Unit::Bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, helper::HelperError, probes::testing::World};

    fn probe(rest: &str) -> File {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data/a{rest} }}")).unwrap()
    }

    fn world() -> World {
        let world = World::default();
        world.set().files.insert("/data/a".into(), testing::file(12, 2));
        world
    }

    #[tokio::test]
    async fn each_property_is_judged() {
        let world = world();
        let digest = "ab".repeat(32);
        for good in [
            "",
            ", kind: file",
            ", content: ^hell",
            &format!(", sha256: {}", digest.to_uppercase()),
            ", size: 5B",
            ", mode: \"0644\"",
            ", uid: 0, gid: 0",
            ", links: 2",
        ] {
            assert!(probe(good).read(&world).await.unwrap().holds(), "{good}");
        }
        for bad in [
            ", exists: false",
            ", kind: directory",
            ", content: bye",
            &format!(", sha256: {}", "cd".repeat(32)),
            ", size: { max: 4B }",
            ", mode: \"0600\"",
            ", uid: 1001",
            ", gid: 1",
            ", links: { min: 3 }",
            ", same_file_as: /data/b",
        ] {
            assert!(!probe(bad).read(&world).await.unwrap().holds(), "{bad}");
        }
    }

    #[tokio::test]
    async fn two_names_of_one_file_are_told_from_two_files() {
        let world = world();
        let probe = probe(", same_file_as: /data/b");
        world.set().files.insert("/data/b".into(), testing::file(12, 2));
        assert!(probe.read(&world).await.unwrap().holds());
        world.set().files.insert("/data/b".into(), testing::file(13, 1));
        let sample = probe.read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "it is inode 12, and `/data/b` is inode 13");
    }

    #[tokio::test]
    async fn absence_and_a_failing_disk() {
        let world = World::default();
        assert!(!probe("").read(&world).await.unwrap().holds());
        assert!(probe(", exists: false").read(&world).await.unwrap().holds());
        let os = |errno: &str| HelperError::Os {
            what: "reading /data/a".into(),
            errno: errno.into(),
            detail: String::new(),
        };
        world.set().helper_error = Some(os("EIO"));
        assert!(!probe("").read(&world).await.unwrap().holds());
        world.set().helper_error = Some(os("EPERM"));
        assert!(probe("").read(&world).await.is_err());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", exists: false, uid: 1").check().len(), 1);
        assert_eq!(
            probe(", sha256: abc, size: {}, content: \"(\", same_file_as: b").check().len(),
            4
        );
    }
}
