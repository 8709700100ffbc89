//! `metric`: one number of a service's Prometheus page, read from inside its network namespace.
//!
//! Changes nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Bounds, Probe, ProbeCx, ProbeError, Sample, Unit,
    prometheus::{self, Series},
    subject::{self, Wrong, brief, expect_reading},
};
use crate::{
    protocol::{Capability, HttpRequest, Read, Reading},
    units::Duration,
};

/// A number that a service exports as Prometheus text is within bounds.
///
/// Where several series have the name and the labels, it is their sum. A series that is not there
/// is a violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The service.
    service: String,
    /// Name of the metric.
    name: String,
    /// Labels that a series must have, among others: `{ dir: data }`.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// What is allowed: `{ min: 1 }`.
    value: Bounds<f64>,
    /// TCP port on the container's loopback.
    #[serde(default = "default_port")]
    port: u16,
    /// Path of the page.
    #[serde(default = "default_path")]
    path: String,
    /// The service answers within this time.
    #[serde(default = "default_timeout")]
    timeout: Duration,
}

fn default_port() -> u16 {
    8080
}

fn default_path() -> String {
    "/metrics".into()
}

fn default_timeout() -> Duration {
    Duration::from_secs(1)
}

impl Metric {
    fn is_meant(&self, series: &Series) -> bool {
        let has = |(name, value): (&String, &String)| series.labels.get(name) == Some(value);
        series.name == self.name && self.labels.iter().all(has)
    }

    /// The metric as Prometheus writes it: `errors_total{errno="EROFS"}`.
    fn written(&self) -> String {
        let labels: Vec<_> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        match labels.as_slice() {
            [] => self.name.clone(),
            labels => format!("{}{{{}}}", self.name, labels.join(",")),
        }
    }

    fn judge(&self, page: &str) -> Sample {
        let series = match prometheus::parse(page) {
            Ok(series) => series,
            Err(why) => return Sample::outside(brief(&why), "the page is no Prometheus text"),
        };
        let meant: Vec<f64> =
            series.iter().filter(|one| self.is_meant(one)).map(|one| one.value).collect();
        if meant.is_empty() {
            return Sample::outside("no such series", format!("`{}` is not there", self.written()));
        }
        let sum: f64 = meant.iter().sum();
        let observed = format!("{} is {sum}", self.written());
        Sample::judged(observed, self.value.violation(&self.name, sum))
            .number(sum, Unit::of_metric(&self.name))
    }
}

impl Probe for Metric {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "metric: { service: agent, name: specimen_heartbeats_total, value: { min: 1 } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn describe(&self) -> String {
        format!("{}: {} is {}", self.service, self.written(), self.value)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        // https://prometheus.io/docs/concepts/data_model/
        let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
        let named = self.name.starts_with(letter)
            && self.name.chars().all(|c| letter(c) || c.is_ascii_digit());
        wrong.unless(named, || {
            format!(
                "`{}` is no name of a metric\n\nhint: write the name alone, and labels under `labels`",
                self.name
            )
        });
        wrong.unless(self.path.starts_with('/'), || {
            format!("`{}` is no request path\n\nhint: start it with `/`", self.path)
        });
        wrong.unless(self.port > 0, || "there is no port 0\n\nhint: write `port: 8080`".into());
        wrong.unless(self.timeout > Duration::default(), || {
            "nothing answers in no time\n\nhint: write `timeout: 1s`".into()
        });
        wrong.add(self.value.check("value"));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let request = HttpRequest {
            method: "GET".into(),
            port: self.port,
            path: self.path.clone(),
            body: String::new(),
            timeout_ms: u64::try_from(self.timeout.0.as_millis()).unwrap_or(u64::MAX).max(1),
        };
        let read = Read::Http { place: place.clone(), request };
        Ok(match expect_reading!(subject::read(cx, &place, read).await?, Reading::Http) {
            Ok(reply) if reply.status == 200 => self.judge(&reply.body),
            Ok(reply) => {
                let observed = format!("status {}, body {}", reply.status, brief(&reply.body));
                Sample::outside(observed, format!("the status is {}, not 200", reply.status))
            }
            Err(reason) => Sample::outside("no answer", format!("no answer: {reason}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, protocol::HttpReply};

    const PAGE: &str =
        "up 1\nerrors{errno=\"EIO\",dir=\"a\"} 2\nerrors{errno=\"EIO\",dir=\"b\"} 3\n";

    fn probe(rest: &str) -> Metric {
        serde_saphyr::from_str(&format!("{{ service: agent, {rest} }}")).unwrap()
    }

    fn world(status: u16, body: &str) -> World {
        let world = World::default();
        world.set().http = Ok(HttpReply { status, body: body.into(), took_us: 1 });
        world
    }

    #[tokio::test]
    async fn series_are_chosen_by_labels_and_summed() {
        let world = world(200, PAGE);
        for (rest, number) in [
            ("name: up, value: 1", 1.0),
            ("name: errors, value: 5", 5.0),
            ("name: errors, labels: { dir: b }, value: { min: 3 }", 3.0),
        ] {
            let sample = probe(rest).read(&world).await.unwrap();
            assert!(sample.holds() && sample.number == Some(number), "{rest}: {sample:?}");
        }
        let sample = probe("name: errors, value: { max: 4 }").read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "errors is 5, not at most 4");
    }

    #[tokio::test]
    async fn what_is_not_there_or_is_no_page_is_a_violation() {
        let absent = probe("name: errors, labels: { errno: EROFS }, value: { max: 0 }");
        let violation = absent.read(&world(200, PAGE)).await.unwrap().violation.unwrap();
        assert_eq!(violation, "`errors{errno=\"EROFS\"}` is not there");
        let any = probe("name: up, value: { min: 0 }");
        for (status, body) in [(404, PAGE), (200, "<html>"), (200, "")] {
            assert!(!any.read(&world(status, body)).await.unwrap().holds(), "{status} {body}");
        }
        assert!(!any.read(&World::default()).await.unwrap().holds(), "no answer");
    }

    #[test]
    fn static_complaints() {
        let bad = "name: 'a{b=\"c\"}', value: {}, path: metrics, port: 0, timeout: 0s";
        assert_eq!(probe(bad).check().len(), 5);
    }
}
