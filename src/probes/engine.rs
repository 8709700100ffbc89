//! `engine`: an engine of the scenario's own answers, keeps its containers, and starts another.
//!
//! The container that is started for it is removed again. Nothing else is changed.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Pattern, Probe, ProbeCx, ProbeError, Sample, Unit,
    subject::{self, Wrong, brief, expect_reading},
};
use crate::protocol::{Capability, InnerEngineFacts, Read, Reading, StartTrial};

/// An engine of the scenario's own answers, and starts containers.
///
/// It is a service of the image `keelhaul/engine`. Either it starts one more container, or it says
/// why it cannot. At first one container runs on it, the reference subject, which no restart policy
/// brings back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The service.
    service: String,
    /// So many containers run on it.
    running: Option<Bounds<u64>>,
    /// Whether a container can be created and started there; not tried without it.
    starts: Option<bool>,
    /// With `starts: false`: a regular expression found in what the engine says.
    error: Option<Pattern>,
}

impl Engine {
    fn judge(
        &self,
        facts: &InnerEngineFacts,
        trial: Option<&StartTrial>,
    ) -> Result<Option<String>, ProbeError> {
        let mut wrong = Wrong::default();
        match &facts.running {
            Err(why) => wrong.add(Some(format!("it does not answer: {}", brief(why)))),
            Ok(running) => {
                let bounds = self.running.as_ref();
                wrong.add(bounds.and_then(|it| it.violation("number of containers", *running)));
            }
        }
        match trial {
            Some(Err(why)) if self.starts == Some(true) => {
                wrong.add(Some(format!("nothing starts: {}", brief(why))));
            }
            Some(Err(why)) => {
                let pattern = self.error.as_ref().map(Pattern::compile).transpose();
                let pattern = pattern.map_err(ProbeError::Unusable)?;
                wrong.unless(pattern.is_none_or(|pattern| pattern.is_match(why)), || {
                    "it says something else".into()
                });
            }
            Some(Ok(_)) => wrong.unless(self.starts == Some(true), || "a container starts".into()),
            None => {}
        }
        Ok(wrong.violation())
    }
}

fn words(facts: &InnerEngineFacts, trial: Option<&StartTrial>) -> String {
    let running = match &facts.running {
        Ok(running) => format!("running: {running}"),
        Err(why) => format!("no answer: {}", brief(why)),
    };
    match trial {
        None => running,
        Some(Ok(took)) => format!("{running}; another started in {} ms", took / 1000),
        Some(Err(why)) => format!("{running}; another did not start: {}", brief(why)),
    }
}

impl Probe for Engine {
    const NEEDS: &'static [Capability] = &[Capability::InnerEngine];
    const EXAMPLE: &'static str = "engine: { service: inner, running: 1, starts: true }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        let running = self.running.as_ref().map(|bounds| format!(", {bounds} containers running"));
        let starts = self.starts.map(|starts| {
            let verb = if starts { "starts" } else { "cannot start" };
            format!(", {verb} another")
        });
        let error = self.error.as_ref().map(|pattern| format!(" and says `{pattern}`"));
        let more: String = [running, starts, error].into_iter().flatten().collect();
        format!("{}: the engine answers{more}", self.service)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(self.running.as_ref().and_then(|bounds| bounds.check("running")));
        wrong.add(self.error.as_ref().and_then(Pattern::check));
        wrong.unless(self.error.is_none() || self.starts == Some(false), || {
            "`error` is what an engine says that starts nothing\n\nhint: write `starts: false` too"
                .into()
        });
        wrong.list()
    }

    fn deadline(&self) -> Time {
        Time::from_secs(60)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let facts = subject::read(cx, &place, Read::InnerEngine(place.clone())).await?;
        let facts = expect_reading!(facts, Reading::InnerEngine);
        let trial = if self.starts.is_some() && facts.running.is_ok() {
            let trial = subject::read(cx, &place, Read::TryStart(place.clone())).await?;
            Some(expect_reading!(trial, Reading::Started))
        } else {
            None
        };
        let violation = self.judge(&facts, trial.as_ref())?;
        let sample = Sample::judged(words(&facts, trial.as_ref()), violation);
        Ok(match trial {
            Some(Ok(took)) => sample.number(took as f64 / 1e3, Unit::Milliseconds),
            _ => sample,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Engine {
        serde_saphyr::from_str(&format!("{{ service: agent{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn containers_starts_and_words_are_judged() {
        let world = World::default();
        let holds = async |rest: &str| probe(rest).read(&world).await.unwrap().holds();
        assert!(holds("").await && holds(", running: 1, starts: true").await);
        assert!(!holds(", running: { min: 2 }").await && !holds(", starts: false").await);
        world.set().inner.started = Err("mkdir x: no space left on device".into());
        assert!(!holds(", starts: true").await && holds(", starts: false").await);
        assert!(holds(", starts: false, error: no space left").await);
        assert!(!holds(", starts: false, error: quota").await);
        world.set().inner.engine.running = Err("connection refused".into());
        assert!(!holds("").await && !holds(", starts: false").await, "silence is no answer");
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe(", error: x").check().len(), 1);
        assert_eq!(probe(", running: {}, starts: false, error: \"(\"").check().len(), 2);
        assert!(probe("").check().is_empty());
    }
}
