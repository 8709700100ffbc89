//! `page-cache`: how much of a file, or of all files below a directory, is in memory. Changes
//! nothing, not even what it looks at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, PageFacts, Read, Reading},
    units::{Percent, Size},
};

/// How much of a file, or of a directory, is in the page cache.
///
/// Pages are counted whoever brought them there: the page cache is the host's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageCache {
    /// The service.
    service: String,
    /// A file or a directory: an absolute path in the container.
    path: String,
    /// Share of its pages that are resident: `{ min: 90% }`.
    resident: Bounds<Percent>,
    /// Its size, in whole pages: `{ min: 1MiB }`. An empty file is neither warm nor cold.
    size: Option<Bounds<Size>>,
}

const PAGE: u64 = 4096;

/// The share that is resident, to a tenth of a percent; none of nothing.
fn share(facts: PageFacts) -> Percent {
    Percent((facts.resident as f64 / facts.pages.max(1) as f64 * 1e3).round() / 1e1)
}

impl PageCache {
    fn judge(&self, facts: PageFacts) -> Option<String> {
        let mut wrong = Wrong::default();
        wrong.unless(facts.pages > 0, || "there is nothing that could be cached".into());
        wrong.add(self.resident.violation("resident share", share(facts)));
        let size = Size(facts.pages * PAGE);
        wrong.add(self.size.and_then(|bounds| bounds.violation("size", size)));
        wrong.violation()
    }
}

impl Probe for PageCache {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "page-cache: { service: agent, path: /data, resident: { min: 90% } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let size = self.size.map(|bounds| format!(", and is {bounds} large"));
        let Self { service, path, resident, .. } = self;
        format!("{service}: `{path}` is {resident} resident{}", size.unwrap_or_default())
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.resident.check("resident"));
        wrong.add(self.size.and_then(|bounds| bounds.check("size")));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::PageCache(place.clone());
        let facts = expect_reading!(subject::read(cx, &place, read).await?, Reading::PageCache);
        let share = share(facts);
        let observed = format!(
            "{share} resident: {} of {} pages in {} files",
            facts.resident, facts.pages, facts.files
        );
        Ok(Sample::judged(observed, self.judge(facts)).number(share.0, Unit::Percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> PageCache {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data, {rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn the_share_and_the_size_are_judged() {
        let world = World::default();
        let holds = async |rest: &str| probe(rest).read(&world).await.unwrap().holds();
        assert!(!holds("resident: { max: 100% }").await, "there is nothing");
        world.set().pages = PageFacts { files: 1, pages: 256, resident: 64 };
        assert!(holds("resident: 25%").await && holds("resident: { max: 30% }, size: 1MiB").await);
        assert!(!holds("resident: { min: 26% }").await);
        assert!(!holds("resident: 25%, size: { min: 2MiB }").await);
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("resident: { min: 9%, max: 1% }").check().len(), 1);
        assert_eq!(probe("resident: { min: 9% }").check().len(), 0);
    }
}
