//! `exec`: runs a program in a container and judges what it leaves.
//!
//! The program is the user's: it may change things. The probe itself changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Pattern, Probe, ProbeCx, ProbeError, Sample,
    subject::{self, Wrong, brief},
};
use crate::{
    protocol::Capability,
    runtime::{ExecOutput, RuntimeError},
    units::Duration,
};

/// A program of the image ends with a given code and says a given thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The service.
    service: String,
    /// Program and arguments, run without a shell.
    command: Vec<String>,
    /// The code it ends with.
    #[serde(default)]
    exit_code: i64,
    /// A regular expression found in its standard output.
    stdout: Option<Pattern>,
    /// It ends within this time.
    #[serde(default = "default_timeout")]
    timeout: Duration,
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

impl Exec {
    fn judge(&self, output: &ExecOutput) -> Result<Option<String>, ProbeError> {
        let mut wrong = Wrong::default();
        wrong.unless(output.exit_code == self.exit_code, || {
            format!("exit code is not {}", self.exit_code)
        });
        if let Some(pattern) = &self.stdout {
            let found = pattern.compile().map_err(ProbeError::Unusable)?.is_match(&output.stdout);
            wrong.unless(found, || format!("standard output does not match `{pattern}`"));
        }
        Ok(wrong.violation())
    }
}

impl Probe for Exec {
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "exec: { service: agent, command: [/keelhaul, --version], stdout: keelhaul }";

    fn service(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn act(&self) -> Option<(&str, String)> {
        Some((&self.service, format!("run in it, as a probe: {}", self.command.join(" "))))
    }

    fn describe(&self) -> String {
        let says = self.stdout.as_ref().map(|pattern| format!(" and prints `{pattern}`"));
        format!(
            "{}: `{}` ends with code {}{}",
            self.service,
            self.command.join(" "),
            self.exit_code,
            says.unwrap_or_default()
        )
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.unless(self.command.first().is_some_and(|program| !program.is_empty()), || {
            "there is no program to run\n\nhint: write `command: [/bin/true]`".into()
        });
        wrong.unless(self.timeout > Duration::default(), || {
            "no program ends in no time\n\nhint: write `timeout: 5s`".into()
        });
        wrong.add(self.stdout.as_ref().and_then(Pattern::check));
        wrong.list()
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let Some(place) = cx.place(&self.service, "/") else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let output = cx.runtime().exec(&place.container, &self.command, self.timeout.0).await;
        match output {
            Ok(output) => {
                let said =
                    if output.stdout.trim().is_empty() { &output.stderr } else { &output.stdout };
                let observed = format!("exit code {}: {}", output.exit_code, brief(said));
                Ok(Sample::judged(observed, self.judge(&output)?))
            }
            Err(error) => match subject::down(cx, &place).await? {
                Some(sample) => Ok(sample),
                None if matches!(error, RuntimeError::Timeout { .. }) => {
                    Ok(Sample::outside("no end", format!("it did not end within {}", self.timeout)))
                }
                None => Err(error.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{probes::testing::World, runtime::State};

    fn probe(yaml: &str) -> Exec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn code_and_output_are_judged() {
        let world = World::default();
        let probe = probe("{ service: agent, command: [x], exit_code: 3, stdout: \"^ok\" }");
        let output = |exit_code, stdout: &str| {
            Ok(ExecOutput { exit_code, stdout: stdout.into(), stderr: String::new() })
        };
        world.set().exec = output(3, "ok then");
        assert!(probe.read(&world).await.unwrap().holds());
        world.set().exec = output(0, "ok then");
        assert!(!probe.read(&world).await.unwrap().holds());
        world.set().exec = output(3, "not ok");
        assert!(!probe.read(&world).await.unwrap().holds());
    }

    #[tokio::test]
    async fn a_subject_that_is_down_or_slow_is_a_violation_and_a_silent_engine_an_error() {
        let world = World::default();
        let probe = probe("{ service: agent, command: [x] }");
        let refused = RuntimeError::Refused { doing: "running x".into(), detail: "409".into() };
        world.set().exec = Err(refused);
        assert!(probe.read(&world).await.is_err());
        world.set().container.as_mut().unwrap().state = State::Exited;
        assert!(!probe.read(&world).await.unwrap().holds());
        world.set().container.as_mut().unwrap().state = State::Running;
        world.set().exec = Err(RuntimeError::Timeout { seconds: 5, doing: "running x".into() });
        assert!(!probe.read(&world).await.unwrap().holds());
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("{ service: agent, command: [] }").check().len(), 1);
        assert_eq!(
            probe("{ service: a, command: [x], stdout: \"(\", timeout: 0s }").check().len(),
            2
        );
    }
}
