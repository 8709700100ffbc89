//! `shared-log`: a log that several replicas append to holds whole records only. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, brief, expect_reading},
};
use crate::{
    ledger::SharedLog,
    protocol::{Capability, Read, Reading},
    units::Size,
};

/// A log of several writers holds whole records only.
///
/// None is torn, and none is interleaved with another.
/// A record is a line: `WRITER NUMBER PAYLOAD CHECKSUM`, with the CRC-32 in hex of all before it. A
/// last line without its end is a record that is being written, and counts as nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The service in whose container it is read.
    service: String,
    /// Absolute path in the container.
    path: String,
    /// How many lines may be no whole record.
    #[serde(default)]
    broken: u64,
    /// How many writers have a whole record in it.
    writers: Option<Bounds<u64>>,
    /// How many whole records it holds.
    records: Option<Bounds<u64>>,
}

/// Bytes of the file that are looked at, from its beginning.
const LIMIT: u64 = 1 << 20;

impl Shared {
    fn judge(&self, log: &SharedLog) -> Sample {
        let (writers, records) = (log.writers.len() as u64, log.records());
        let broken = log.broken.len() as u64;
        let mut wrong = Wrong::default();
        wrong.unless(broken <= self.broken, || {
            let first = log.broken.first().map_or("", String::as_str);
            format!("{broken} lines are no whole record, the first is `{}`", brief(first))
        });
        let bounds = self.writers.as_ref();
        wrong.add(bounds.and_then(|bounds| bounds.violation("number of writers", writers)));
        let bounds = self.records.as_ref();
        wrong.add(bounds.and_then(|bounds| bounds.violation("number of records", records)));
        let unfinished = log.unfinished;
        let observed = format!(
            "{records} records of {writers} writers, {broken} broken, {unfinished} bytes unfinished"
        );
        Sample::judged(observed, wrong.violation()).number(records as f64, Unit::Records)
    }
}

impl Probe for Shared {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "shared-log: { service: agent, path: /shared/shared.log, writers: 2 }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let bound = |name, bounds: Option<Bounds<u64>>| {
            bounds.map(|bounds| format!(", {name} {bounds}")).unwrap_or_default()
        };
        format!(
            "{}: {} has at most {} broken records{}{}",
            self.service,
            self.path,
            self.broken,
            bound("writers", self.writers),
            bound("records", self.records)
        )
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.writers.and_then(|bounds| bounds.check("writers")));
        wrong.add(self.records.and_then(|bounds| bounds.check("records")));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, &self.path) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let read = Read::File { place: place.clone(), digest: false, content: LIMIT };
        let reading = subject::read(cx, &place, read).await?;
        let facts = expect_reading!(reading, Reading::File);
        let size = facts.as_ref().map_or(0, |facts| facts.size);
        let Some(content) = facts.and_then(|facts| facts.content) else {
            return Ok(Sample::outside("no file", format!("there is no file `{}`", self.path)));
        };
        let sample = self.judge(&SharedLog::read(content.as_bytes()));
        if size > LIMIT && sample.holds() {
            let why = format!("only its first MiB was looked at, and it has {}", Size(size));
            return Ok(Sample::proves_nothing(sample.observed, why));
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, ledger::shared_line, probes::testing::World};

    fn probe(rest: &str) -> Shared {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /data/x{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn torn_records_and_missing_writers_are_violations() {
        let world = World::default();
        let holds = async |rest: &str| probe(rest).read(&world).await.unwrap().holds();
        assert!(!holds("").await, "no file");
        let put = |text: String| {
            let mut file = testing::file(12, 1);
            file.content = Some(text);
            world.set().files.insert("/data/x".into(), file);
        };
        let (one, two) = (shared_line("one", 1, "aa"), shared_line("two", 1, "bb"));
        put(format!("{one}{two}"));
        assert!(holds(", writers: 2, records: { min: 2 }").await);
        assert!(!holds(", writers: 1").await && !holds(", records: { min: 3 }").await);
        put(format!("{one}{}", &two[..7]));
        assert!(holds(", writers: 1").await, "it is being written");
        put(format!("{}{two}", &one[..7]));
        assert!(!holds("").await && holds(", broken: 1").await);
    }

    #[tokio::test]
    async fn a_part_of_it_says_nothing_of_the_rest() {
        let world = World::default();
        let mut file = testing::file(12, 1);
        (file.content, file.size) = (Some(shared_line("one", 1, "aa")), LIMIT + 1);
        world.set().files.insert("/data/x".into(), file);
        let sample = probe("").read(&world).await.unwrap();
        assert!(!sample.holds() && sample.vacuous, "{sample:?}");
        let sample = probe(", writers: 2").read(&world).await.unwrap();
        assert!(!sample.holds() && !sample.vacuous, "what is wrong in it is wrong: {sample:?}");
    }

    #[test]
    fn static_complaints() {
        assert!(probe("").check().is_empty());
        assert_eq!(probe(", writers: {}, records: { min: 2, max: 1 }").check().len(), 2);
    }
}
