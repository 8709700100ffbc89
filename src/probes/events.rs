//! `events`: does inotify tell a subject of a change? Tries it; leaves nothing behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, EventFacts, Read, Reading},
    units::Duration,
};

/// inotify tells of a change in a directory, or does not.
///
/// The directory is watched in the container's mount namespace, and a file is created and removed in
/// `from`: another way to the same directory, such as the volume in another container. Changes below
/// an overlay, and those made by another host, raise no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The service.
    service: String,
    /// Absolute path of a directory in the container.
    path: String,
    /// Where the change is made; in the watched directory itself without it.
    from: Option<Change>,
    /// An event arrives.
    #[serde(default = "default_delivered")]
    delivered: bool,
    /// How long the first event may take.
    #[serde(default = "default_within")]
    within: Duration,
}

/// Where a change is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The service.
    service: String,
    /// Absolute path of a directory in its container.
    path: String,
}

fn default_delivered() -> bool {
    true
}

fn default_within() -> Duration {
    Duration::from_millis(500)
}

/// The most that a reading may wait for an event.
const MOST: Duration = Duration::from_secs(5);

impl Events {
    fn judge(&self, facts: &EventFacts) -> Option<String> {
        let mut wrong = Wrong::default();
        if let Some(errno) = &facts.errno {
            wrong.add(Some(format!("it cannot be watched: {errno}")));
        } else {
            wrong.unless(facts.seen.is_empty() != self.delivered, || {
                let told = if self.delivered { "no event" } else { "an event" };
                format!("{told} within {}", self.within)
            });
        }
        wrong.violation()
    }
}

impl Probe for Events {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "events: { service: agent, path: /config, from: { service: writer, path: /config } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn act(&self) -> Option<(&str, String)> {
        let here = (&self.service, &self.path);
        let (service, path) = self.from.as_ref().map_or(here, |from| (&from.service, &from.path));
        Some((service, format!("make a file in `{path}` and remove it, as a probe")))
    }

    fn describe(&self) -> String {
        let told = if self.delivered { "are told" } else { "are not told" };
        let from =
            self.from.as_ref().map(|from| format!(" made in {}:{}", from.service, from.path));
        format!(
            "{}: changes of `{}`{} {told} by inotify",
            self.service,
            self.path,
            from.unwrap_or_default()
        )
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(subject::relative(&self.path));
        wrong.add(self.from.as_ref().and_then(|from| subject::relative(&from.path)));
        wrong.unless(self.within > Duration::default() && self.within <= MOST, || {
            format!("`within: {}` is not a time up to {MOST}\n\nhint: write `500ms`", self.within)
        });
        wrong.list()
    }

    fn deadline(&self) -> std::time::Duration {
        self.within.0 + std::time::Duration::from_secs(5)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let (service, path) = self
            .from
            .as_ref()
            .map_or((&self.service, &self.path), |from| (&from.service, &from.path));
        let (Some(place), Some(from)) =
            (cx.place(&self.service, &self.path), cx.place(service, path))
        else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        if let Some(down) = subject::down(cx, &from).await? {
            return Ok(down);
        }
        let within_ms = u64::try_from(self.within.0.as_millis()).unwrap_or(u64::MAX);
        let read = Read::TryEvents { place: place.clone(), from, within_ms };
        let facts = expect_reading!(subject::read(cx, &place, read).await?, Reading::Events);
        let observed = match &facts.errno {
            Some(errno) => errno.clone(),
            None if facts.seen.is_empty() => "no event".into(),
            None => facts.seen.join(", "),
        };
        Ok(Sample::judged(observed, self.judge(&facts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::testing::World;

    fn probe(rest: &str) -> Events {
        serde_saphyr::from_str(&format!("{{ service: agent, path: /config{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn events_are_wanted_or_not() {
        let world = World::default();
        assert!(probe("").read(&world).await.unwrap().holds());
        assert!(!probe(", delivered: false").read(&world).await.unwrap().holds());
        world.set().events.seen.clear();
        assert!(!probe("").read(&world).await.unwrap().holds());
        assert!(probe(", delivered: false").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn what_cannot_be_watched_holds_neither_way() {
        let world = World::default();
        world.set().events = EventFacts { errno: Some("EMFILE".into()), seen: Vec::new() };
        let sample = probe("").read(&world).await.unwrap();
        assert_eq!(sample.violation.as_deref(), Some("it cannot be watched: EMFILE"));
        assert!(!probe(", delivered: false").read(&world).await.unwrap().holds());
    }

    #[test]
    fn static_complaints() {
        assert!(probe("").check().is_empty());
        assert_eq!(probe(", within: 1m").check().len(), 1);
        assert_eq!(probe(", from: { service: b, path: c }").check().len(), 1);
    }
}
