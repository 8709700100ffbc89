//! `tcp`: opens a connection from inside a service's network namespace, and closes it again.
//!
//! Sends nothing.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong, expect_reading},
};
use crate::{
    protocol::{Capability, Read, Reading, Trial},
    runtime::RuntimeError,
    units::Duration,
};

/// A TCP port accepts or refuses a connection, or nobody answers.
///
/// The connection is opened from inside the container's network namespace, so it shows what the
/// service itself can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The service that connects.
    service: String,
    /// The service it connects to; itself, over the loopback, by default.
    to: Option<String>,
    /// TCP port.
    port: u16,
    /// How it goes.
    #[serde(default)]
    answer: Answer,
    /// Within this time.
    #[serde(default = "default_within")]
    within: Duration,
}

/// How an attempt to connect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Somebody listens.
    #[default]
    Accepted,
    /// Somebody is there, and nobody listens.
    Refused,
    /// There is no way there, or no answer in time.
    None,
}

fn default_within() -> Duration {
    Duration::from_secs(1)
}

impl Answer {
    fn of(trial: &Trial) -> Self {
        match trial.errno.as_deref() {
            None => Self::Accepted,
            Some("ECONNREFUSED" | "ECONNRESET") => Self::Refused,
            Some(_) => Self::None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::None => "not answered",
        }
    }
}

impl Tcp {
    fn judge(&self, found: Answer, observed: String) -> Sample {
        let wrong = (found != self.answer)
            .then(|| format!("it is {}, not {}", found.word(), self.answer.word()));
        Sample::judged(observed, wrong)
    }

    /// Where to: the other service's address on a network that both are on, or else on any.
    async fn address(&self, cx: &dyn ProbeCx) -> Result<Option<IpAddr>, ProbeError> {
        let Some(to) = &self.to else { return Ok(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))) };
        let mut networks = Vec::new();
        for service in [&self.service, to] {
            let Some(place) = cx.place(service, "/") else { return Ok(None) };
            match cx.runtime().inspect(&place.container).await {
                Ok(facts) => networks.push(facts.networks),
                Err(RuntimeError::Gone { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let shared = |id: &str| networks[0].iter().any(|one| one.id == id);
        let mut theirs: Vec<_> = networks[1].iter().filter(|one| !one.address.is_empty()).collect();
        theirs.sort_by_key(|one| !shared(&one.id));
        Ok(theirs.first().and_then(|one| one.address.parse().ok()))
    }
}

impl Probe for Tcp {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "tcp: { service: agent, port: 8080, answer: accepted }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn peer(&self) -> Option<&str> {
        self.to.as_deref()
    }

    fn describe(&self) -> String {
        let to = self.to.as_deref().unwrap_or("its own loopback");
        let Self { service, port, answer, within, .. } = self;
        format!(
            "{service}: a connection to port {port} of {to} is {} within {within}",
            answer.word()
        )
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.unless(self.port > 0, || "there is no port 0\n\nhint: write `port: 8080`".into());
        wrong.unless(self.within > Duration::default(), || {
            "nothing answers in no time\n\nhint: write `within: 1s`".into()
        });
        wrong.list()
    }

    fn deadline(&self) -> time::Duration {
        self.within.0.saturating_add(time::Duration::from_secs(5))
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let Some(address) = self.address(cx).await? else {
            let to = self.to.as_deref().unwrap_or_default();
            return Ok(self.judge(Answer::None, format!("`{to}` has no address")));
        };
        let timeout_ms = u64::try_from(self.within.0.as_millis()).unwrap_or(u64::MAX).max(1);
        let to = SocketAddr::from((address, self.port));
        let read = Read::Connect { place: place.clone(), to, timeout_ms };
        let trial = expect_reading!(subject::read(cx, &place, read).await?, Reading::Tried);
        let found = Answer::of(&trial);
        let errno = trial.errno.map(|errno| format!(": {errno}")).unwrap_or_default();
        Ok(self.judge(found, format!("{} by {to}{errno}", found.word())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{helper::HelperError, probes::testing::World, runtime::State};

    fn probe(yaml: &str) -> Tcp {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn each_answer_is_told_from_the_others() {
        let world = World::default();
        let answers = [
            (None, "accepted"),
            (Some("ECONNREFUSED"), "refused"),
            (Some("ENETUNREACH"), "none"),
            (Some("ETIMEDOUT"), "none"),
        ];
        for (errno, is) in answers {
            world.set().connect = Trial { errno: errno.map(str::to_owned) };
            for (_, wanted) in answers {
                let probe = probe(&format!("{{ service: agent, port: 80, answer: {wanted} }}"));
                let sample = probe.read(&world).await.unwrap();
                assert_eq!(sample.holds(), is == wanted, "{errno:?} {wanted}: {sample:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_other_services_address_is_where_it_connects() {
        let world = World::default();
        let sample = probe("{ service: agent, to: agent, port: 80 }").read(&world).await.unwrap();
        assert_eq!(sample.observed, "accepted by 172.30.0.2:80");
        world.set().container.as_mut().unwrap().networks.clear();
        let sample = probe("{ service: agent, to: agent, port: 80 }").read(&world).await.unwrap();
        assert!(!sample.holds() && sample.observed == "`agent` has no address", "{sample:?}");
        let sample = probe("{ service: agent, to: agent, port: 80, answer: none }");
        assert!(sample.read(&world).await.unwrap().holds());
        assert!(!probe("{ service: db, port: 80 }").read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn a_subject_that_is_down_is_a_violation() {
        let world = World::default();
        world.set().helper_error = Some(HelperError::Refused("no init".into()));
        world.set().container.as_mut().unwrap().state = State::Exited;
        let sample = probe("{ service: agent, port: 80 }").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "it is exited");
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("{ service: agent, port: 0, within: 0s }").check().len(), 2);
        let words = probe("{ service: agent, to: hub, port: 80, answer: none }").describe();
        assert_eq!(words, "agent: a connection to port 80 of hub is not answered within 1s");
    }
}
