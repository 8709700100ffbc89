//! One step: an action, and what modifies it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::ProbeItem;
use crate::{faults::FaultSpec, units::Duration};

/// One step, checked to have exactly one action.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Its id in reports, in `revert`, `await` and `fails`.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// Go on after a failure.
    pub soft: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Inject a fault.
    Inject(Box<InjectStep>),
    /// Probes that must come to hold.
    Expect {
        /// The probes.
        probes: Vec<ProbeItem>,
        /// They must all hold within this time.
        within: Duration,
        /// And go on to hold for this long.
        hold: Option<Duration>,
    },
    /// Let time pass.
    Wait(Duration),
    /// Revert the fault with this name.
    Revert(String),
    /// Wait until every steady-state probe holds again.
    Recover(RecoverStep),
    /// Run a program in a subject.
    Exec(Box<ExecStep>),
    /// Wait for a step in the background.
    Await {
        /// Its name.
        step: String,
        /// It must end within this time.
        within: Duration,
    },
}

/// A fault, and how long it lasts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InjectStep {
    /// The fault.
    pub fault: FaultSpec,
    /// Reverted by the keeper after this time.
    #[serde(rename = "for")]
    pub lasts: Option<Duration>,
}

/// Wait until every steady-state probe holds again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverStep {
    /// Instead of the scenario's `rto`.
    pub within: Option<Duration>,
    /// The probes must hold for this long; 1 s by default.
    pub hold: Option<Duration>,
}

/// A program in a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecStep {
    /// The service.
    pub service: String,
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Expected exit code.
    #[serde(default)]
    pub exit_code: i64,
    /// It must end within this time.
    #[serde(default = "default_within")]
    pub timeout: Duration,
    /// Go on with the next step; `await` waits for the end.
    #[serde(default)]
    pub background: bool,
}

fn default_within() -> Duration {
    Duration::from_secs(10)
}

/// A step as a map: every action and every modifier is a key.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(rename = "Step", description = "One step: exactly one action, and what modifies it.")]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Inject a fault.
    inject: Option<FaultSpec>,
    /// Probes that must come to hold.
    expect: Option<Vec<ProbeItem>>,
    /// Let time pass.
    wait: Option<Duration>,
    /// Revert the fault with this name.
    revert: Option<String>,
    /// Wait until every steady-state probe holds again.
    #[serde(default, deserialize_with = "bare")]
    recover: Option<RecoverStep>,
    /// Run a program in a subject.
    exec: Option<ExecStep>,
    /// Wait for a step in the background.
    r#await: Option<String>,
    /// Its id in reports, in `revert`, `await` and `fails`.
    r#as: Option<String>,
    /// `expect`, `await`: within this time; 10 s by default.
    within: Option<Duration>,
    /// `expect`: the probes must go on to hold for this long.
    hold: Option<Duration>,
    /// `inject`: reverted by the keeper after this time.
    r#for: Option<Duration>,
    /// Go on after a failure.
    #[serde(default)]
    soft: bool,
}

/// `- recover:` with nothing behind it is `- recover`.
fn bare<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RecoverStep>, D::Error> {
    let given = Option::<RecoverStep>::deserialize(deserializer)?;
    Ok(Some(given.unwrap_or_default()))
}

impl Fields {
    fn into_step(self) -> Result<Step, String> {
        let within = self.within.unwrap_or_else(default_within);
        let (given_within, given_hold, given_for) =
            (self.within.is_some(), self.hold.is_some(), self.r#for.is_some());
        let mut actions = Vec::new();
        if let Some(fault) = self.inject {
            actions.push((
                "inject",
                Action::Inject(Box::new(InjectStep { fault, lasts: self.r#for })),
            ));
        }
        if let Some(probes) = self.expect {
            actions.push(("expect", Action::Expect { probes, within, hold: self.hold }));
        }
        if let Some(time) = self.wait {
            actions.push(("wait", Action::Wait(time)));
        }
        if let Some(name) = self.revert {
            actions.push(("revert", Action::Revert(name)));
        }
        if let Some(recover) = self.recover {
            actions.push(("recover", Action::Recover(recover)));
        }
        if let Some(exec) = self.exec {
            actions.push(("exec", Action::Exec(Box::new(exec))));
        }
        if let Some(step) = self.r#await {
            actions.push(("await", Action::Await { step, within }));
        }
        let names: Vec<_> = actions.iter().map(|(name, _)| format!("`{name}`")).collect();
        if actions.len() > 1 {
            return Err(format!(
                "a step has one action, and this one has {}\n\nhint: make each a step of its own",
                names.join(" and ")
            ));
        }
        let Some((name, action)) = actions.pop() else {
            return Err(format!("a step needs an action\n\nhint: one of {ACTIONS}"));
        };
        let misplaced = [
            ("within", given_within, &["expect", "await"][..]),
            ("hold", given_hold, &["expect"][..]),
            ("for", given_for, &["inject"][..]),
        ];
        for (modifier, given, allowed) in misplaced {
            if given && !allowed.contains(&name) {
                let owners: Vec<_> = allowed.iter().map(|owner| format!("`{owner}`")).collect();
                return Err(format!(
                    "`{modifier}` does not go with `{name}`\n\nhint: it belongs to {}",
                    owners.join(" and ")
                ));
            }
        }
        Ok(Step { action, name: self.r#as, soft: self.soft })
    }
}

const ACTIONS: &str = "`inject`, `expect`, `wait`, `revert`, `recover`, `exec`, `await`";

struct StepVisitor;

impl<'de> serde::de::Visitor<'de> for StepVisitor {
    type Value = Step;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a step: a map with one action, or the word `recover`")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Step, E> {
        if word == "recover" {
            let action = Action::Recover(RecoverStep::default());
            return Ok(Step { action, name: None, soft: false });
        }
        Err(E::custom(format!(
            "`{word}` is not a step\n\nhint: only `recover` stands alone; others are {ACTIONS}"
        )))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
        let fields = Fields::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        fields.into_step().map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StepVisitor)
    }
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let map = Fields::json_schema(generator);
        schemars::json_schema!({ "anyOf": [{ "const": "recover" }, map] })
    }
}
