//! `tree`: a directory as a whole: its digest, or its equality with another. Changes nothing.
//!
//! Our own filler is never part of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, Read, Reading, TreeFacts},
    units::Size,
};

/// A directory has the content of another one, or a given digest.
///
/// The digest covers paths, types, modes, sizes and contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// A directory that must be the same.
    equals: Option<Other>,
    /// The digest it must have, in hex.
    digest: Option<String>,
    /// How many entries are below it.
    entries: Option<Bounds<u64>>,
    /// How many bytes its files hold.
    bytes: Option<Bounds<Size>>,
}

/// Another directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    /// The service.
    service: String,
    /// Absolute path in the container.
    path: String,
}

/// Paths that are named when two trees differ.
const NAMED: usize = 5;

impl Tree {
    fn judge(&self, tree: &TreeFacts) -> Wrong {
        let mut wrong = Wrong::default();
        if let Some(digest) = &self.digest {
            let same = tree.digest.eq_ignore_ascii_case(digest);
            wrong.unless(same, || format!("digest is not {digest}"));
        }
        wrong.add(self.entries.and_then(|n| n.violation("number of entries", tree.entries)));
        wrong.add(self.bytes.and_then(|n| n.violation("size of all files", Size(tree.bytes))));
        wrong
    }
}

/// What differs; none when nothing does.
pub(super) fn difference(tree: &TreeFacts, other: &TreeFacts) -> Option<String> {
    if tree.digest == other.digest {
        return None;
    }
    let differs = |path: &&String| tree.listing.get(*path) != other.listing.get(*path);
    let mut paths: Vec<_> =
        tree.listing.keys().chain(other.listing.keys()).filter(differs).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut named: Vec<_> = paths.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    if paths.len() > NAMED {
        named.push(format!("{} more", paths.len() - NAMED));
    }
    let where_ = if named.is_empty() { "beyond what is listed".into() } else { named.join(", ") };
    Some(format!("the trees differ: {where_}"))
}

impl Probe for Tree {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "tree: { service: agent, path: /data, equals: { service: standby, path: /data } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let mut wanted = Vec::new();
        let other = self.equals.as_ref();
        wanted.extend(other.map(|other| format!("equals `{}:{}`", other.service, other.path)));
        wanted.extend(self.digest.as_ref().map(|digest| format!("has digest {digest}")));
        wanted.extend(self.entries.map(|entries| format!("has {entries} entries")));
        wanted.extend(self.bytes.map(|bytes| format!("holds {bytes}")));
        format!("{}: `{}` {}", self.service, self.path, wanted.join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.equals.as_ref().and_then(|other| subject::relative(&other.path)));
        let same = |other: &Other| (&other.service, &other.path) == (&self.service, &self.path);
        wrong.unless(!self.equals.as_ref().is_some_and(same), || {
            "a tree always equals itself\n\nhint: name another service or path".into()
        });
        wrong.add(self.entries.and_then(|entries| entries.check("entries")));
        wrong.add(self.bytes.and_then(|bytes| bytes.check("bytes")));
        let empty = self.equals.is_none()
            && self.digest.is_none()
            && self.entries.is_none()
            && self.bytes.is_none();
        wrong.unless(!empty, || subject::expects_nothing("entries: { min: 1 }"));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::Tree(place.clone());
        let tree = expect_reading!(subject::read(cx, &place, read).await?, Reading::Tree);
        let observed =
            format!("{} entries, {} bytes, digest {}", tree.entries, tree.bytes, tree.digest);
        let mut wrong = self.judge(&tree);
        if let Some(other) = &self.equals {
            let Some(place) = cx.place(&other.service, &other.path) else {
                return Ok(Sample::outside(
                    observed,
                    format!("no `{}`: never created", other.service),
                ));
            };
            let read = Read::Tree(place.clone());
            let other = expect_reading!(subject::read(cx, &place, read).await?, Reading::Tree);
            wrong.add(difference(&tree, &other));
        }
        Ok(Sample::judged(observed, wrong.violation()).number(tree.entries as f64, Unit::Entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Tree {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data{rest} }}")).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> TreeFacts {
        let listing = files.iter().map(|(path, digest)| ((*path).into(), (*digest).into()));
        TreeFacts {
            digest: format!("{files:?}"),
            entries: files.len() as u64,
            bytes: 10,
            listing: listing.collect(),
        }
    }

    #[tokio::test]
    async fn two_trees_are_compared_and_the_difference_named() {
        let world = World::default();
        let probe = probe(", equals: { service: agent, path: /copy }");
        world.set().trees.insert("/data".into(), tree(&[("a", "1"), ("b", "2")]));
        world.set().trees.insert("/copy".into(), tree(&[("a", "1"), ("b", "2")]));
        assert!(probe.read(&world).await.unwrap().holds());
        world.set().trees.insert("/copy".into(), tree(&[("a", "1"), ("b", "3"), ("c", "4")]));
        let sample = probe.read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "the trees differ: `b`, `c`");
    }

    #[tokio::test]
    async fn counts_and_digest_are_judged() {
        let world = World::default();
        world.set().trees.insert("/data".into(), tree(&[("a", "1")]));
        assert!(probe(", entries: 1, bytes: { max: 10B }").read(&world).await.unwrap().holds());
        assert!(!probe(", entries: 0").read(&world).await.unwrap().holds());
        assert!(!probe(", bytes: { max: 9B }").read(&world).await.unwrap().holds());
        assert!(!probe(", digest: abc").read(&world).await.unwrap().holds());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check().len(), 1);
        assert_eq!(probe(", equals: { service: agent, path: /data }").check().len(), 1);
    }
}
