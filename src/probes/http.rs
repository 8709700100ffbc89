//! `http`: asks a service over HTTP, from inside its own network namespace. No port is published.
//!
//! Changes nothing, as far as the service's own handlers do not.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Pattern, Probe, ProbeCx, ProbeError, Sample, Unit, Wanted,
    subject::{self, Wrong, brief, expect_reading},
};
use crate::{
    protocol::{Capability, HttpReply, HttpRequest, Read, Reading},
    units::Duration,
};

/// A service answers a request with a given status and body.
///
/// The request is made from inside the container's network namespace. No answer is a violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The service.
    service: String,
    /// Path with query.
    path: String,
    /// TCP port on the container's loopback.
    #[serde(default = "default_port")]
    port: u16,
    /// Method.
    #[serde(default = "default_method")]
    method: String,
    /// The status it answers with.
    #[serde(default = "default_status")]
    #[schemars(range(min = 100, max = 599))]
    status: u16,
    /// A regular expression found in the body.
    body: Option<Pattern>,
    /// Values in a JSON body, by pointer (RFC 6901), or bounds on a number: `{ /state: RUNNING,
    /// /waiting: { max: 15 } }`.
    #[serde(default)]
    json: BTreeMap<String, Wanted>,
    /// It answers within this time.
    #[serde(default = "default_timeout")]
    timeout: Duration,
}

fn default_port() -> u16 {
    8080
}

fn default_method() -> String {
    "GET".into()
}

fn default_status() -> u16 {
    200
}

fn default_timeout() -> Duration {
    Duration::from_secs(1)
}

impl Http {
    fn judge(&self, reply: &HttpReply) -> Result<Option<String>, ProbeError> {
        let mut wrong = Wrong::default();
        wrong.unless(reply.status == self.status, || {
            format!("the status is {}, not {}", reply.status, self.status)
        });
        if let Some(pattern) = &self.body {
            let found = pattern.compile().map_err(ProbeError::Unusable)?.is_match(&reply.body);
            wrong.unless(found, || format!("body does not match `{pattern}`"));
        }
        if !self.json.is_empty() {
            match serde_json::from_str::<Value>(&reply.body) {
                Ok(body) => {
                    for (pointer, wanted) in &self.json {
                        wrong.add(wanted.violation(pointer, body.pointer(pointer)));
                    }
                }
                Err(error) => wrong.add(Some(format!("body is not JSON: {error}"))),
            }
        }
        Ok(wrong.violation())
    }
}

impl Probe for Http {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "http: { service: agent, path: /health, json: { /state: RUNNING } }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn act(&self) -> Option<(&str, String)> {
        // those change nothing (RFC 9110, 9.2.1)
        let looks = ["GET", "HEAD", "OPTIONS"].contains(&self.method.as_str());
        let act = || format!("send it `{} {}`, as a probe", self.method, self.path);
        (!looks).then(|| (self.service.as_str(), act()))
    }

    fn describe(&self) -> String {
        let body = self.body.as_ref().map(|pattern| format!(", body matches `{pattern}`"));
        let json = self.json.iter().map(|(pointer, wanted)| format!(", `{pointer}` is {wanted}"));
        let rest: String = body.into_iter().chain(json).collect();
        format!("{}: {} {} answers {}{rest}", self.service, self.method, self.path, self.status)
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.unless(self.path.starts_with('/'), || {
            format!("`{}` is no request path\n\nhint: start it with `/`", self.path)
        });
        wrong.unless(self.port > 0, || "there is no port 0\n\nhint: write `port: 8080`".into());
        wrong.unless((100..600).contains(&self.status), || {
            format!("{} is no HTTP status\n\nhint: write 100 to 599", self.status)
        });
        let token = |c: char| c.is_ascii_uppercase();
        wrong.unless(!self.method.is_empty() && self.method.chars().all(token), || {
            format!("`{}` is no HTTP method\n\nhint: write `GET`", self.method)
        });
        wrong.unless(self.timeout > Duration::default(), || {
            "nothing answers in no time\n\nhint: write `timeout: 1s`".into()
        });
        wrong.add(self.body.as_ref().and_then(Pattern::check));
        let pointer = |pointer: &&String| !pointer.is_empty() && !pointer.starts_with('/');
        if let Some(pointer) = self.json.keys().find(pointer) {
            wrong.add(Some(format!("`{pointer}` is no JSON pointer\n\nhint: write `/{pointer}`")));
        }
        for (pointer, wanted) in &self.json {
            wrong.add(wanted.check(pointer));
        }
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let request = HttpRequest {
            method: self.method.clone(),
            port: self.port,
            path: self.path.clone(),
            body: String::new(),
            timeout_ms: u64::try_from(self.timeout.0.as_millis()).unwrap_or(u64::MAX).max(1),
        };
        let read = Read::Http { place: place.clone(), request };
        let reply = expect_reading!(subject::read(cx, &place, read).await?, Reading::Http);
        Ok(match reply {
            Ok(reply) => {
                let observed = format!("status {}, body {}", reply.status, brief(&reply.body));
                let took_ms = reply.took_us as f64 / 1000.0;
                Sample::judged(observed, self.judge(&reply)?).number(took_ms, Unit::Milliseconds)
            }
            Err(reason) => Sample::outside("no answer", format!("no answer: {reason}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{helper::HelperError, probes::testing::World, runtime::State};

    fn probe(yaml: &str) -> Http {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn reply(status: u16, body: &str) -> Result<HttpReply, String> {
        Ok(HttpReply { status, body: body.into(), took_us: 1500 })
    }

    #[tokio::test]
    async fn status_body_and_json_are_judged() {
        let world = World::default();
        let probe =
            probe("{ service: agent, path: /h, status: 503, body: ERR, json: { /n/0: 1 } }");
        world.set().http = reply(503, r#"{"state":"ERR","n":[1]}"#);
        let sample = probe.read(&world).await.unwrap();
        assert!(sample.holds(), "{sample:?}");
        assert_eq!(sample.number, Some(1.5));
        for (status, body) in [
            (200, r#"{"state":"ERR","n":[1]}"#),
            (503, r#"{"state":"OK","n":[1]}"#),
            (503, r#"{"state":"ERR","n":[2]}"#),
            (503, r#"{"state":"ERR"}"#),
            (503, "ERR"),
        ] {
            world.set().http = reply(status, body);
            assert!(!probe.read(&world).await.unwrap().holds(), "{body}");
        }
        world.set().http = reply(500, r#"{"state":"ERR","n":[1]}"#);
        let why = probe.read(&world).await.unwrap().violation;
        assert_eq!(why.as_deref(), Some("the status is 500, not 503"), "it says what it was");
    }

    #[tokio::test]
    async fn no_answer_is_a_violation_and_no_helper_an_error() {
        let world = World::default();
        let probe = probe("{ service: agent, path: /health }");
        let sample = probe.read(&world).await.unwrap();
        assert_eq!(sample.violation.unwrap(), "no answer: connection refused");
        world.set().helper_error = Some(HelperError::Refused("no such container".into()));
        assert!(probe.read(&world).await.is_err());
        world.set().container.as_mut().unwrap().state = State::Exited;
        assert_eq!(probe.read(&world).await.unwrap().violation.unwrap(), "it is exited");
        world.set().helper_error = Some(HelperError::Lost("lease".into()));
        assert!(probe.read(&world).await.is_err());
    }

    #[test]
    fn a_request_that_may_change_something_is_an_act() {
        let act = |yaml| serde_saphyr::from_str::<Http>(yaml).unwrap().act().map(|(_, act)| act);
        assert_eq!(act("{ service: agent, path: /x }"), None);
        let post = act("{ service: agent, path: /x, method: POST }");
        assert_eq!(post.as_deref(), Some("send it `POST /x`, as a probe"));
    }

    #[test]
    fn static_complaints() {
        let bad = "{ service: a, path: h, port: 0, method: get, status: 99, body: \"(\", json: { \
                   state: 1, /n: { min: 2, max: 1 } }, timeout: 0s }";
        assert_eq!(probe(bad).check().len(), 8);
    }
}
