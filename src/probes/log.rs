//! `log`: lines of a container's output since the latest injection. Changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Pattern, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, brief},
};
use crate::{protocol::Capability, runtime::RuntimeError};

/// Lines of a container's output match a pattern, or none does.
///
/// Counted are lines since the latest injection, or since the start where nothing was injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The service.
    service: String,
    /// A regular expression found in a line.
    matches: Pattern,
    /// No line may match.
    #[serde(default)]
    absent: bool,
    /// How many lines match; at least one without it.
    count: Option<Bounds<u64>>,
}

/// Bytes of output looked at, from its end.
const LIMIT: usize = 4 << 20;

impl Log {
    fn wanted(&self) -> Bounds<u64> {
        let none = Bounds { min: Some(0), max: Some(0) };
        let some = Bounds { min: Some(1), max: None };
        self.count.unwrap_or(if self.absent { none } else { some })
    }
}

impl Probe for Log {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "log: { service: agent, matches: ENOSPC }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let how_many = if self.absent { "no".to_owned() } else { self.wanted().to_string() };
        format!("{}: {how_many} log lines match `{}`", self.service, self.matches)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(self.matches.check());
        wrong.add(self.count.and_then(|count| count.check("count")));
        wrong.unless(!self.absent || self.count.is_none(), || {
            "`absent` and `count` say the same thing\n\nhint: leave `absent` out".into()
        });
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let pattern = self.matches.compile().map_err(ProbeError::Unusable)?;
        let output = match cx.runtime().logs(&place.container, cx.logs_since(), LIMIT).await {
            Ok(output) => output,
            Err(RuntimeError::Gone { .. }) => {
                return Ok(Sample::outside("gone", "it was removed, and its log with it"));
            }
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&output);
        let mut matching = text.lines().filter(|line| pattern.is_match(line));
        let first = matching.next();
        let count = first.map_or(0, |_| 1 + matching.count() as u64);
        let shown = first.map(|line| format!(", first `{}`", brief(line))).unwrap_or_default();
        let cut = if output.len() >= LIMIT { " in the last 4 MiB" } else { "" };
        let observed = format!("{count} of {} lines{cut}{shown}", text.lines().count());
        let violation = self.wanted().violation("number of matching lines", count);
        if !cut.is_empty() && violation.is_none() && self.wanted().max.is_some() {
            let why = "there may be more of them in what was printed before";
            return Ok(Sample::proves_nothing(observed, why));
        }
        Ok(Sample::judged(observed, violation).number(count as f64, Unit::Lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, runtime::State};

    fn probe(rest: &str) -> Log {
        serde_saphyr::from_str(&format!("{{ service: agent, matches: \"ENO.PC\"{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn matching_lines_are_counted() {
        let world = World::default();
        assert!(!probe("").read(&world).await.unwrap().holds());
        assert!(probe(", absent: true").read(&world).await.unwrap().holds());
        world.set().logs = b"start\nENOSPC one\n\xff\xfe ENOSPC two\nend\n".to_vec();
        let sample = probe("").read(&world).await.unwrap();
        assert!(sample.holds());
        assert_eq!(sample.number, Some(2.0));
        assert!(!probe(", absent: true").read(&world).await.unwrap().holds());
        assert!(probe(", count: 2").read(&world).await.unwrap().holds());
        assert!(!probe(", count: { max: 1 }").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn that_there_is_nothing_more_is_not_known_of_a_log_that_was_cut() {
        let world = World::default();
        world.set().logs = vec![b'\n'; LIMIT];
        let sample = probe(", absent: true").read(&world).await.unwrap();
        assert!(!sample.holds() && sample.vacuous, "{sample:?}");
        world.set().logs.splice(..7, *b"ENOSPC\n");
        assert!(probe("").read(&world).await.unwrap().holds());
        assert!(
            !probe(", absent: true").read(&world).await.unwrap().vacuous,
            "one is one too many"
        );
    }

    #[tokio::test]
    async fn what_ended_still_has_a_log_and_what_was_removed_has_none() {
        let world = World::default();
        world.set().logs = b"ENOSPC\n".to_vec();
        world.set().container.as_mut().unwrap().state = State::Exited;
        assert!(probe("").read(&world).await.unwrap().holds());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", absent: true, count: 0").check().len(), 1);
        assert_eq!(probe(", count: {}").check().len(), 1);
        let bad: Log = serde_saphyr::from_str("{ service: a, matches: \"[\" }").unwrap();
        assert!(bad.check()[0].contains("at character 1"), "{}", bad.check()[0]);
    }
}
