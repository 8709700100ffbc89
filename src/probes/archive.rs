//! `archive`: tar archives: readable to their end, as many as expected, and holding what they
//! should. Changes nothing, unpacks nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, expect_reading},
    tree::difference,
};
use crate::protocol::{ArchiveFacts, Capability, Read, Reading};

/// Every tar archive is whole, and the newest holds what it should.
///
/// Whole means: each entry can be read, and the end mark is there. Archives are read where they
/// lie; compressed ones count as broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The service.
    service: String,
    /// Absolute path in the container; the last component may be a pattern: `/backup/*.tar`.
    path: String,
    /// How many archives there are; at least one by default.
    count: Option<Bounds<u64>>,
    /// Paths that the newest must hold.
    #[serde(default)]
    contains: Vec<String>,
    /// A directory that the newest must equal: names, modes, owners and contents.
    equals: Option<Source>,
}

/// A directory beside the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// Absolute path in the same container.
    path: String,
    /// The path in the archive that corresponds to it; the whole archive by default.
    below: Option<String>,
}

impl Archive {
    fn judge(&self, all: &[ArchiveFacts]) -> Wrong {
        let mut wrong = Wrong::default();
        match &self.count {
            Some(count) => wrong.add(count.violation("number of archives", all.len() as u64)),
            None => wrong.unless(!all.is_empty(), || "there is no archive".into()),
        }
        for archive in all {
            let broken = archive.broken.as_ref();
            wrong.add(broken.map(|why| format!("`{}` is broken: {why}", archive.name)));
        }
        if let Some(newest) = all.last() {
            let held = |path: &&String| !newest.tree.listing.contains_key(path.as_str());
            for path in self.contains.iter().filter(held) {
                wrong.add(Some(format!("`{path}` is not in `{}`", newest.name)));
            }
        } else {
            wrong.unless(self.contains.is_empty(), || "there is no newest archive".into());
        }
        wrong
    }

    /// Why the newest archive is not the directory.
    async fn compare(&self, cx: &dyn ProbeCx, source: &Source) -> Result<Sample, ProbeError> {
        let (Some(place), Some(directory)) =
            (cx.place(&self.service, &self.path), cx.place(&self.service, &source.path))
        else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::Archives { place: place.clone(), below: source.below.clone() };
        let archives = expect_reading!(subject::read(cx, &place, read).await?, Reading::Archives);
        let read = Read::Tree(directory.clone());
        let tree = expect_reading!(subject::read(cx, &directory, read).await?, Reading::Tree);
        let observed = format!("{} entries in `{}`", tree.entries, source.path);
        let wrong = match archives.last() {
            Some(newest) => difference(&newest.tree, &tree),
            None => Some("there is no archive to compare".into()),
        };
        Ok(Sample::judged(observed, wrong))
    }
}

impl Probe for Archive {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "archive: { service: agent, path: \"/backup/*.tar\", count: 2 }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let mut wanted = vec!["whole".to_owned()];
        wanted.extend(self.count.map(|count| format!("{count} of them")));
        wanted.extend(self.contains.iter().map(|path| format!("the newest holds `{path}`")));
        let source = self.equals.as_ref();
        wanted.extend(source.map(|source| format!("the newest equals `{}`", source.path)));
        format!("{}: `{}` is {}", self.service, self.path, wanted.join(", "))
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.count.and_then(|count| count.check("count")));
        let (dir, name) = self.path.rsplit_once('/').unwrap_or_default();
        wrong.unless(!dir.contains(['*', '?', '[', '{']), || {
            format!("`{dir}` is a pattern of directories\n\nhint: only the last component may be one: `/backup/*.tar`")
        });
        wrong.add(globset::Glob::new(name).err().map(|error| {
            format!("`{name}` is not a pattern: {}\n\nhint: write `*.tar`", error.kind())
        }));
        let inside = self.equals.as_ref().and_then(|source| source.below.as_ref());
        for path in self.contains.iter().chain(inside).filter(|path| path.starts_with('/')) {
            wrong.add(Some(format!(
                "`{path}` is absolute, and paths in an archive are not\n\nhint: write `{}`",
                path.trim_start_matches('/')
            )));
        }
        wrong.add(self.equals.as_ref().and_then(|source| subject::relative(&source.path)));
        let none = self.count.is_some_and(|count| count.max == Some(0));
        let more = !self.contains.is_empty() || self.equals.is_some();
        wrong.unless(!(none && more), || {
            "no archive can hold anything where none may be\n\nhint: remove `count: 0`".into()
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::Archives { place: place.clone(), below: None };
        let all = expect_reading!(subject::read(cx, &place, read).await?, Reading::Archives);
        let mut wrong = self.judge(&all);
        let mut observed = format!("{} archives", all.len());
        if let Some(newest) = all.last() {
            let (name, entries) = (&newest.name, newest.tree.entries);
            observed += &format!(", `{name}` with {entries} entries, {} bytes", newest.size);
        }
        if let Some(source) = &self.equals {
            let compared = self.compare(cx, source).await?;
            observed += &format!(", {}", compared.observed);
            wrong.add(compared.violation);
        }
        Ok(Sample::judged(observed, wrong.violation()).number(all.len() as f64, Unit::Archives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, protocol::TreeFacts};

    fn probe(rest: &str) -> Archive {
        let text = format!("{{ service: agent, path: \"/backup/*.tar\"{rest} }}");
        serde_saphyr::from_str(&text).unwrap()
    }

    fn tree(files: &[&str]) -> TreeFacts {
        let listing = files.iter().map(|path| ((*path).to_owned(), "1".to_owned())).collect();
        TreeFacts { digest: format!("{files:?}"), entries: files.len() as u64, bytes: 9, listing }
    }

    fn archive(name: &str, files: &[&str], broken: Option<&str>) -> ArchiveFacts {
        let broken = broken.map(str::to_owned);
        ArchiveFacts { name: name.into(), size: 2048, broken, tree: tree(files) }
    }

    #[tokio::test]
    async fn each_must_be_whole_and_the_count_right() {
        let world = World::default();
        assert!(!probe("").read(&world).await.unwrap().holds(), "none is not whole");
        assert!(probe(", count: 0").read(&world).await.unwrap().holds());
        world.set().archives = vec![archive("a.tar", &["x"], None), archive("b.tar", &[], None)];
        assert!(probe("").read(&world).await.unwrap().holds());
        assert!(probe(", count: 2").read(&world).await.unwrap().holds());
        assert!(!probe(", count: 1").read(&world).await.unwrap().holds());
        world.set().archives[0].broken = Some("cut off".into());
        let sample = probe("").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "`a.tar` is broken: cut off");
    }

    #[tokio::test]
    async fn the_newest_is_looked_into() {
        let world = World::default();
        world.set().archives =
            vec![archive("a.tar", &["x", "y"], None), archive("b.tar", &["x"], None)];
        world.set().trees.insert("/data".into(), tree(&["x"]));
        let equal = probe(", contains: [x], equals: { path: /data }");
        assert!(equal.read(&world).await.unwrap().holds());
        let sample = probe(", contains: [x, y]").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "`y` is not in `b.tar`");
        world.set().trees.insert("/data".into(), tree(&["x", "z"]));
        let sample = equal.read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "the trees differ: `z`");
    }

    #[test]
    fn static_complaints() {
        assert!(probe("").check().is_empty());
        assert_eq!(probe(", count: 0, contains: [a]").check().len(), 1);
        assert_eq!(probe(", contains: [/a], equals: { path: data, below: /d }").check().len(), 3);
        let strange: Archive =
            serde_saphyr::from_str("{ service: agent, path: \"/b*/[a.tar\" }").unwrap();
        assert_eq!(strange.check().len(), 2);
    }
}
